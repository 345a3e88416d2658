//! Our attachments, as the kernel shows them.

use super::{
    Datapath,
    pins::at,
    sys::{LinkInfo, Sys},
    xdp,
};
use crate::{Attachment, Error, LinkName, ProgramStats, Result, XdpMode};
use std::os::fd::OwnedFd;

/// An attachment of ours that is alive.
pub(super) struct LiveLink {
    pub(super) name: LinkName,
    pub(super) fd: OwnedFd,
    pub(super) info: LinkInfo,
}

impl Datapath {
    /// Our attachment on a link, if there is one and it is alive. A link that was deleted leaves a dead one.
    pub(super) fn live_link(&self, ifindex: u32) -> Result<Option<LiveLink>> {
        let path = self.pins.link(ifindex);
        let Some(fd) =
            self.kernel.pinned(&path).map_err(at(&path, "open the pinned attachment"))?
        else {
            return Ok(None);
        };
        let info = self.kernel.link_info(&fd).map_err(at(&path, "look at the attachment"))?;
        if info.ifindex() != Some(ifindex) {
            return Ok(None);
        }
        Ok(Some(LiveLink { name: xdp::link_name(ifindex), fd, info }))
    }

    /// All attachments of ours that are alive.
    pub(super) fn live_links(&self) -> Result<Vec<LiveLink>> {
        let pins = self.pins.link_pins()?;
        pins.iter().filter_map(|&ifindex| self.live_link(ifindex).transpose()).collect()
    }

    /// Removes the pins of attachments whose link is gone, and what an interrupted replacement left; the indices of
    /// the links that are gone.
    pub(super) fn prune_links(&self) -> Result<Vec<u32>> {
        let mut dead = Vec::new();
        for ifindex in self.pins.link_pins()? {
            let Some(live) = self.live_link(ifindex)? else {
                self.unpin_link(ifindex)?;
                self.unpin_nexts(ifindex, |_| true)?;
                dead.push(ifindex);
                continue;
            };
            let failed = |errno| xdp::kernel_error(&live.name, "look at our XDP program", errno);
            if let Some(program) = self.kernel.program_by_id(live.info.program).map_err(failed)? {
                let maps = self.kernel.program_maps(&program).map_err(failed)?;
                self.unpin_nexts(ifindex, |id| !maps.contains(&id))?;
            }
        }
        Ok(dead)
    }

    pub(super) fn attachments(&self) -> Result<Vec<Attachment>> {
        let mut attachments = Vec::new();
        for live in self.live_links()? {
            attachments.extend(self.attachment(live)?);
        }
        Ok(attachments)
    }

    /// What is attached; none if the link is in another network namespace or was deleted just now.
    fn attachment(&self, live: LiveLink) -> Result<Option<Attachment>> {
        let present = match xdp::programs_on(&live.name) {
            Err(Error::NoSuchLink { .. }) => return Ok(None),
            present => present?,
        };
        let failed = |errno| xdp::kernel_error(&live.name, "look at our XDP program", errno);
        let Some(mode) = find_mode(&live, &present) else { return Ok(None) };
        let Some(program) = self.kernel.program_by_id(live.info.program).map_err(failed)? else {
            return Ok(None);
        };
        let maps = self.kernel.program_maps(&program).map_err(failed)?;
        Ok(Some(Attachment {
            mode,
            program: live.info.program,
            bpf_link: live.info.id,
            stats: self.stats_of(&program, &maps).map_err(failed)?,
            settings: self.object.settings_of(&self.kernel, &maps).map_err(failed)?,
            current: self.tables.are_those_of(&self.kernel, &maps)?,
            why: self.pins.read_why(live.name.ifindex),
            link: live.name,
        }))
    }

    fn stats_of(&self, program: &OwnedFd, maps: &[u32]) -> Sys<ProgramStats> {
        let mut stats = self.kernel.program_info(program)?.stats();
        for id in self.object.continuations_of(&self.kernel, maps)? {
            if let Some(next) = self.kernel.program_by_id(id)? {
                stats = stats.plus(self.kernel.program_info(next)?.stats());
            }
        }
        Ok(stats)
    }
}

/// Where the program of an attachment runs, if it is among those on the link.
pub(super) fn find_mode(live: &LiveLink, present: &[(XdpMode, u32)]) -> Option<XdpMode> {
    present.iter().find(|(_, id)| *id == live.info.program).map(|(mode, _)| *mode)
}
