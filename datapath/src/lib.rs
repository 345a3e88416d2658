//! The packet pipeline of Sluice, written once.
//!
//! The stages are generic over a [`Packet`] and over [`Tables`]: the host eBPF program binds them to
//! kernel maps, user space to memory ([`native`]), so that kernel, tests and simulator run the same code.
#![cfg_attr(not(any(test, feature = "std")), no_std)]
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]

pub mod abi;
pub mod card;
pub mod hash;
mod mode;
#[cfg(any(test, feature = "std"))]
pub mod native;
mod opaque;
mod outcome;
pub mod packet;
mod pipeline;
pub mod stages;
mod tables;

pub(crate) use mode::Mode;
pub(crate) use outcome::Defer;
pub use outcome::{Action, Outcome};
pub use packet::Packet;
pub use pipeline::{
    Next, Program, event, fast, fragment, fragment_nat, full, icmp, icmp_nat, nat, open, run,
    too_big,
};
pub use tables::{Step, Tables};
