//! Programs on the card.

use std::fmt::{self, Display, Formatter};

use super::names::named;

named! {
    /// Where on the card a program runs.
    Hook {
        /// XDP in hardware mode
        Xdp = "xdp",
        /// a cls_bpf filter at ingress with skip_sw
        ClsBpf = "cls-bpf",
    }
}

/// What is asked of programs at a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProgramFeature {
    /// The device takes and verifies a program.
    Load,
    /// A program can be attached, and read-back shows it on the card.
    Attach,
    /// How many instructions a program may have.
    Instructions,
    /// How many bytes of stack it may use.
    StackBytes,
    /// How many bytes of the packet, from its start, it may read and write.
    HeaderBytes,
    /// Constants and variables of its own: `.rodata`, `.data`, `.bss`.
    GlobalData,
    /// Atomic addition to a value in a table.
    AtomicAdd,
    /// It may end with this verdict.
    Verdict(ProgramVerdict),
    /// It may call this helper.
    Helper(Helper),
}

impl ProgramFeature {
    /// All of them.
    pub fn all() -> Vec<Self> {
        let single = [
            Self::Load,
            Self::Attach,
            Self::Instructions,
            Self::StackBytes,
            Self::HeaderBytes,
            Self::GlobalData,
            Self::AtomicAdd,
        ];
        let verdicts = ProgramVerdict::ALL.iter().map(|verdict| Self::Verdict(*verdict));
        let helpers = Helper::ALL.iter().map(|helper| Self::Helper(*helper));
        single.into_iter().chain(verdicts).chain(helpers).collect()
    }
}

impl Display for ProgramFeature {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Load => "load",
            Self::Attach => "attach",
            Self::Instructions => "instructions",
            Self::StackBytes => "stack-bytes",
            Self::HeaderBytes => "header-bytes",
            Self::GlobalData => "global-data",
            Self::AtomicAdd => "atomic-add",
            Self::Verdict(verdict) => return write!(f, "verdict.{}", verdict.name()),
            Self::Helper(helper) => return write!(f, "helper.{}", helper.name()),
        })
    }
}

named! {
    /// How a program on the card ends a packet's way.
    ProgramVerdict {
        /// the packet is dropped, as an error
        Aborted = "aborted",
        /// the packet is dropped
        Drop = "drop",
        /// the packet goes to the host
        Pass = "pass",
        /// the packet goes out where it came from
        Transmit = "tx",
        /// the packet goes out elsewhere
        Redirect = "redirect",
    }
}

named! {
    /// What a program may call.
    Helper {
        /// read an entry of a table
        MapLookup = "map-lookup",
        /// write an entry of a table
        MapUpdate = "map-update",
        /// remove an entry of a table
        MapDelete = "map-delete",
        /// move the start of the packet
        AdjustHead = "adjust-head",
        /// move the end of the packet
        AdjustTail = "adjust-tail",
        /// a random number
        Random = "random",
        /// tell the host of an event
        PerfEvent = "perf-event-output",
        /// the time
        Time = "time",
        /// go on in another program
        TailCall = "tail-call",
        /// send the packet elsewhere
        Redirect = "redirect",
        /// difference of two checksums
        ChecksumDifference = "checksum-difference",
    }
}

named! {
    /// Kinds of tables.
    MapKind {
        /// by index
        Array = "array",
        /// by key
        Hash = "hash",
        /// by index, one value per processor
        PerCpuArray = "per-cpu-array",
        /// by key, one value per processor
        PerCpuHash = "per-cpu-hash",
        /// by key, the least recently used gives way
        LruHash = "lru-hash",
        /// by longest prefix
        LpmTrie = "lpm-trie",
        /// other programs
        ProgramArray = "program-array",
        /// events, one buffer per processor
        PerfEventArray = "perf-event-array",
        /// events
        RingBuffer = "ring-buffer",
        /// links
        DeviceMap = "device-map",
        /// processors
        CpuMap = "cpu-map",
    }
}
