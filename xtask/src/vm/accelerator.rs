//! How the guest's processor is made: by the machine's own virtualisation, or emulated.
//!
//! That /dev/kvm is there says little: inside another virtual machine a guest may die at once or stand still for ever. So
//! the kernel is started once, and the outcome kept until the machine starts anew.

use std::fmt;
use std::fs::{self, File};
use std::time::Duration;

use anyhow::Result;

use super::files::Files;
use super::guest::{Guest, Outcome};
use crate::paths;

/// A guest that KVM runs well is up and down again in three seconds.
const TRIAL: Duration = Duration::from_secs(20);
const DEVICE: &str = "/dev/kvm";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Accelerator {
    Kvm,
    /// QEMU's own translation of instructions, with the reason why not KVM.
    Emulation(String),
}

impl Accelerator {
    /// The best that works here.
    pub(super) fn choose(files: &Files) -> Result<Self> {
        let kept = paths::cache().join("vm").join("accelerator");
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        if let Some(choice) =
            fs::read_to_string(&kept).ok().and_then(|text| Self::parse(&text, boot.trim()))
        {
            return Ok(choice);
        }
        let choice = match trial(files)? {
            None => Accelerator::Kvm,
            Some(reason) => Accelerator::Emulation(reason),
        };
        fs::write(kept, choice.written(boot.trim()))?;
        Ok(choice)
    }

    fn written(&self, boot: &str) -> String {
        match self {
            Accelerator::Kvm => format!("{boot}\n"),
            Accelerator::Emulation(reason) => format!("{boot}\n{reason}\n"),
        }
    }

    /// What was kept, unless the machine was started anew since.
    fn parse(text: &str, boot: &str) -> Option<Self> {
        let mut lines = text.lines();
        (lines.next()? == boot).then(|| match lines.next() {
            None => Accelerator::Kvm,
            Some(reason) => Accelerator::Emulation(reason.to_owned()),
        })
    }

    /// The arguments of QEMU.
    pub(super) fn arguments(&self) -> &'static [&'static str] {
        match self {
            Accelerator::Kvm => &["-accel", "kvm", "-cpu", "host", "-smp", "2"],
            // More than one emulated processor made the guest panic now and then.
            Accelerator::Emulation(_) => &["-accel", "tcg", "-cpu", "qemu64,+rdrand", "-smp", "1"],
        }
    }
}

impl fmt::Display for Accelerator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Accelerator::Kvm => formatter.write_str("on KVM"),
            Accelerator::Emulation(reason) => {
                write!(formatter, "emulated (TCG), because {reason}")
            }
        }
    }
}

/// Why KVM cannot be used, or nothing.
fn trial(files: &Files) -> Result<Option<String>> {
    if let Err(error) = File::options().read(true).write(true).open(DEVICE) {
        return Ok(Some(format!("{DEVICE} cannot be opened: {error}")));
    }
    println!("trying whether a guest starts on KVM");
    let outcome = Guest::new(files, Accelerator::Kvm, TRIAL).run_once("true", |_| ())?;
    Ok(match outcome {
        Outcome::Ended { status: 0, .. } => None,
        Outcome::Ended { status, .. } => {
            Some(format!("a trial guest on KVM ended with status {status}"))
        }
        Outcome::TimedOut => {
            Some(format!("a trial guest on KVM was not done within {} s", TRIAL.as_secs()))
        }
        Outcome::Died { why, .. } => Some(format!("a trial guest on KVM died: {why}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_kept_until_the_machine_starts_anew() {
        for choice in [Accelerator::Kvm, Accelerator::Emulation("it stood still".to_owned())] {
            let text = choice.written("boot-1");
            assert_eq!(Accelerator::parse(&text, "boot-1"), Some(choice));
            assert_eq!(Accelerator::parse(&text, "boot-2"), None);
        }
        assert_eq!(Accelerator::parse("", "boot-1"), None);
    }
}
