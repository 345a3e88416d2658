//! Simulated NICs of the kernel's driver netdevsim: made, linked, made to refuse, looked into, and removed even when a
//! test panics.
//!
//! Programs that are offloaded onto such a device are verified, attached and listed as on a card, but never run, and what it
//! is said to encrypt is sent in clear: it proves control, not packets.

mod bound;
mod bus;
mod device;
mod error;
mod ipsec;
mod knob;
mod link;
mod named;
mod port;
mod within;

pub use bound::BoundProgram;
pub use bus::available;
pub use device::{Builder, Device};
pub use error::Error;
pub use ipsec::{Ipsec, SecurityAssociation};
pub use knob::{DeviceKnob, PortKnob};
pub use link::Link;
pub use named::Named;
pub use port::Port;
pub use within::{NetworkNamespace, within};
