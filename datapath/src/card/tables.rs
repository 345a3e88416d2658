use crate::abi::{
    CardBackend, CardPrefixKey4, CardPrefixKey6, CardService, CardServiceKey4, CardServiceKey6,
    CardSettings, CardSlot, PrefilterWord,
};

/// The tables that the card's stages work on. What is not there gives `None`. A program has the tables of its stages
/// only, because a card makes every table that an object names: those of the others are empty, and their code is
/// removed.
pub trait CardTables {
    /// The settings of a family: [`CardSettings::IPV4`] or [`CardSettings::IPV6`].
    fn settings(&self, family: u32) -> Option<&CardSettings>;

    /// Counts what became of a packet of `bytes` bytes.
    fn count(&self, outcome: CardOutcome, bytes: usize);

    /// What an IPv4 prefix says. The packet of `bytes` bytes is counted for it.
    #[inline(always)]
    fn prefix4(&self, _key: &CardPrefixKey4, _bytes: usize) -> Option<PrefilterWord> {
        None
    }

    /// What an IPv6 prefix says. The packet of `bytes` bytes is counted for it.
    #[inline(always)]
    fn prefix6(&self, _key: &CardPrefixKey6, _bytes: usize) -> Option<PrefilterWord> {
        None
    }

    /// An IPv4 service.
    #[inline(always)]
    fn service4(&self, _key: &CardServiceKey4) -> Option<&CardService> {
        None
    }

    /// An IPv6 service.
    #[inline(always)]
    fn service6(&self, _key: &CardServiceKey6) -> Option<&CardService> {
        None
    }

    /// A slot of a service.
    #[inline(always)]
    fn slot(&self, _index: u32) -> Option<&CardSlot> {
        None
    }

    /// A backend.
    #[inline(always)]
    fn backend(&self, _index: u32) -> Option<&CardBackend> {
        None
    }

    /// Counts a packet of `bytes` bytes that was sent to a backend.
    #[inline(always)]
    fn count_sent(&self, _backend: u32, _bytes: usize) {}
}

/// What became of a packet on the card, by the fields of [`crate::abi::CardCounts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CardOutcome {
    /// Sent to a backend.
    Sent,
    /// Dropped, because a prefix denies its source.
    Denied,
    /// Passed: the card takes no such packets.
    Unfit,
    /// Passed: nothing on the card concerns it.
    Missed,
    /// Passed: its service is on the card, but this packet is the host's.
    Deferred,
}

/// What the card's program returns. The numbers are those of XDP: a translation would be a table in the object's
/// read-only data, and cards take none.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CardVerdict {
    /// The packet ends here.
    Drop = 1,
    /// On to the host, unchanged.
    Pass = 2,
    /// Out of the link it came in by.
    Transmit = 3,
}
