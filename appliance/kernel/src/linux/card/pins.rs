//! What is pinned for cards, below the pin directory:
//!
//! ```text
//! cards/<ifindex>/program   the program
//! cards/<ifindex>/<TABLE>   its tables
//! cards/<ifindex>/about     a symbolic link whose target says what it is
//! cards/<ifindex>-next/     another set, while one takes the place of the other
//! cards/<ifindex>-qdisc     a symbolic link: the queueing discipline that holds filters was made by us
//! ```
//!
//! The programs run without the pins too, but only a pin says that a program is ours and not that of somebody who gave
//! it the same name, and the pins keep the tables of a program that somebody took off.

use crate::{
    CardHook, CardProgram,
    linux::{pins::Pins, sys::Kernel},
};
use sluice_datapath::abi::CardTable;
use std::{
    fs,
    path::{Path, PathBuf},
};

const NEXT: &str = "-next";
const QDISC: &str = "-qdisc";

/// The directory of all cards.
pub(super) fn root(pin_directory: &Path) -> PathBuf {
    pin_directory.join("cards")
}

/// The pins of one program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CardPins(pub(super) PathBuf);

impl CardPins {
    /// Those of a card.
    pub(super) fn of(pins: &Pins, ifindex: u32) -> Self {
        Self(pins.root().join(ifindex.to_string()))
    }

    /// Those that are to become those of a card.
    pub(super) fn next(pins: &Pins, ifindex: u32) -> Self {
        Self(pins.root().join(format!("{ifindex}{NEXT}")))
    }

    pub(super) fn program(&self) -> PathBuf {
        self.0.join("program")
    }

    pub(super) fn table(&self, table: CardTable) -> PathBuf {
        self.0.join(table.name())
    }

    fn about(&self) -> PathBuf {
        self.0.join("about")
    }

    pub(super) fn read_about(&self) -> Option<About> {
        About::read(fs::read_link(self.about()).ok()?.to_str()?)
    }

    pub(super) fn write_about(&self, kernel: &Kernel, about: &About) -> nix::Result<()> {
        kernel.write_note(&self.about(), &about.text())
    }
}

/// The indices of the links that have pins, and of those that have pins which are to take their place.
pub(super) fn list(pins: &Pins) -> crate::Result<(Vec<u32>, Vec<u32>)> {
    let (mut placed, mut next) = (Vec::new(), Vec::new());
    for path in crate::linux::pins::files(pins.root())? {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        match name.strip_suffix(NEXT) {
            Some(index) => next.extend(index.parse::<u32>()),
            None => placed.extend(name.parse::<u32>()),
        }
    }
    placed.sort_unstable();
    next.sort_unstable();
    Ok((placed, next))
}

/// The note that the queueing discipline of a link that holds filters was made by us.
pub(super) fn made_qdisc(pins: &Pins, ifindex: u32) -> PathBuf {
    pins.root().join(format!("{ifindex}{QDISC}"))
}

/// The indices of the links whose queueing discipline that holds filters was made by us.
pub(super) fn made_qdiscs(pins: &Pins) -> crate::Result<Vec<u32>> {
    let files = crate::linux::pins::files(pins.root())?;
    let index = |path: &PathBuf| path.file_name()?.to_str()?.strip_suffix(QDISC)?.parse().ok();
    Ok(files.iter().filter_map(index).collect())
}

/// What a program is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct About {
    pub(super) hook: CardHook,
    pub(super) program: CardProgram,
    /// In the kernel, in place of a card.
    pub(super) emulated: bool,
    /// Which build of the program.
    pub(super) build: u64,
}

impl About {
    fn text(&self) -> String {
        let Self { hook, program, emulated, build } = self;
        let place = if *emulated { "emulated" } else { "card" };
        format!("{hook} {program} {place} {build:016x}")
    }

    fn read(text: &str) -> Option<Self> {
        let [hook, program, place, build] = text.split(' ').collect::<Vec<_>>().try_into().ok()?;
        Some(Self {
            hook: CardHook::ALL.into_iter().find(|known| known.name() == hook)?,
            program: CardProgram::ALL.into_iter().find(|known| known.name() == program)?,
            emulated: place == "emulated",
            build: u64::from_str_radix(build, 16).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_about_a_program_is_read_again() {
        for hook in CardHook::ALL {
            for program in CardProgram::ALL {
                for bit in [false, true] {
                    let about = About { hook, program, emulated: bit, build: 0xabc };
                    assert_eq!(About::read(&about.text()), Some(about));
                }
            }
        }
        assert_eq!(About::read("xdp both"), None);
    }
}
