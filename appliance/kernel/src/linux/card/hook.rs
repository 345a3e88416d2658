//! Putting programs to their hooks, and looking what is there.

use super::{
    Cards, filter,
    pins::{self, About},
};
use crate::{
    CardActual, CardForeign, CardHook, CardStep, Error, ForeignFilter, LinkName, Result, XdpMode,
    card::check::refused,
    linux::{
        netlink::Refusal,
        xdp::{self, programs_on},
    },
};
use std::os::fd::{AsFd, OwnedFd};

/// A program and the id that the hook shows.
#[derive(Clone, Copy)]
pub(super) struct Hooked<'a> {
    pub(super) program: &'a OwnedFd,
    pub(super) id: u32,
}

pub(super) fn mode(emulated: bool) -> XdpMode {
    if emulated { XdpMode::Native } else { XdpMode::Hardware }
}

impl Cards {
    /// Hooks a program: in place of `old`, which is there, or where nothing is.
    pub(super) fn hook(
        &self,
        link: &LinkName,
        about: &About,
        old: Option<Hooked<'_>>,
        new: Hooked<'_>,
    ) -> Result<()> {
        let failed = |refusal: Refusal| {
            refused(link, CardStep::Hook(about.hook), refusal.errno, refusal.text)
        };
        self.kernel.check("hook").map_err(|errno| failed(errno.into()))?;
        match about.hook {
            CardHook::Xdp => {
                let old = old.map(|old| old.program.as_fd());
                let new = Some(new.program.as_fd());
                xdp::exchange(link, mode(about.emulated), old, new).map_err(failed)
            }
            CardHook::Tc => {
                self.make_place_for_filters(link).map_err(failed)?;
                let name = about.program.name();
                let skip_software = !about.emulated;
                let program = new.program.as_fd();
                filter::write(link.ifindex, name, program, skip_software, old.is_some())
                    .map_err(failed)
            }
        }
    }

    /// Makes the queueing discipline that holds filters, unless somebody did. It stays, empty, when its filter goes: while
    /// the kernel adds or removes one, it drops what the link sends, and a card that refuses is asked again and again.
    fn make_place_for_filters(&self, link: &LinkName) -> std::result::Result<(), Refusal> {
        if filter::make_qdisc(link.ifindex)? {
            let note = pins::made_qdisc(&self.pins, link.ifindex);
            if let Err(errno) = self.kernel.write_note(&note, "made") {
                // Nobody would know that it is ours.
                let _ = filter::remove_empty_qdisc(link.ifindex);
                return Err(errno.into());
            }
        }
        Ok(())
    }

    /// Takes a program off its hook if it is there.
    pub(super) fn unhook(&self, link: &LinkName, about: &About, old: Hooked<'_>) -> Result<()> {
        let failed = |refusal: Refusal| {
            refused(link, CardStep::Unhook(about.hook), refusal.errno, refusal.text)
        };
        self.kernel.check("unhook").map_err(|errno| failed(errno.into()))?;
        match about.hook {
            CardHook::Xdp => {
                let mode = mode(about.emulated);
                if programs_on(link)?.contains(&(mode, old.id)) {
                    xdp::exchange(link, mode, Some(old.program.as_fd()), None).map_err(failed)?;
                }
            }
            CardHook::Tc => {
                let filters = filter::list(link.ifindex).map_err(failed)?;
                let ours = |f: &filter::Filter| f.looks_like_ours() && f.program == Some(old.id);
                if filters.iter().any(ours) {
                    filter::remove(link.ifindex).map_err(failed)?;
                }
            }
        }
        Ok(())
    }

    /// What has become of a program.
    pub(super) fn actual(&self, link: &LinkName, about: &About, id: u32) -> Result<CardActual> {
        let runs = if about.emulated { CardActual::Emulated } else { CardActual::OnCard };
        let programs = match programs_on(link) {
            Err(Error::NoSuchLink { .. }) => return Ok(CardActual::DeviceGone),
            programs => programs?,
        };
        match about.hook {
            CardHook::Xdp => {
                let mode = mode(about.emulated);
                let there = programs.iter().find(|(at, _)| *at == mode);
                Ok(match there {
                    Some((_, found)) if *found == id => runs,
                    Some((_, found)) => CardActual::NotHooked {
                        found: xdp::describe(&self.kernel, link, mode, *found)?.to_string(),
                    },
                    None => CardActual::NotHooked { found: "nothing".into() },
                })
            }
            CardHook::Tc => {
                let filters =
                    filter::list(link.ifindex).map_err(|refusal| listing(link, refusal))?;
                let ours = filters.iter().find(|filter| filter.program == Some(id));
                Ok(match ours {
                    None => CardActual::NotHooked { found: "no filter with it".into() },
                    Some(filter) if filter.in_hardware || about.emulated => runs,
                    Some(_) => CardActual::NotInHardware,
                })
            }
        }
    }

    /// What others have, apart from these programs, in the place of a card.
    pub(super) fn others(&self, link: &LinkName, ours: Option<u32>) -> Result<Vec<CardForeign>> {
        let mode = mode(self.emulation.is_some());
        let mut foreign = Vec::new();
        for (at, id) in programs_on(link)? {
            if at == mode && Some(id) != ours {
                foreign.push(CardForeign::Program(xdp::describe(&self.kernel, link, at, id)?));
            }
        }
        let filters = filter::list(link.ifindex).map_err(|refusal| listing(link, refusal))?;
        for filter in filters {
            if filter.kind == "bpf" && filter.in_hardware && filter.program != ours {
                let filter::Filter { kind, name, priority, handle, program, .. } = filter;
                let filter = ForeignFilter { kind, name, priority, handle, program };
                foreign.push(CardForeign::Filter(filter));
            }
        }
        Ok(foreign)
    }

    pub(super) fn foreign_on(&self, ifindex: u32) -> Result<Vec<CardForeign>> {
        let link = xdp::link_name(ifindex);
        let ours = self.found(ifindex)?.and_then(|found| found.program.map(|(_, id)| id));
        self.others(&link, ours)
    }
}

fn listing(link: &LinkName, refusal: Refusal) -> Error {
    xdp::refused(link, "list its filters", refusal)
}
