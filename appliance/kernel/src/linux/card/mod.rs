//! Programs on cards, in the Linux kernel.
//!
//! A program of ours is what is pinned in the pin directory; see [`pins`].

mod entries;
mod filter;
mod found;
mod hook;
mod load;
mod object;
mod open;
mod pins;
mod place;
mod remove;

pub(super) use remove::remove_all_below;

use super::{PIN_DIRECTORY, pins::Pins, sys::Kernel};
use crate::{
    CardEntry, CardForeign, CardLoader, CardRequest, CardState, LoadedCard, Placed, Removed,
    Result, chaos::Faults,
};
use sluice_datapath::abi::CardTable;
use std::{path::PathBuf, sync::Arc};

/// How to open the cards.
#[derive(Clone, Debug)]
pub struct CardOptions {
    /// Where programs and tables are pinned: below the directory of the datapath.
    pub pin_directory: PathBuf,
    /// Runs the programs in the kernel in place of a card, under these limits.
    pub emulation: Option<Emulation>,
    /// Lets single kernel operations fail, by names such as `map_create`, `card_bind`, `card_verify` and `hook`. For
    /// tests.
    pub faults: Option<Faults>,
}

/// The limits of a card that is not there: the programs run as native XDP or as a filter in software, with real packets.
/// The link must be one that the host's program is not on, such as the outer end of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Emulation {
    /// Tables of more entries are refused with `ENOMEM`; those that the ABI fixes are always taken.
    pub max_entries: u32,
}

impl Default for CardOptions {
    fn default() -> Self {
        Self { pin_directory: PIN_DIRECTORY.into(), emulation: None, faults: None }
    }
}

impl CardOptions {
    /// Another pin directory.
    #[must_use]
    pub fn pinned_in(mut self, directory: impl Into<PathBuf>) -> Self {
        self.pin_directory = directory.into();
        self
    }

    /// Emulated cards.
    #[must_use]
    pub fn emulated(mut self, emulation: Emulation) -> Self {
        self.emulation = Some(emulation);
        self
    }

    /// Kernel operations that fail.
    #[must_use]
    pub fn with_faults(mut self, faults: Faults) -> Self {
        self.faults = Some(faults);
        self
    }
}

/// The cards of this machine. Dropping it leaves everything running.
pub struct Cards {
    kernel: Kernel,
    pins: Arc<Pins>,
    emulation: Option<Emulation>,
}

/// What was found when the cards were opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardsOpened {
    /// Programs of ours, on cards and of cards that are gone.
    pub placed: Vec<CardState>,
    /// What was put in order, in words: an interrupted change, programs that no pin held.
    pub notes: Vec<String>,
}

impl Cards {
    /// Takes over what an earlier process left, ends a change that it began, and takes off programs of ours that it lost.
    ///
    /// # Errors
    /// [`crate::Error::InUse`] while another process has the directory; [`crate::Error::Kernel`].
    pub fn open(options: &CardOptions) -> Result<(Self, CardsOpened)> {
        open::open(options)
    }
}

/// The same cards; it only loads.
struct Loader(Cards);

impl CardLoader for Loader {
    fn load(&self, request: &CardRequest) -> Result<LoadedCard> {
        Ok(LoadedCard::new(request, self.0.load_program(request)?))
    }
}

impl crate::Cards for Cards {
    fn place(&mut self, request: &CardRequest) -> Result<Placed> {
        let loaded = self.load_program(request)?;
        self.place_program(request, loaded)
    }

    fn loader(&self) -> Box<dyn CardLoader> {
        let Self { kernel, pins, emulation } = self;
        let same = Self { kernel: kernel.clone(), pins: Arc::clone(pins), emulation: *emulation };
        Box::new(Loader(same))
    }

    fn place_loaded(&mut self, request: &CardRequest, loaded: LoadedCard) -> Result<Placed> {
        self.place_program(request, loaded.open(request)?)
    }

    fn remove(&mut self, ifindex: u32) -> Result<Option<Removed>> {
        self.remove_program(ifindex)
    }

    fn placed(&self) -> Result<Vec<CardState>> {
        self.all_found()?.iter().map(|found| self.state_of(found)).collect()
    }

    fn foreign(&self, ifindex: u32) -> Result<Vec<CardForeign>> {
        self.foreign_on(ifindex)
    }

    fn upsert(&mut self, ifindex: u32, table: CardTable, key: &[u8], value: &[u8]) -> Result<()> {
        self.write_entry(ifindex, table, key, value)
    }

    fn delete(&mut self, ifindex: u32, table: CardTable, key: &[u8]) -> Result<bool> {
        self.delete_entry(ifindex, table, key)
    }

    fn read(&self, ifindex: u32, table: CardTable, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.read_entry(ifindex, table, key)
    }

    fn entries(&self, ifindex: u32, table: CardTable) -> Result<Vec<CardEntry>> {
        self.read_entries(ifindex, table)
    }
}
