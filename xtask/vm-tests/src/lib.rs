//! What the tests in the virtual machine share: a simulated NIC for each test, programs and tables made without any of
//! Sluice's own code, and commands whose answers are read.
//!
//! The tests are the targets `tests/vm_*.rs`; `cargo xtask vm test` runs them. Started elsewhere they say so and pass.

mod command;
mod kernel;
mod nic;
mod pins;
mod program;
mod table;

pub use command::{Said, command, command_with_input};
pub use kernel::{EXPECTATIONS, Expectations, expectations};
pub use nic::Nic;
pub use pins::Pins;
pub use program::{Kind, Program, Verdict};
pub use table::table;

/// Whether this is the virtual machine's guest; if not, says so as a test that is skipped does.
#[must_use]
pub fn in_guest() -> bool {
    let in_guest = std::env::var_os("SLUICE_VM").is_some();
    if !in_guest {
        println!("skipped: runs in the virtual machine: cargo xtask vm test");
    }
    in_guest
}

/// The number of an error that libbpf reports: it is only in its text.
///
/// # Panics
/// When there is no number.
#[must_use]
pub fn errno(error: &libbpf_rs::Error) -> i32 {
    let text = format!("{error:?}");
    let number = text.rsplit_once("os error ").and_then(|(_, rest)| {
        rest.split(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse().ok())
    });
    number.unwrap_or_else(|| panic!("no number in {text}"))
}

/// `ENOTSUPP`, which the kernel should keep to itself and doesn't.
pub const ENOTSUPP: i32 = 524;
