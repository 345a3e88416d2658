//! Decapsulation at the backends: this kernel has no IPIP devices, so an XDP program strips the outer header.

use anyhow::{Context, Result};
use aya::Ebpf;
use aya::programs::Xdp;
use aya::programs::xdp::XdpMode;

use super::Namespace;
use crate::plan::FAR_LINK;

/// The program of the laboratory's object.
const PROGRAM: &str = "decap";

/// The program on a far end's link, detached when dropped.
pub(crate) struct Decapsulation {
    // Closing the link's descriptor detaches the program.
    _loaded: Ebpf,
}

impl Decapsulation {
    /// Loads the program and attaches it to the namespace's link, in the driver: frames that were redirected to the
    /// link never reach the generic hook.
    pub(crate) fn attach(object: &[u8], namespace: &Namespace) -> Result<Self> {
        namespace.enter(|| {
            let mut loaded =
                Ebpf::load(object).context("the laboratory's eBPF object does not load")?;
            let program: &mut Xdp = loaded
                .program_mut(PROGRAM)
                .with_context(|| format!("the laboratory's eBPF object has no program {PROGRAM}"))?
                .try_into()?;
            program.load().with_context(|| format!("the kernel refuses program {PROGRAM}"))?;
            program
                .attach(FAR_LINK, XdpMode::Driver)
                .with_context(|| format!("cannot attach {PROGRAM} to {FAR_LINK}"))?;
            Ok(Decapsulation { _loaded: loaded })
        })
    }
}
