use super::{
    Cards,
    object::{CardObject, PROGRAM},
    pins::{About, CardPins},
};
use crate::{
    CardEntry, CardRequest, CardStep, Errno, Error, LinkName, Result,
    card::check::refused,
    linux::{
        host_object::last_lines,
        pins::at,
        sys::{CardLoad, CardLoadError, MapSpec},
    },
};
use sluice_datapath::abi::CardTable;
use std::os::fd::{AsFd, OwnedFd};

/// A program with its tables, not hooked yet.
pub(super) struct Loaded {
    pub(super) about: About,
    pub(super) program: OwnedFd,
    pub(super) id: u32,
    pub(super) tables: Vec<(CardTable, OwnedFd)>,
}

impl Cards {
    pub(super) fn load(&self, link: &LinkName, request: &CardRequest) -> Result<Loaded> {
        let object = CardObject::of(request.hook, request.program)?;
        let tables = self.make_tables(link, request)?;
        let maps: Vec<_> = tables.iter().map(|(table, fd)| (table.name(), fd.as_fd())).collect();
        let load = CardLoad {
            object: object.bytes,
            program: PROGRAM,
            maps: &maps,
            card: self.card_of(link.ifindex),
        };
        let program = self.kernel.card_load(&load).map_err(|error| match error {
            CardLoadError::Object(what) => Error::HostObject(format!(
                "the program {} ({}) {what}",
                request.program, request.hook
            )),
            CardLoadError::Refused { errno, log } if !has_begun(&log) => {
                refused(link, CardStep::Bind, errno, None)
            }
            CardLoadError::Refused { errno, log } => {
                refused(link, CardStep::Verify, errno, Some(last_lines(&log)))
            }
        })?;
        let info = self
            .kernel
            .program_info(&program)
            .map_err(|errno| refused(link, CardStep::Bind, errno, None))?;
        let about = About {
            hook: request.hook,
            program: request.program,
            emulated: self.emulation.is_some(),
            made_qdisc: false,
            build: object.build(),
        };
        Ok(Loaded { about, program, id: info.id, tables })
    }

    /// The link that programs and maps are bound to: none for emulated cards.
    pub(super) fn card_of(&self, ifindex: u32) -> u32 {
        if self.emulation.is_some() { 0 } else { ifindex }
    }

    fn make_tables(
        &self,
        link: &LinkName,
        request: &CardRequest,
    ) -> Result<Vec<(CardTable, OwnedFd)>> {
        let make = |&table: &CardTable| {
            let entries = request.sizes.get(table);
            let step = CardStep::Table { table, entries };
            let limit = self.emulation.map(|emulation| emulation.max_entries);
            if limit.is_some_and(|limit| table.fixed_entries().is_none() && entries > limit) {
                return Err(refused(link, step, Errno::ENOMEM, None));
            }
            let spec = MapSpec::card(table, entries, self.card_of(link.ifindex));
            let made = self.kernel.map_create(&spec);
            made.map(|fd| (table, fd)).map_err(|errno| refused(link, step, errno, None))
        };
        request.program.tables().iter().map(make).collect()
    }

    /// Writes what the tables shall hold into them.
    pub(super) fn fill(
        &self,
        link: &LinkName,
        request: &CardRequest,
        tables: &[(CardTable, OwnedFd)],
    ) -> Result<()> {
        for contents in &request.contents {
            let table = contents.table;
            let Some((_, map)) = tables.iter().find(|(known, _)| *known == table) else { continue };
            for CardEntry { key, value } in &contents.entries {
                self.kernel
                    .entry_write(map.as_fd(), key, value)
                    .map_err(|errno| refused(link, CardStep::Write { table }, errno, None))?;
            }
        }
        Ok(())
    }

    /// Gives program and tables names that keep them. Nothing is left if that fails.
    pub(super) fn pin(&self, pins: &CardPins, loaded: &Loaded) -> Result<()> {
        let pin_all = || -> Result<()> {
            self.kernel.make_directory(&pins.0).map_err(at(&pins.0, "make the directory"))?;
            for (table, fd) in &loaded.tables {
                let path = pins.table(*table);
                self.kernel.pin(fd.as_fd(), &path).map_err(at(&path, "pin a table of a card"))?;
            }
            pins.write_about(&self.kernel, &loaded.about)
                .map_err(at(&pins.0, "note what is pinned here"))?;
            // Last: what has no program is not complete.
            let path = pins.program();
            let program = loaded.program.as_fd();
            self.kernel.pin(program, &path).map_err(at(&path, "pin the program of a card"))
        };
        pin_all().inspect_err(|_| drop(self.unpin(pins)))
    }

    pub(super) fn unpin(&self, pins: &CardPins) -> Result<()> {
        if pins.0.is_dir() { crate::linux::pins::remove_all(&self.kernel, &pins.0) } else { Ok(()) }
    }
}

/// Whether the verifier looked at the program. Asked to bind a program to a device that refuses, it says no more than that
/// it looked at nothing.
fn has_begun(log: &str) -> bool {
    log.lines().any(|line| !line.trim().is_empty() && !line.starts_with("processed 0 insns"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verifier_that_looked_at_nothing_has_not_begun() {
        assert!(!has_begun("") && !has_begun("processed 0 insns (limit 1000000) peak_states 0\n"));
        assert!(has_begun("0: R1=ctx() R10=fp0\nprocessed 1 insns (limit 1000000)\n"));
    }
}
