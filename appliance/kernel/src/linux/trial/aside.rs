//! Programs of others that are set aside for a trial.

use super::{Refused, Trials, Tried};
use crate::{
    Errno, ForeignProgram, LinkName, Result, XdpMode,
    linux::{
        sys::Kernel,
        xdp::{kernel_error, programs_on, put_back, remove},
    },
};
use std::{
    os::fd::{AsFd, OwnedFd},
    path::PathBuf,
};

/// Where programs are kept that are set aside, so that a killed process loses none.
const DIRECTORY: &str = "/sys/fs/bpf/sluice-probe";
const MODES: [XdpMode; 3] = [XdpMode::Generic, XdpMode::Native, XdpMode::Hardware];

/// Programs of others that are off the link until this is dropped.
pub struct SetAside<'t> {
    trials: &'t Trials,
    programs: Vec<(XdpMode, OwnedFd)>,
}

impl Trials {
    /// Takes the programs of others off the link. Only what netlink attached: a program that a bpf_link holds could not be
    /// put back in the name of its owner.
    ///
    /// # Errors
    /// The kernel's refusal; everything is as it was then.
    pub fn set_aside(&self) -> Tried<SetAside<'_>> {
        let found = self.xdp_programs().map_err(|error| refused(&error))?;
        if let Some(held) = found.iter().find(|program| program.bpf_link.is_some()) {
            let link = held.bpf_link.unwrap_or_default();
            return Err(Refused::read_back(format!(
                "program {} (id {}) is held by bpf_link {link} and cannot be put back",
                held.name, held.id
            )));
        }
        let mut aside = SetAside { trials: self, programs: Vec::new() };
        for program in &found {
            let fd = self.kernel.program_by_id(program.id)?.ok_or(Errno::ENOENT)?;
            self.kernel.make_directory(DIRECTORY.as_ref())?;
            let place = place(&self.link, program.mode);
            self.kernel.unpin(&place)?;
            self.kernel.pin(fd.as_fd(), &place)?;
            take_off(&self.kernel, &self.link, program)?;
            aside.programs.push((program.mode, fd));
        }
        Ok(aside)
    }

    /// Puts back what a killed process set aside; how many programs that was.
    pub(super) fn put_back_leftovers(&self) -> Result<usize> {
        let failed = |errno| kernel_error(&self.link, "put back what was set aside", errno);
        let mut count = 0;
        for mode in MODES {
            let place = place(&self.link, mode);
            let Some(program) = self.kernel.pinned(&place).map_err(failed)? else { continue };
            // Its owner may have attached another one meanwhile.
            if !programs_on(&self.link)?.iter().any(|(other, _)| *other == mode) {
                put_back(&self.link, &program, mode)?;
                count += 1;
            }
            self.kernel.unpin(&place).map_err(failed)?;
        }
        let _ = self.kernel.remove_directory(DIRECTORY.as_ref());
        Ok(count)
    }
}

impl Drop for SetAside<'_> {
    fn drop(&mut self) {
        for (mode, program) in self.programs.drain(..) {
            // What cannot be put back stays pinned, for the next start.
            if put_back(&self.trials.link, &program, mode).is_ok() {
                let _ = self.trials.kernel.unpin(&place(&self.trials.link, mode));
            }
        }
        let _ = self.trials.kernel.remove_directory(DIRECTORY.as_ref());
    }
}

fn take_off(kernel: &Kernel, link: &LinkName, program: &ForeignProgram) -> Tried {
    remove(kernel, link, program).map_err(|error| refused(&error))
}

fn refused(error: &crate::Error) -> Refused {
    Refused::from(error.errno().unwrap_or(Errno::EIO))
}

/// The same index may be a link in another network namespace.
fn place(link: &LinkName, mode: XdpMode) -> PathBuf {
    let namespace = std::fs::read_link("/proc/thread-self/ns/net").unwrap_or_default();
    let number: String = namespace.to_string_lossy().chars().filter(char::is_ascii_digit).collect();
    PathBuf::from(format!("{DIRECTORY}/{number}_{}_{mode}", link.ifindex))
}
