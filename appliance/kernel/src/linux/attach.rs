use super::{
    Datapath,
    attached::{LiveLink, find_mode},
    commit::wait_for_old_programs,
    host_object::{Continuations, Pipeline},
    pins::at,
    sys::LinkInfo,
    xdp,
};
use crate::{
    AttachMode, AttachRequest, Attached, Errno, Error, ForeignProgram, LinkName, Object, Result,
    XdpMode, error::errno_text,
};
use std::os::fd::{AsFd, OwnedFd};

/// What was there before, to be put back if the new program cannot be attached.
enum Before {
    Nothing,
    Ours { program: OwnedFd, mode: XdpMode, why: Option<String> },
    Foreign { program: Option<OwnedFd>, foreign: ForeignProgram },
}

impl Datapath {
    pub(super) fn attach_program(&mut self, request: &AttachRequest) -> Result<Attached> {
        let name = xdp::link_name(request.settings.ifindex);
        let present = xdp::programs_on(&name)?;
        let pipeline = self.object.load_datapath(&self.kernel, &request.settings, &self.tables)?;
        self.pin_next(&name, &pipeline.continuations)?;
        match self.place(&name, &present, &pipeline, request) {
            Ok(attached) => {
                self.unpin_nexts(name.ifindex, |id| id != pipeline.continuations.id)?;
                Ok(attached)
            }
            Err(error) => {
                // A leftover is also removed by the next start.
                let _ = self.unpin_nexts(name.ifindex, |id| id == pipeline.continuations.id);
                Err(error)
            }
        }
    }

    /// Replaces what is on a link by a loaded program.
    fn place(
        &self,
        name: &LinkName,
        present: &[(XdpMode, u32)],
        pipeline: &Pipeline,
        request: &AttachRequest,
    ) -> Result<Attached> {
        let before = match self.live_link(name.ifindex)? {
            Some(live) => {
                let mode = mode_of(&live, present)?;
                if request.mode.allows(mode) {
                    self.update(&live, pipeline)?;
                    // Packets that are in the old program still continue in its other programs.
                    wait_for_old_programs();
                    let why = self.pins.read_why(name.ifindex);
                    return self.read_back(&live, pipeline, mode, why, true, None);
                }
                self.take_off_ours(&live, mode)?
            }
            None => self.take_off_foreign(name, present, request.replace_foreign)?,
        };
        let created = self.create_link(name, pipeline, request.mode).and_then(|created| {
            self.pin_link(name, &created.0, created.2.as_deref())?;
            Ok(created)
        });
        match created {
            Ok((fd, mode, why)) => {
                let replaced = match before {
                    Before::Foreign { foreign, .. } => Some(foreign),
                    Before::Nothing | Before::Ours { .. } => None,
                };
                // A link that was deleted leaves its attachment and programs behind.
                let _ = self.prune_links();
                let info = self.link_info(name, &fd)?;
                let live = LiveLink { name: name.clone(), fd, info };
                self.read_back(&live, pipeline, mode, why, false, replaced)
            }
            Err(error) => Err(self.put_back(name, before, error)),
        }
    }

    fn update(&self, live: &LiveLink, pipeline: &Pipeline) -> Result<()> {
        self.kernel
            .link_update(live.fd.as_fd(), pipeline.program.fd.as_fd())
            .map_err(|errno| xdp::kernel_error(&live.name, "replace our XDP program", errno))
    }

    /// Keeps the programs in which a link's program continues.
    pub(super) fn pin_next(&self, name: &LinkName, next: &Continuations) -> Result<()> {
        let directory = self.pins.links();
        self.kernel.make_directory(&directory).map_err(at(&directory, "make the directory"))?;
        let path = self.pins.next(name.ifindex, next.id);
        self.kernel
            .pin(next.fd.as_fd(), &path)
            .map_err(at(&path, "pin the programs in which the attached one continues"))
    }

    /// Lets go of the maps of programs whose ids are these.
    pub(super) fn unpin_nexts(&self, ifindex: u32, these: impl Fn(u32) -> bool) -> Result<()> {
        for (path, id) in self.pins.nexts(ifindex)? {
            if these(id) {
                self.kernel.unpin(&path).map_err(at(&path, "remove the pin"))?;
            }
        }
        Ok(())
    }

    fn take_off_ours(&self, live: &LiveLink, mode: XdpMode) -> Result<Before> {
        let failed = |operation| {
            let name = live.name.clone();
            move |errno| xdp::kernel_error(&name, operation, errno)
        };
        let program = self
            .kernel
            .program_by_id(live.info.program)
            .map_err(failed("hold our old XDP program"))?
            .ok_or_else(|| failed("hold our old XDP program")(Errno::ENOENT))?;
        let why = self.pins.read_why(live.name.ifindex);
        self.kernel
            .link_detach(live.fd.as_fd())
            .map_err(failed("detach our XDP program to change its mode"))?;
        self.unpin_link(live.name.ifindex)?;
        Ok(Before::Ours { program, mode, why })
    }

    fn take_off_foreign(
        &self,
        name: &LinkName,
        present: &[(XdpMode, u32)],
        allowed: bool,
    ) -> Result<Before> {
        let Some(&(mode, id)) = present.first() else { return Ok(Before::Nothing) };
        let foreign = xdp::describe(&self.kernel, name, mode, id)?;
        if !allowed {
            return Err(Error::Foreign { link: name.clone(), program: Box::new(foreign) });
        }
        let hold = |errno| xdp::kernel_error(name, "hold the XDP program of somebody else", errno);
        let program = self.kernel.program_by_id(id).map_err(hold)?;
        xdp::remove(&self.kernel, name, &foreign)?;
        Ok(Before::Foreign { program, foreign })
    }

