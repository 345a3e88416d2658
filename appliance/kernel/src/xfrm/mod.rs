//! The kernel's IPsec over netlink: states (security associations), policies and what the kernel tells about them, as types and
//! as bytes. Nothing in here calls the kernel.
//!
//! The layouts are those of `include/uapi/linux/xfrm.h` on 64-bit machines. [`Message`] is the one type that becomes bytes and is
//! read from bytes; what the others are good for is said with each. A message that is cut short or lies about lengths is
//! [`Malformed`], never misread. Attributes that are not known here are skipped: newer kernels add some with every release.

mod algorithm;
mod attributes;
mod constants;
mod encapsulation;
mod ends;
mod event;
mod info;
mod key;
mod lifetime;
mod message;
mod offload;
mod policy;
mod replay;
mod selector;
mod state;
#[cfg(test)]
mod tests;
mod wire;

pub use algorithm::{Aead, Algorithms, Authentication, Cipher, Suite};
pub use encapsulation::Encapsulation;
pub use ends::{Ends, Family};
pub use event::{Acquire, AssociationEvent, EventCause, Expired, PolicyExpired};
pub use info::{DefaultAction, Defaults, PolicyCounts, StateCounts};
pub use key::{Key, KeyLength};
pub use lifetime::{Limits, Usage};
pub use message::{Filter, Message};
pub use offload::{Offload, OffloadKind};
pub use policy::{
    Action, Policy, PolicyDirection, PolicyId, PolicyUse, Template, Templates, TooManyTemplates,
};
pub use replay::{Bitmap, Replay, ReplayEsn, ReplayLegacy, WindowTooLarge};
pub use selector::{Addresses, Ports, Selector};
pub use state::{Direction, Mark, Mode, State, StateFlags, StateId, Statistics};
pub use wire::Malformed;
pub(crate) use wire::{Reader, Writer};

/// `IPPROTO_ESP` of `include/uapi/linux/in.h`.
pub const ESP: u8 = 50;
