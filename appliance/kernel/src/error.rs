use crate::{
    CardHook, CardProgram, CardRefusal, ForeignFilter, ForeignProgram, IpsecRefusal, IpsecThing,
    LinkName, Object,
};
use nix::errno::Errno;
use sluice_datapath::abi::{CardTable, Table};
use std::path::PathBuf;

/// Why something could not be done. The texts name the object, the operation and the way out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel refused a call.
    #[error("{object}: cannot {operation}: {}{}{}", errno_text(*errno), kernel_text(kernel), advice(*errno))]
    Kernel {
        /// What the call was about.
        object: Object,
        /// What was to be done, as an infinitive.
        operation: &'static str,
        /// The kernel's answer.
        errno: Errno,
        /// What the kernel said beyond the number, where it said more.
        kernel: Option<String>,
    },
    /// The verifier refused a program.
    #[error(
        "program {program}: the kernel refused to load it: {}{}\nend of the verifier's log:\n{log}",
        errno_text(*errno), advice(*errno)
    )]
    Load {
        /// Name of the program.
        program: String,
        /// The kernel's answer.
        errno: Errno,
        /// The last lines of the verifier's log.
        log: String,
    },
    /// The eBPF object that is built into this binary is not what this version needs.
    #[error(
        "the eBPF object in this binary: {0}; build it again with `cargo xtask build-ebpf` and rebuild"
    )]
    HostObject(String),
    /// Another XDP program is attached.
    #[error(
        "{link}: another XDP program is attached: {program}; remove it (`{}`) or allow Sluice to replace it",
        program.removal(&link.name)
    )]
    Foreign {
        /// The link.
        link: LinkName,
        /// Whose place it is.
        program: Box<ForeignProgram>,
    },
    /// A filter of somebody else takes the card.
    #[error(
        "{link}: the card runs another filter: {filter}; remove it (`{}`) or keep Sluice off this card",
        filter.removal(&link.name)
    )]
    ForeignFilter {
        /// The link.
        link: LinkName,
        /// Whose place it is.
        filter: Box<ForeignFilter>,
    },
    /// A card did not take something.
    #[error("{0}")]
    Card(Box<CardRefusal>),
    /// The kernel or a card did not take something of IPsec.
    #[error("{0}")]
    Ipsec(Box<IpsecRefusal>),
    /// The kernel took something of IPsec and shows something else.
    #[error(
        "{thing}: the kernel accepted it, but reading back shows {found}; it was {fate}: try again, and look with \
         `ip xfrm state` and `ip xfrm policy` whether somebody else changes it"
    )]
    IpsecReadBack {
        /// What it was about.
        thing: Box<IpsecThing>,
        /// What is there instead.
        found: &'static str,
        /// What became of it.
        fate: &'static str,
    },
    /// There is no program for these stages at this hook.
    #[error(
        "no program for cards does '{program}' as {hook}: a filter cannot send a packet out again; use xdp"
    )]
    NoCardProgram {
        /// The hook.
        hook: CardHook,
        /// The stages.
        program: CardProgram,
    },
    /// A card has no program of ours.
    #[error("{link}: the card has no program of Sluice; place one first")]
    NotPlaced {
        /// The link.
        link: LinkName,
    },
    /// A program on a card has no such table.
    #[error("{link}: the program on the card ({program}) has no table {}", table.name())]
    NoSuchCardTable {
        /// The link.
        link: LinkName,
        /// The program.
        program: CardProgram,
        /// The wanted table.
        table: CardTable,
    },
    /// A key or value that does not fit its table.
    #[error(
        "{link}: table {} on the card: a {what} has {expected} bytes, not {found}", table.name()
    )]
    CardEntrySize {
        /// The link.
        link: LinkName,
        /// The table.
        table: CardTable,
        /// `key` or `value`.
        what: &'static str,
        /// How many bytes the table wants.
        expected: usize,
        /// How many were given.
        found: usize,
    },
    /// There is no such link.
    #[error(
        "{link}: there is no such link in this network namespace; create it or correct its name"
    )]
    NoSuchLink {
        /// The link.
        link: LinkName,
    },
    /// A program that was loaded is for another card, hook or sizes of tables.
    #[error(
        "#{ifindex}: the program that was loaded is not the one that is asked for; load it anew"
    )]
    LoadedForAnother {
        /// The card's link.
        ifindex: u32,
    },
    /// A link has a program of ours, but no settings were given for its new program.
    #[error(
        "{link}: has our program, but the commit brings no settings for it; detach it first or add them"
    )]
    NoSettings {
        /// The link.
        link: LinkName,
    },
    /// Nothing is staged.
    #[error("the tables: nothing is staged to commit; stage larger tables first")]
    NothingStaged,
    /// An index that the table does not have.
    #[error("table {}: there is no entry {index}, it has {entries} entries", table.name())]
    NoSuchEntry {
        /// The table.
        table: Table,
        /// The wanted index.
        index: u32,
        /// How many entries there are.
        entries: u32,
    },
    /// A size that a table cannot have.
    #[error("table {}: cannot have {entries} entries: {reason}", table.name())]
    Size {
        /// The table.
        table: Table,
        /// The wanted number of entries.
        entries: u32,
        /// Why not.
        reason: &'static str,
    },
    /// Another process holds the pin directory.
    #[error("{}: in use by another process: stop the other sluiced first or choose another pin directory", .0.display())]
    InUse(PathBuf),
    /// The pin directory must be where the kernel keeps BPF objects.
    #[error(
        "{}: not on a BPF file system: choose a directory under /sys/fs/bpf, or `mount -t bpf bpf` there first",
        .0.display()
    )]
    NoBpfFileSystem(PathBuf),
    /// Something failed half-way, and what was there before could not be put back.
    #[error(
        "{cause}; and {what} of {object} could not be put back: {why}; look at it and start sluiced again"
    )]
    NotRestored {
        /// Where.
        object: Object,
        /// What is missing now.
        what: &'static str,
        /// Why it could not be put back.
        why: Box<Error>,
        /// What failed first.
        cause: Box<Error>,
    },
    /// The kernel did not do what it said.
    #[error("{object}: the kernel accepted to {operation}, but reading back shows {found}")]
    ReadBack {
        /// What the call was about.
        object: Object,
        /// What was to be done.
        operation: &'static str,
        /// What is there instead.
        found: String,
    },
}

