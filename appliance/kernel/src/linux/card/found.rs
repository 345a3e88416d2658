//! What of ours there is.

use super::{
    Cards,
    object::CardObject,
    pins::{About, CardPins, list},
};
use crate::{
    CardActual, CardState, CardTableState, Errno, Error, LinkName, Object, Result,
    linux::{
        pins::at,
        sys::MapInfo,
        xdp::{self, kernel_error},
    },
};
use sluice_datapath::abi::CardTable;
use std::os::fd::{AsFd, OwnedFd};

/// A pinned program of ours.
pub(super) struct Found {
    pub(super) link: LinkName,
    pub(super) pins: CardPins,
    pub(super) about: About,
    /// The program and its id; none if its device is gone.
    pub(super) program: Option<(OwnedFd, u32)>,
}

impl Cards {
    /// What is pinned for a card.
    pub(super) fn found(&self, ifindex: u32) -> Result<Option<Found>> {
        self.found_at(ifindex, CardPins::of(&self.pins, ifindex))
    }

    /// What is pinned here; none if it is not complete.
    pub(super) fn found_at(&self, ifindex: u32, pins: CardPins) -> Result<Option<Found>> {
        let path = pins.program();
        let open = self.kernel.pinned(&path).map_err(at(&path, "open the pinned program"))?;
        let (Some(program), Some(about)) = (open, pins.read_about()) else { return Ok(None) };
        let link = xdp::link_name(ifindex);
        let id = match self.kernel.program_info(&program) {
            Ok(info) if about.emulated || info.card == ifindex => Some(info.id),
            Ok(_) | Err(Errno::ENODEV) => None,
            Err(errno) => return Err(kernel_error(&link, "look at the card's program", errno)),
        };
        Ok(Some(Found { link, pins, about, program: id.map(|id| (program, id)) }))
    }

    pub(super) fn all_found(&self) -> Result<Vec<Found>> {
        let (placed, _) = list(&self.pins)?;
        placed.iter().filter_map(|&ifindex| self.found(ifindex).transpose()).collect()
    }

    pub(super) fn state_of(&self, found: &Found) -> Result<CardState> {
        let Found { link, about, program, .. } = found;
        let actual = match program {
            Some((_, id)) => self.actual(link, about, *id)?,
            None => CardActual::DeviceGone,
        };
        let mut tables = Vec::new();
        if actual != CardActual::DeviceGone {
            for &table in about.program.tables() {
                if let Some((_, info)) = self.table(found, table)? {
                    tables.push(CardTableState {
                        table,
                        id: info.id,
                        entries: info.entries,
                        on_card: info.card == link.ifindex,
                    });
                }
            }
        }
        let build = CardObject::of(about.hook, about.program)?.build();
        Ok(CardState {
            link: link.clone(),
            hook: about.hook,
            program: about.program,
            program_id: match actual {
                CardActual::DeviceGone => 0,
                _ => program.as_ref().map_or(0, |(_, id)| *id),
            },
            actual,
            tables,
            current: about.build == build,
        })
    }

    /// A table; none if it is gone with its device or with its pin.
    pub(super) fn table(
        &self,
        found: &Found,
        table: CardTable,
    ) -> Result<Option<(OwnedFd, MapInfo)>> {
        let path = found.pins.table(table);
        let map = self.kernel.pinned(&path).map_err(at(&path, "open the pinned table"))?;
        let Some(map) = map else { return Ok(None) };
        match self.kernel.map_info(map.as_fd()) {
            Ok(info) => Ok(Some((map, info))),
            Err(Errno::ENODEV) => Ok(None),
            Err(errno) => Err(Error::kernel(Object::Path(path), "look at the pinned table", errno)),
        }
    }
}
