use crate::{CardHook, CardProgram, Error, Result};

/// Name of the program in each object.
pub(super) const PROGRAM: &str = "sluice_card";

/// A program for cards that is built into this binary.
#[derive(Clone, Copy)]
pub(super) struct CardObject {
    pub(super) bytes: &'static [u8],
}

macro_rules! object {
    ($name:literal) => {
        CardObject { bytes: aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/", $name)) }
    };
}

static PREFILTER_XDP: CardObject = object!("card-prefilter-xdp.o");
static SERVICE_XDP: CardObject = object!("card-service-xdp.o");
static BOTH_XDP: CardObject = object!("card-both-xdp.o");
static PREFILTER_TC: CardObject = object!("card-prefilter-tc.o");

impl CardObject {
    /// The object for these stages at this hook.
    pub(super) fn of(hook: CardHook, program: CardProgram) -> Result<Self> {
        match (hook, program) {
            (CardHook::Xdp, CardProgram::Prefilter) => Ok(PREFILTER_XDP),
            (CardHook::Xdp, CardProgram::Service) => Ok(SERVICE_XDP),
            (CardHook::Xdp, CardProgram::Both) => Ok(BOTH_XDP),
            (CardHook::Tc, CardProgram::Prefilter) => Ok(PREFILTER_TC),
            (CardHook::Tc, CardProgram::Service | CardProgram::Both) => {
                Err(Error::NoCardProgram { hook, program })
            }
        }
    }

    /// A number that another build of the object does not have (FNV-1a).
    pub(super) fn build(self) -> u64 {
        self.bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
    }
}