    /// Puts back what was there; the error to report.
    fn put_back(&self, name: &LinkName, before: Before, error: Error) -> Error {
        let restored = match before {
            Before::Nothing => return error,
            Before::Ours { program, mode, why } => self
                .kernel
                .link_create(program.as_fd(), name.ifindex, xdp::mode_flag(mode))
                .map_err(|errno| xdp::kernel_error(name, "attach our old XDP program again", errno))
                .and_then(|fd| self.pin_link(name, &fd, why.as_deref())),
            Before::Foreign { program: Some(program), foreign } => {
                xdp::put_back(name, &program, foreign.mode)
            }
            Before::Foreign { program: None, .. } => Ok(()),
        };
        match restored {
            Ok(()) => error,
            Err(why) => Error::NotRestored {
                object: Object::Link(name.clone()),
                what: "its XDP program",
                why: Box::new(why),
                cause: Box::new(error),
            },
        }
    }

    fn create_link(
        &self,
        name: &LinkName,
        pipeline: &Pipeline,
        mode: AttachMode,
    ) -> Result<(OwnedFd, XdpMode, Option<String>)> {
        let program = pipeline.program.fd.as_fd();
        let create = |mode| self.kernel.link_create(program, name.ifindex, xdp::mode_flag(mode));
        let refused = |mode, operation, errno| Error::Kernel {
            object: Object::Link(name.clone()),
            operation,
            errno,
            kernel: xdp::ask_why(name, program, mode),
        };
        let mut why = None;
        if mode != AttachMode::Generic {
            match create(XdpMode::Native) {
                Ok(fd) => return Ok((fd, XdpMode::Native, None)),
                Err(errno) => {
                    let error = refused(XdpMode::Native, "attach a native XDP program", errno);
                    if mode == AttachMode::Native || !is_about_the_driver(errno) {
                        return Err(error);
                    }
                    why = Some(native_refusal(&error, errno));
                }
            }
        }
        match create(XdpMode::Generic) {
            Ok(fd) => Ok((fd, XdpMode::Generic, why)),
            Err(errno) => Err(refused(XdpMode::Generic, "attach a generic XDP program", errno)),
        }
    }

    fn pin_link(&self, name: &LinkName, link: &OwnedFd, why: Option<&str>) -> Result<()> {
        let directory = self.pins.links();
        self.kernel.make_directory(&directory).map_err(at(&directory, "make the directory"))?;
        let path = self.pins.link(name.ifindex);
        self.kernel.unpin(&path).map_err(at(&path, "remove an old pin"))?;
        self.kernel.pin(link.as_fd(), &path).map_err(at(&path, "pin the attachment"))?;
        let note = self.pins.why(name.ifindex);
        // Without the note, a later daemon only does not know the reason.
        let _ = match why {
            Some(text) => self.kernel.write_note(&note, text),
            None => self.kernel.unpin(&note),
        };
        Ok(())
    }

    pub(super) fn unpin_link(&self, ifindex: u32) -> Result<()> {
        for path in [self.pins.link(ifindex), self.pins.why(ifindex)] {
            self.kernel.unpin(&path).map_err(at(&path, "remove the pin"))?;
        }
        Ok(())
    }

    fn link_info(&self, name: &LinkName, fd: &OwnedFd) -> Result<LinkInfo> {
        self.kernel
            .link_info(fd)
            .map_err(|errno| xdp::kernel_error(name, "read the attachment back", errno))
    }

    fn read_back(
        &self,
        live: &LiveLink,
        pipeline: &Pipeline,
        mode: XdpMode,
        why: Option<String>,
        updated: bool,
        replaced: Option<ForeignProgram>,
    ) -> Result<Attached> {
        let link = live.name.clone();
        let info = self.link_info(&link, &live.fd)?;
        let found = xdp::programs_on(&link)?;
        let program = pipeline.program.id;
        if info.program != program || !found.contains(&(mode, program)) {
            return Err(Error::ReadBack {
                object: Object::Link(link),
                operation: "attach our XDP program",
                found: format!("program {} in the attachment, {found:?} on the link", info.program),
            });
        }
        let (bpf_link, stats) = (info.id, pipeline.stats);
        Ok(Attached { link, mode, program, bpf_link, stats, why, updated, replaced })
    }

    pub(super) fn detach_program(&mut self, ifindex: u32) -> Result<bool> {
        let live = self.live_link(ifindex)?;
        if let Some(live) = &live {
            self.kernel
                .link_detach(live.fd.as_fd())
                .map_err(|errno| xdp::kernel_error(&live.name, "detach our XDP program", errno))?;
        }
        self.unpin_link(ifindex)?;
        wait_for_old_programs();
        self.unpin_nexts(ifindex, |_| true)?;
        Ok(live.is_some())
    }
}

fn mode_of(live: &LiveLink, present: &[(XdpMode, u32)]) -> Result<XdpMode> {
    find_mode(live, present).ok_or_else(|| Error::ReadBack {
        object: Object::Link(live.name.clone()),
        operation: "attach our XDP program",
        found: format!("program {} in the attachment, {present:?} on the link", live.info.program),
    })
}

/// Whether another mode may succeed where native failed with this number.
fn is_about_the_driver(errno: Errno) -> bool {
    !matches!(errno, Errno::EPERM | Errno::EBUSY | Errno::EEXIST | Errno::ENODEV)
}

fn native_refusal(error: &Error, errno: Errno) -> String {
    match error {
        Error::Kernel { kernel: Some(text), .. } => format!("{text}: {}", errno_text(errno)),
        _ => errno_text(errno),
    }
}
