//! Programs and maps for a device.

use super::{Code, NAME, Refused, Trials, Tried};
use crate::linux::sys::{TrialMap, TrialProgram, TrialType};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The hook that a program is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrialHook {
    /// XDP.
    Xdp,
    /// cls_bpf.
    ClsBpf,
}

/// A program that the device took; it runs nowhere yet.
#[derive(Debug)]
pub struct DeviceProgram(OwnedFd);

/// A map that the device took.
#[derive(Debug)]
pub struct DeviceMap(OwnedFd);

/// Numbers of `enum bpf_map_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum TrialMapKind {
    /// By key.
    Hash = 1,
    /// By index.
    Array = 2,
    /// Other programs.
    ProgramArray = 3,
    /// Events, one buffer per processor.
    PerfEventArray = 4,
    /// By key, one value per processor.
    PerCpuHash = 5,
    /// By index, one value per processor.
    PerCpuArray = 6,
    /// By key, the least recently used gives way.
    LruHash = 9,
    /// By longest prefix.
    LpmTrie = 11,
    /// Links.
    DeviceMap = 14,
    /// Processors.
    CpuMap = 16,
    /// Events.
    RingBuffer = 27,
}

/// A map on trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapTrial {
    /// Its kind.
    pub kind: TrialMapKind,
    /// Length of a key; kinds that prescribe another get theirs.
    pub key_bytes: u32,
    /// Length of a value; kinds that prescribe another get theirs.
    pub value_bytes: u32,
    /// How many entries.
    pub entries: u32,
    /// Read only for programs, as `.rodata` is.
    pub constant: bool,
}

impl AsFd for DeviceProgram {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsFd for DeviceMap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Trials {
    /// Loads a program for the device.
    ///
    /// # Errors
    /// The kernel's refusal, with the verifier's words.
    pub fn load(&self, hook: TrialHook, code: &Code) -> Tried<DeviceProgram> {
        let kind = match hook {
            TrialHook::Xdp => TrialType::Xdp,
            TrialHook::ClsBpf => TrialType::Classifier,
        };
        let trial = TrialProgram {
            name: NAME,
            kind,
            code: &code.0,
            frags: false,
            ifindex: self.link.ifindex,
        };
        match self.kernel.trial_program(&trial) {
            Ok(program) => Ok(DeviceProgram(program)),
            Err((errno, log)) => Err(Refused::verifier(errno, &log)),
        }
    }

    /// Creates a map on the device. It is gone when it is dropped.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn map(&self, trial: &MapTrial) -> Tried<DeviceMap> {
        self.map_for(trial, self.link.ifindex)
    }

    /// Creates a map on the host, for programs on the device that use such a one.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn map_on_host(&self, trial: &MapTrial) -> Tried<DeviceMap> {
        self.map_for(trial, 0)
    }

    fn map_for(&self, trial: &MapTrial, ifindex: u32) -> Tried<DeviceMap> {
        const F_NO_PREALLOC: u32 = 1;
        const F_RDONLY_PROG: u32 = 1 << 7;
        let (mut key_bytes, mut value_bytes) = (trial.key_bytes, trial.value_bytes);
        let mut flags = if trial.constant { F_RDONLY_PROG } else { 0 };
        match trial.kind {
            TrialMapKind::Array | TrialMapKind::PerCpuArray => key_bytes = 4,
            TrialMapKind::ProgramArray
            | TrialMapKind::PerfEventArray
            | TrialMapKind::DeviceMap
            | TrialMapKind::CpuMap => (key_bytes, value_bytes) = (4, 4),
            TrialMapKind::RingBuffer => (key_bytes, value_bytes) = (0, 0),
            TrialMapKind::LpmTrie => flags |= F_NO_PREALLOC,
            TrialMapKind::Hash | TrialMapKind::PerCpuHash | TrialMapKind::LruHash => {}
        }
        let map = self.kernel.trial_map(&TrialMap {
            name: NAME,
            kind: trial.kind as u32,
            key_bytes,
            value_bytes,
            entries: trial.entries,
            flags,
            ifindex,
        })?;
        Ok(DeviceMap(map))
    }
}
