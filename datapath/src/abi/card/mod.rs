//! The tables of a card: what a network card that runs programs of ours is told.
//!
//! A card holds copies of a part of the host's tables. A packet that finds everything it needs there is finished
//! on the card, any other goes to the host as it came. So the tables are small, exact and self-contained, and
//! their shapes are those that the only such driver in the kernel takes (nfp, in `drivers/net/ethernet/netronome`):
//! arrays and hashes without flags, key and value of at most [`CARD_ENTRY_BYTES`] together, keys of 32-bit words.
//! A word that the program adds to is neither read nor written by it, and starts at zero.
//!
//! # Order of changes
//! The host's tables are complete at every moment; what stands on the card must be true at every moment. Hence:
//! 1. Withdraw what will not be true any more: services, then denying prefixes. The flags of a family
//!    ([`CardSettings::flags`]) switch a whole stage off by one word.
//! 2. Change the host.
//! 3. Take away the allowing prefixes that are gone: before, a denying prefix around one would drop what the host
//!    still lets through. Add what is true now: allowing prefixes, then denying ones; backends, slots, then the service
//!    that uses them.
//!
//! Slots and backends are only written while no service on the card uses them, lengths
//! ([`CardSettings::lengths`]) only while the stage is off: they are several words, and a packet could see some of
//! them.

mod backend;
mod count;
mod prefix;
mod service;
mod settings;
mod table;

pub use backend::CardBackend;
pub use count::CardCounts;
pub use prefix::{CardPrefix, CardPrefixKey4, CardPrefixKey6};
pub use service::{CardService, CardServiceKey4, CardServiceKey6, CardSlot};
pub use settings::{CARD_LENGTHS, CardFlags, CardLength, CardSettings};
pub use table::{CardTable, CardTableKind};

/// The version of the card's tables together with the names and kinds of the maps. It stands in
/// [`CardSettings::version`]; a daemon that finds another one on a card takes that card's programs off.
pub const CARD_ABI_VERSION: u32 = 1;

/// Key and value of an entry, each rounded up to eight bytes, are at most this long together.
pub const CARD_ENTRY_BYTES: usize = 64;
