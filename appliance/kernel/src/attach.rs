use crate::LinkName;
use sluice_datapath::abi::Settings;
use std::fmt;

/// Where an XDP program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum XdpMode {
    /// In the driver.
    Native,
    /// In the network stack, after the driver built a socket buffer.
    Generic,
    /// On the card.
    Hardware,
}

impl fmt::Display for XdpMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Native => "native",
            Self::Generic => "generic",
            Self::Hardware => "hardware",
        })
    }
}

/// Where the program is to run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AttachMode {
    /// Native; generic if the driver refuses. A program that already runs keeps its mode.
    #[default]
    Auto,
    /// Native or not at all.
    Native,
    /// Generic or not at all.
    Generic,
}

impl AttachMode {
    /// Whether a program that runs in this mode may stay there.
    pub fn allows(self, mode: XdpMode) -> bool {
        match self {
            Self::Auto => mode != XdpMode::Hardware,
            Self::Native => mode == XdpMode::Native,
            Self::Generic => mode == XdpMode::Generic,
        }
    }
}

/// What to attach and how.
#[derive(Clone, Debug)]
pub struct AttachRequest {
    /// Constants of the program; `settings.ifindex` is the link.
    pub settings: Settings,
    /// Where it is to run.
    pub mode: AttachMode,
    /// Detach a program of somebody else, if one is there.
    pub replace_foreign: bool,
}

/// Figures of a loaded program, those in which it continues included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProgramStats {
    /// Instructions that the verifier walked through.
    pub verified_instructions: u32,
    /// Bytes of instructions that are left after the verifier removed what the settings switch off.
    pub translated_bytes: u32,
    /// Bytes of machine code.
    pub jited_bytes: u32,
}

impl ProgramStats {
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            verified_instructions: self.verified_instructions + other.verified_instructions,
            translated_bytes: self.translated_bytes + other.translated_bytes,
            jited_bytes: self.jited_bytes + other.jited_bytes,
        }
    }
}

/// What [`crate::Datapath::attach`] did, as read back from the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// The link.
    pub link: LinkName,
    /// Where the program runs.
    pub mode: XdpMode,
    /// Kernel's id of the program.
    pub program: u32,
    /// Kernel's id of the attachment (bpf_link).
    pub bpf_link: u32,
    /// Figures of the program.
    pub stats: ProgramStats,
    /// Why the mode is not native, in the kernel's words.
    pub why: Option<String>,
    /// Whether a program of ours was there and was replaced without a gap.
    pub updated: bool,
    /// Whose program was detached on request.
    pub replaced: Option<ForeignProgram>,
}

/// A program of ours on a link, as the kernel shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// The link.
    pub link: LinkName,
    /// Where the program runs.
    pub mode: XdpMode,
    /// Kernel's id of the program.
    pub program: u32,
    /// Kernel's id of the attachment (bpf_link).
    pub bpf_link: u32,
    /// Figures of the program.
    pub stats: ProgramStats,
    /// Constants of the program.
    pub settings: Option<Settings>,
    /// Whether the program uses the tables in use now. If not, attach again.
    pub current: bool,
    /// Why the mode is not native, as the kernel said when the program was attached.
    pub why: Option<String>,
}

/// An XDP program that is not ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignProgram {
    /// Kernel's id.
    pub id: u32,
    /// Its name; empty if it has none.
    pub name: String,
    /// Its type, such as `xdp`.
    pub kind: String,
    /// Where it runs.
    pub mode: XdpMode,
    /// The bpf_link that holds it; none if it was attached by netlink (`ip link`).
    pub bpf_link: Option<u32>,
}

impl ForeignProgram {
    /// The command that removes it.
    pub fn removal(&self, link: &str) -> String {
        match (self.bpf_link, self.mode) {
            (Some(id), _) => format!("bpftool link detach id {id}"),
            (None, XdpMode::Native) => format!("ip link set dev {link} xdpdrv off"),
            (None, XdpMode::Generic) => format!("ip link set dev {link} xdpgeneric off"),
            (None, XdpMode::Hardware) => format!("ip link set dev {link} xdpoffload off"),
        }
    }
}

impl fmt::Display for ForeignProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, name, kind, mode, bpf_link } = self;
        write!(f, "program '{name}' (id {id}, type {kind}, mode {mode}, ")?;
        match bpf_link {
            Some(link) => write!(f, "held by bpf_link {link})"),
            None => write!(f, "attached by netlink)"),
        }
    }
}