impl Error {
    /// A refused call with nothing but its number.
    pub fn kernel(object: Object, operation: &'static str, errno: Errno) -> Self {
        Self::Kernel { object, operation, errno, kernel: None }
    }

    /// The kernel's number, where the error has one.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Kernel { errno, .. } | Self::Load { errno, .. } => Some(*errno),
            Self::Card(refusal) => Some(refusal.errno),
            Self::Ipsec(refusal) => Some(refusal.errno),
            Self::NotRestored { cause, .. } => cause.errno(),
            _ => None,
        }
    }

    /// What a card refused, where the error is about that.
    pub fn refusal(&self) -> Option<&CardRefusal> {
        match self {
            Self::Card(refusal) => Some(refusal),
            Self::NotRestored { cause, .. } => cause.refusal(),
            _ => None,
        }
    }
}

pub(crate) fn errno_text(errno: Errno) -> String {
    format!("{} ({errno:?})", errno.desc())
}

fn kernel_text(kernel: &Option<String>) -> String {
    kernel.as_ref().map(|text| format!(": the kernel says '{text}'")).unwrap_or_default()
}

fn advice(errno: Errno) -> &'static str {
    match errno {
        Errno::EPERM | Errno::EACCES => {
            "; run as root, or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON"
        }
        Errno::ENOMEM => {
            "; give the machine (or the memory limit of its control group) more memory, or configure less"
        }
        Errno::ENOBUFS => {
            "; a table of the network stack is full: for neighbours, raise net.ipv4.neigh.default.gc_thresh3 and its \
             IPv6 twin"
        }
        Errno::EMFILE | Errno::ENFILE => "; raise the limit of open files (`ulimit -n`)",
        Errno::ENOSYS => {
            "; this kernel is too old or built without this feature: Sluice needs Linux 6.1"
        }
        Errno::EBUSY => {
            "; somebody else uses it: try again, or look who with `bpftool net` and `ip -d link`"
        }
        _ => "",
    }
}
