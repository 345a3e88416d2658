//! Hashes of the datapath. All are seedless: gateways with the same configuration choose the same backends.

mod flow;
#[cfg(any(test, feature = "std"))]
mod maglev;
mod mix;

pub use flow::{FlowHash, flow, source};
#[cfg(any(test, feature = "std"))]
pub use maglev::{MAX_SLOT_BITS, Member, slot_bits, slots};
pub(crate) use mix::finish;
pub use mix::{address, fold, prefix4, prefix6, unit6};
