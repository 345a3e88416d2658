//! `cargo xtask check-offload`: would a card take these programs?
//!
//! Only one driver in the kernel runs BPF programs on a card: nfp. It checks a program while the kernel's verifier walks
//! over it, and translates it afterwards; both refuse what the card cannot do. Such cards are rare, so the rules are
//! checked here, on the compiled programs. Each rule names the function of the driver that it is read from. What
//! depends on the card's firmware (how many entries, how long a program) is not known here.

mod live;
mod program;
mod rules;
#[cfg(test)]
mod samples;
mod value;
mod walk;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::{ebpf, paths};

#[derive(Args, Default)]
pub(crate) struct Options {
    /// Object files; without any, those that `cargo xtask build-ebpf` makes for cards
    files: Vec<PathBuf>,
}

pub(crate) fn check_offload(options: &Options) -> Result<ExitCode> {
    let files = if options.files.is_empty() { card_objects() } else { options.files.clone() };
    let mut refused = 0;
    for file in &files {
        let bytes = fs::read(file).with_context(|| {
            format!("cannot read {}: run `cargo xtask build-ebpf` first", file.display())
        })?;
        let programs =
            program::read(&bytes).with_context(|| format!("cannot check {}", file.display()))?;
        for program in programs {
            let name = file.file_name().unwrap_or_default().display();
            match walk::check(&program) {
                Ok(accepted) => println!("{name}, {}: accepted, {accepted}", program.name),
                Err(refusal) => {
                    println!("{name}, {}: refused\n{refusal}", program.name);
                    refused += 1;
                }
            }
        }
    }
    Ok(if refused == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// An error where a card would refuse one of the object's programs.
pub(crate) fn require(bytes: &[u8]) -> Result<()> {
    for program in program::read(bytes)? {
        if let Err(refusal) = walk::check(&program) {
            bail!("a card would refuse the program {}\n{refusal}", program.name);
        }
    }
    Ok(())
}

/// The objects for cards.
pub(crate) fn card_objects() -> Vec<PathBuf> {
    ebpf::CARD_OBJECTS.iter().map(|name| paths::ebpf_objects().join(format!("{name}.o"))).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test ends where it fails")]
mod tests {
    use super::*;

    /// The promise of this check: what is built for cards is what they take.
    #[test]
    fn the_programs_for_cards_are_accepted() {
        for file in card_objects() {
            if !file.is_file() {
                println!("skipped: {} is not built: cargo xtask build-ebpf", file.display());
                return;
            }
            for program in program::read(&fs::read(&file).unwrap()).unwrap() {
                if let Err(refusal) = walk::check(&program) {
                    panic!("{}: {refusal}", file.display());
                }
            }
        }
    }
}
