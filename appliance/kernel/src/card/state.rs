use super::{CardHook, CardProgram, CardTableContents};
use crate::{ForeignProgram, LinkName, error::errno_text};
use nix::errno::Errno;
use sluice_datapath::abi::CardTable;
use std::fmt;

/// At which point of its way a program or an entry was refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CardStep {
    /// A table was to be made on the card.
    Table {
        /// Its name.
        table: CardTable,
        /// How many entries it was to have.
        entries: u32,
    },
    /// The program was to be bound to the card.
    Bind,
    /// The verifier or the driver went through the program's instructions.
    Verify,
    /// The program was to be hooked.
    Hook(CardHook),
    /// The hook was to be freed.
    Unhook(CardHook),
    /// The kernel had accepted, and was asked whether the card really runs it.
    ReadBack,
    /// An entry was to be written.
    Write {
        /// The table.
        table: CardTable,
    },
    /// An entry was to be removed.
    Delete {
        /// The table.
        table: CardTable,
    },
    /// Entries were to be read.
    Read {
        /// The table.
        table: CardTable,
    },
}

impl fmt::Display for CardStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table { table, entries } => {
                write!(f, "table {} of {entries} entries", table.name())
            }
            Self::Bind => f.write_str("to bind the program to it"),
            Self::Verify => f.write_str("the program's instructions"),
            Self::Hook(hook) => write!(f, "to run the program ({hook})"),
            Self::Unhook(hook) => write!(f, "to let go of the program ({hook})"),
            Self::ReadBack => f.write_str("to run what it had accepted"),
            Self::Write { table } => write!(f, "an entry of table {}", table.name()),
            Self::Delete { table } => {
                write!(f, "to remove an entry of table {}", table.name())
            }
            Self::Read { table } => write!(f, "to read table {}", table.name()),
        }
    }
}

/// What a card did not take, and the words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardRefusal {
    /// The card's link.
    pub link: LinkName,
    /// At which point.
    pub step: CardStep,
    /// The kernel's number.
    pub errno: Errno,
    /// What the kernel or the driver said beyond the number: the extended acknowledgement, the end of the verifier's
    /// log, or what reading back showed.
    pub words: Option<String>,
}

impl CardRefusal {
    /// A table is full, or there is no room for one of that size.
    pub fn is_about_room(&self) -> bool {
        matches!(self.errno, Errno::E2BIG | Errno::ENOMEM | Errno::ENOSPC)
    }

    /// The card is gone.
    pub fn is_about_absence(&self) -> bool {
        matches!(self.errno, Errno::ENODEV | Errno::ENXIO)
    }

    fn advice(&self) -> &'static str {
        match (self.errno, &self.step) {
            (Errno::E2BIG | Errno::ENOSPC, _) => "; the table is full: give the card fewer entries",
            (Errno::ENOMEM, _) => "; the card has no room: give it smaller tables",
            (Errno::ENODEV | Errno::ENXIO, _) => {
                "; the device is gone: the host goes on without it"
            }
            (Errno::EPERM | Errno::EACCES, _) => {
                "; run as root, or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON"
            }
            // The number comes from the kernel, which did not ask the driver, or from the driver.
            (Errno::EINVAL | Errno::EOPNOTSUPP, CardStep::Table { .. }) => {
                "; the link's driver takes no programs at all, or no table of this kind"
            }
            _ => "",
        }
    }
}

impl fmt::Display for CardRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { link, step, errno, words } = self;
        if *step == CardStep::ReadBack {
            write!(f, "{link}: the card accepted the program, but does not run it")?;
        } else {
            let (errno, advice) = (errno_text(*errno), self.advice());
            write!(f, "{link}: the card refused {step}: {errno}{advice}")?;
        }
        match words {
            Some(words) if words.contains('\n') => write!(f, "; the kernel says:\n{words}"),
            Some(words) => write!(f, "; the kernel says '{words}'"),
            None => Ok(()),
        }
    }
}

/// Where a program of ours really is, as read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CardActual {
    /// The card runs it: the link shows its id in hardware mode, or the filter is `in_hw`.
    OnCard,
    /// It runs in the kernel in place of a card, bound by a card's limits.
    Emulated,
    /// The hook is empty or somebody else has it.
    NotHooked {
        /// What is there.
        found: String,
    },
    /// The filter is there, but the card does not run it (`not_in_hw`).
    NotInHardware,
    /// The device is gone; program and tables are shells.
    DeviceGone,
}

impl CardActual {
    /// Whether packets meet the program.
    pub fn runs(&self) -> bool {
        matches!(self, Self::OnCard | Self::Emulated)
    }
}

impl fmt::Display for CardActual {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OnCard => f.write_str("on the card"),
            Self::Emulated => f.write_str("in the kernel, in place of a card"),
            Self::NotHooked { found } => write!(f, "not at its hook: {found}"),
            Self::NotInHardware => f.write_str("not in hardware: the filter says not_in_hw"),
            Self::DeviceGone => f.write_str("nowhere: the device is gone"),
        }
    }
}

/// A table of ours on a card, as the kernel shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardTableState {
    /// Which one.
    pub table: CardTable,
    /// Kernel's id of the map.
    pub id: u32,
    /// How many entries it has room for.
    pub entries: u32,
    /// Whether it lies on the card of that link.
    pub on_card: bool,
}

/// A program of ours for a card: what was asked for, and what is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardState {
    /// The link.
    pub link: LinkName,
    /// The hook that was asked for.
    pub hook: CardHook,
    /// The program that was asked for.
    pub program: CardProgram,
    /// Kernel's id of the program; zero if the device is gone.
    pub program_id: u32,
    /// Where it really is.
    pub actual: CardActual,
    /// Its tables, in the order of the ABI.
    pub tables: Vec<CardTableState>,
    /// Whether it is the program that is built into this binary. If not, place it again: its tables may mean something
    /// else.
    pub current: bool,
}

/// What [`super::Cards::place`] did, as read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// What runs now.
    pub state: CardState,
    /// The program of ours that was there.
    pub before: Option<Removed>,
}

/// A program that was taken off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// What it was.
    pub program: CardProgram,
    /// Whether its tables had the meaning of this version.
    pub current: bool,
    /// The last entries of the tables that it counted in, and of its backends; without those that could not be read
    /// any more.
    pub contents: Vec<CardTableContents>,
}

/// What somebody else has where a program of ours would go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CardForeign {
    /// An XDP program in hardware mode.
    Program(ForeignProgram),
    /// A filter at the link's ingress that the card runs.
    Filter(ForeignFilter),
}

impl fmt::Display for CardForeign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Program(program) => program.fmt(f),
            Self::Filter(filter) => filter.fmt(f),
        }
    }
}

/// A tc filter that is not ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignFilter {
    /// Its kind, such as `bpf` or `flower`.
    pub kind: String,
    /// Its name, if it has one.
    pub name: String,
    /// Its priority.
    pub priority: u16,
    /// Its handle.
    pub handle: u32,
    /// Kernel's id of its BPF program, if it has one.
    pub program: Option<u32>,
}

impl ForeignFilter {
    /// The command that removes it.
    pub fn removal(&self, link: &str) -> String {
        format!("tc filter del dev {link} ingress prio {}", self.priority)
    }
}

impl fmt::Display for ForeignFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, name, priority, handle, program } = self;
        write!(f, "{kind} filter '{name}' (priority {priority}, handle {handle:#x}")?;
        match program {
            Some(id) => write!(f, ", program id {id})"),
            None => f.write_str(")"),
        }
    }
}
