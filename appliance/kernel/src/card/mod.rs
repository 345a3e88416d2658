//! Programs on network cards.
//!
//! The host's program is complete; a program on a card only takes work away. So a card may hold a part of the entries
//! or none: a packet that the card does not finish is the host's. From that follows what can be promised here: an empty
//! program on a card changes nothing, and taking it off changes nothing either.

pub(crate) mod check;
mod entry;
mod loaded;
mod request;
mod state;

pub use entry::{CardEntry, CardTableContents, CardTableOf, card_tables};
pub use loaded::{CardLoader, LoadedCard};
pub(crate) use request::COUNTING;
pub use request::{CardHook, CardProgram, CardRequest, CardSizes};
pub use state::{
    CardActual, CardForeign, CardRefusal, CardState, CardStep, CardTableState, ForeignFilter,
    Placed, Removed,
};

use crate::Result;
pub(crate) use entry::{bytes_of, value_from};
use sluice_datapath::abi::{CardTable, Plain};

/// The programs and tables of ours on the cards of this machine. A card is addressed by the index of its link.
///
/// Calls wait for the card: writing an entry takes microseconds, [`Cards::place`] milliseconds to seconds, because the
/// driver verifies and translates the program. Where nothing may block for so long, a [`CardLoader`] does that elsewhere,
/// and [`Cards::place_loaded`] the rest.
///
/// Nothing is believed that was not read back: [`Placed`] and [`CardState`] are what the kernel shows after the call.
/// Everything survives the process, as on the host: who opens the cards later finds it in [`Cards::placed`] and may go
/// on with it or remove it. Programs and filters of others are named and never touched.
///
/// Keys and values are bytes of the types of `sluice_datapath::abi`; `dyn Cards` has typed forms of the calls for
/// entries.
///
/// # Errors
/// [`crate::Error::Card`] says at which [`CardStep`] a card refused and with which words; a card that is full answers
/// `E2BIG` or `ENOMEM`, one that is gone `ENODEV`. The calls for entries give [`crate::Error::NotPlaced`] if there is
/// no program of ours, [`crate::Error::NoSuchCardTable`] if its stages have no such table.
pub trait Cards: Send {
    /// Loads a program for the card with tables of the request's sizes, writes the request's entries into them, and
    /// hooks it. What is not written is empty or zero.
    ///
    /// A program of ours at the same hook is replaced in one step: each packet meets the old or the new. At another
    /// hook the old one is taken off first, because cards run one of both; packets meanwhile are the host's. Tables are
    /// always new: what the old ones counted last is returned.
    ///
    /// # Errors
    /// [`crate::Error::Foreign`] and [`crate::Error::ForeignFilter`] if somebody else has the card,
    /// [`crate::Error::NoCardProgram`] if the program does not fit the hook ([`CardProgram::fits`]). After any error the
    /// card runs what it ran before, or [`crate::Error::NotRestored`] says that it runs nothing; nothing of the new
    /// program is left.
    fn place(&mut self, request: &CardRequest) -> Result<Placed>;

    /// Loads programs for the cards, apart from everything else.
    fn loader(&self) -> Box<dyn CardLoader>;

    /// [`Cards::place`] with a program that was loaded for the request's card, hook, program and sizes: what is left is
    /// to write the entries and to hook it.
    ///
    /// # Errors
    /// As [`Cards::place`]; [`crate::Error::LoadedForAnother`] if it [does not fit](LoadedCard::fits).
    fn place_loaded(&mut self, request: &CardRequest, loaded: LoadedCard) -> Result<Placed>;

    /// Takes our program off a card and frees its tables, also when somebody took it off before or the device is gone;
    /// none if there is nothing of ours. What it counted last is returned as far as it can still be read.
    fn remove(&mut self, ifindex: u32) -> Result<Option<Removed>>;

    /// Everything of ours on cards, read from the kernel, in the order of the links' indices: what an earlier process
    /// left too, and what is left of devices that are gone ([`CardActual::DeviceGone`]) until it is removed.
    fn placed(&self) -> Result<Vec<CardState>>;

    /// What others have on a card where a program of ours would go.
    fn foreign(&self, ifindex: u32) -> Result<Vec<CardForeign>>;

    /// Writes an entry, whether it was there or not. The value is written as it is: counters in it begin anew.
    fn upsert(&mut self, ifindex: u32, table: CardTable, key: &[u8], value: &[u8]) -> Result<()>;

    /// Removes an entry of a hash table; whether it was there. Entries of arrays cannot be removed (`EINVAL`).
    fn delete(&mut self, ifindex: u32, table: CardTable, key: &[u8]) -> Result<bool>;

    /// Reads an entry with its counters; none if it is not there.
    fn read(&self, ifindex: u32, table: CardTable, key: &[u8]) -> Result<Option<Vec<u8>>>;

    /// All entries of a table with their counters: of a hash table those that are there, in no order; of an array all
    /// by index.
    fn entries(&self, ifindex: u32, table: CardTable) -> Result<Vec<CardEntry>>;
}

impl dyn Cards + '_ {
    /// [`Cards::upsert`], typed: `cards.set(ifindex, card_tables::SLOTS, &7, &CardSlot::new(2))`.
    ///
    /// # Errors
    /// As [`Cards::upsert`].
    pub fn set<K: Plain, V: Plain>(
        &mut self,
        ifindex: u32,
        table: CardTableOf<K, V>,
        key: &K,
        value: &V,
    ) -> Result<()> {
        self.upsert(ifindex, table.table(), &bytes_of(key), &bytes_of(value))
    }

    /// [`Cards::delete`], typed.
    ///
    /// # Errors
    /// As [`Cards::delete`].
    pub fn unset<K: Plain, V: Plain>(
        &mut self,
        ifindex: u32,
        table: CardTableOf<K, V>,
        key: &K,
    ) -> Result<bool> {
        self.delete(ifindex, table.table(), &bytes_of(key))
    }

    /// [`Cards::read`], typed.
    ///
    /// # Errors
    /// As [`Cards::read`].
    pub fn get<K: Plain, V: Plain>(
        &self,
        ifindex: u32,
        table: CardTableOf<K, V>,
        key: &K,
    ) -> Result<Option<V>> {
        let value = self.read(ifindex, table.table(), &bytes_of(key))?;
        Ok(value.and_then(|bytes| value_from(&bytes)))
    }

    /// [`Cards::entries`], typed.
    ///
    /// # Errors
    /// As [`Cards::entries`].
    pub fn all<K: Plain, V: Plain>(
        &self,
        ifindex: u32,
        table: CardTableOf<K, V>,
    ) -> Result<Vec<(K, V)>> {
        Ok(self.entries(ifindex, table.table())?.iter().filter_map(|e| e.read(table)).collect())
    }
}
