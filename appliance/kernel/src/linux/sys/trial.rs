//! Programs and maps for trials: small, of either type, and for a device if one is given.

use super::{Command, Kernel, Sys, address, bpf_fd, object_name};
use nix::errno::Errno;
use std::os::fd::OwnedFd;

/// Enough for the words of a driver, which come last.
const LOG_BYTES: usize = 1 << 20;
const F_XDP_HAS_FRAGS: u32 = 1 << 5;
const ATTACH_XDP: u32 = 37;

/// Types of `enum bpf_prog_type` that run in links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::linux) enum TrialType {
    Classifier = 3,
    Xdp = 6,
}

/// A program on trial.
pub(in crate::linux) struct TrialProgram<'a> {
    pub(in crate::linux) name: &'a str,
    pub(in crate::linux) kind: TrialType,
    pub(in crate::linux) code: &'a [u64],
    pub(in crate::linux) frags: bool,
    /// The device that is to run it; zero for the host.
    pub(in crate::linux) ifindex: u32,
}

/// A map on trial.
pub(in crate::linux) struct TrialMap<'a> {
    pub(in crate::linux) name: &'a str,
    pub(in crate::linux) kind: u32,
    pub(in crate::linux) key_bytes: u32,
    pub(in crate::linux) value_bytes: u32,
    pub(in crate::linux) entries: u32,
    pub(in crate::linux) flags: u32,
    /// The device that is to hold it; zero for the host.
    pub(in crate::linux) ifindex: u32,
}

impl Kernel {
    /// Loads a program on trial; on refusal the number and the verifier's log.
    pub(in crate::linux) fn trial_program(
        &self,
        trial: &TrialProgram<'_>,
    ) -> Result<OwnedFd, (Errno, String)> {
        self.check("trial_program").map_err(|errno| (errno, String::new()))?;
        // The log of a long program costs more than its verification, and only a refusal is read.
        let errno = match load(trial, &mut []) {
            Ok(program) => return Ok(program),
            Err(errno) => errno,
        };
        let mut log = vec![0u8; LOG_BYTES];
        drop(load(trial, &mut log));
        let length = log.iter().position(|byte| *byte == 0).unwrap_or(log.len());
        Err((errno, String::from_utf8_lossy(&log[..length]).into_owned()))
    }

    /// Creates a map on trial.
    pub(in crate::linux) fn trial_map(&self, trial: &TrialMap<'_>) -> Sys<OwnedFd> {
        #[repr(C)]
        struct Attributes {
            kind: u32,
            key_bytes: u32,
            value_bytes: u32,
            entries: u32,
            flags: u32,
            inner_map: u32,
            numa_node: u32,
            name: [u8; 16],
            ifindex: u32,
        }
        self.check("trial_map")?;
        let mut attributes = Attributes {
            kind: trial.kind,
            key_bytes: trial.key_bytes,
            value_bytes: trial.value_bytes,
            entries: trial.entries,
            flags: trial.flags,
            inner_map: 0,
            numa_node: 0,
            name: object_name(trial.name),
            ifindex: trial.ifindex,
        };
        // SAFETY: the attributes hold no addresses; the call returns a new descriptor.
        unsafe { bpf_fd(Command::MapCreate, &mut attributes) }
    }
}

fn load(trial: &TrialProgram<'_>, log: &mut [u8]) -> Sys<OwnedFd> {
    #[repr(C)]
    #[derive(Default)]
    struct Attributes {
        kind: u32,
        instruction_count: u32,
        instructions: u64,
        license: u64,
        log_level: u32,
        log_size: u32,
        log: u64,
        kernel_version: u32,
        flags: u32,
        name: [u8; 16],
        ifindex: u32,
        attach_type: u32,
    }
    // Some helpers are for programs under the GPL only.
    let license = c"Dual MIT/GPL";
    let mut attributes = Attributes {
        kind: trial.kind as u32,
        instruction_count: trial.code.len() as u32,
        instructions: address(trial.code),
        license: address(license.as_ptr()),
        flags: if trial.frags { F_XDP_HAS_FRAGS } else { 0 },
        name: object_name(trial.name),
        ifindex: trial.ifindex,
        attach_type: if trial.kind == TrialType::Xdp { ATTACH_XDP } else { 0 },
        ..Attributes::default()
    };
    if !log.is_empty() {
        attributes.log_level = 1;
        attributes.log_size = log.len() as u32;
        attributes.log = log.as_mut_ptr() as u64;
    }
    // The verifier gives up when a signal arrives; then it is asked again.
    for _ in 0..5 {
        // SAFETY: all addresses are of live slices of the given lengths.
        match unsafe { bpf_fd(Command::ProgramLoad, &mut attributes) } {
            Err(Errno::EAGAIN) => continue,
            result => return result,
        }
    }
    Err(Errno::EAGAIN)
}
