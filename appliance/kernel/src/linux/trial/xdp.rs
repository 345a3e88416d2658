//! XDP programs that are attached for a moment.

use super::{Code, DeviceProgram, NAME, Refused, Trials, Tried};
use crate::{
    ForeignProgram, Result, XdpMode,
    linux::{
        sys::{TrialProgram, TrialType},
        xdp::{ask_why, describe, mode_flag, programs_on},
    },
};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// `XDP_PASS`.
const PASS: i32 = 2;

/// A program that lets every packet pass, attached until this is dropped; a killed process detaches it too.
#[derive(Debug)]
pub struct HeldXdp {
    _link: OwnedFd,
}

impl Trials {
    /// The programs of others on the link.
    ///
    /// # Errors
    /// [`crate::Error::NoSuchLink`], [`crate::Error::Kernel`].
    pub fn xdp_programs(&self) -> Result<Vec<ForeignProgram>> {
        let programs = programs_on(&self.link)?;
        let described =
            programs.iter().map(|(mode, id)| describe(&self.kernel, &self.link, *mode, *id));
        described.collect()
    }

    /// Attaches a program on the host that lets every packet pass, and reads back where it is.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn attach_xdp(&self, mode: XdpMode, frags: bool) -> Tried<HeldXdp> {
        let code = Code::verdict(PASS);
        let trial =
            TrialProgram { name: NAME, kind: TrialType::Xdp, code: &code.0, frags, ifindex: 0 };
        let program = self
            .kernel
            .trial_program(&trial)
            .map_err(|(errno, log)| Refused::verifier(errno, &log))?;
        self.attach(program.as_fd(), mode)
    }

    /// Attaches a program for the device, and reads back that it is on the card.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn attach_hardware(&self, program: &DeviceProgram) -> Tried<HeldXdp> {
        self.attach(program.as_fd(), XdpMode::Hardware)
    }

    fn attach(&self, program: BorrowedFd<'_>, mode: XdpMode) -> Tried<HeldXdp> {
        let link = match self.kernel.link_create(program, self.link.ifindex, mode_flag(mode)) {
            Ok(link) => link,
            Err(errno) => {
                // bpf(2) says it in a number, netlink in words.
                let extack = ask_why(&self.link, program, mode);
                return Err(Refused { extack, ..Refused::from(errno) });
            }
        };
        let id = self.kernel.program_info(program).map(|info| info.id)?;
        let found = programs_on(&self.link)
            .map_err(|error| Refused::from(error.errno().unwrap_or(crate::Errno::EIO)))?;
        if found.contains(&(mode, id)) {
            return Ok(HeldXdp { _link: link });
        }
        let place = found.iter().find(|(_, other)| *other == id).map(|(mode, _)| *mode);
        Err(Refused::read_back(match place {
            Some(other) => format!("the program is there in {other} mode"),
            None => format!("no program of ours in {mode} mode"),
        }))
    }
}
