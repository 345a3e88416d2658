//! Entries of the tables on cards.

use super::{Cards, found::Found};
use crate::{
    CardEntry, CardStep, CardTableContents, Errno, Error, LinkName, Result,
    card::{COUNTING, check},
    linux::{sys::MapInfo, xdp},
};
use sluice_datapath::abi::{CardTable, CardTableKind};
use std::os::fd::{AsFd, OwnedFd};

impl Cards {
    pub(super) fn write_entry(
        &self,
        ifindex: u32,
        table: CardTable,
        key: &[u8],
        value: &[u8],
    ) -> Result<()> {
        let step = CardStep::Write { table };
        let (link, map, _) = self.open_table(ifindex, table, key, Some(value), &step)?;
        let written = self.kernel.entry_write(map.as_fd(), key, value);
        written.map_err(|errno| check::refused(&link, step, errno, None))
    }

    pub(super) fn delete_entry(&self, ifindex: u32, table: CardTable, key: &[u8]) -> Result<bool> {
        let step = CardStep::Delete { table };
        let (link, map, _) = self.open_table(ifindex, table, key, None, &step)?;
        let deleted = self.kernel.entry_delete(map.as_fd(), key);
        deleted.map_err(|errno| check::refused(&link, step, errno, None))
    }

    pub(super) fn read_entry(
        &self,
        ifindex: u32,
        table: CardTable,
        key: &[u8],
    ) -> Result<Option<Vec<u8>>> {
        let step = CardStep::Read { table };
        let (link, map, _) = self.open_table(ifindex, table, key, None, &step)?;
        let read = self.kernel.entry_read(map.as_fd(), key);
        read.map_err(|errno| check::refused(&link, step, errno, None))
    }

    pub(super) fn read_entries(&self, ifindex: u32, table: CardTable) -> Result<Vec<CardEntry>> {
        let step = CardStep::Read { table };
        let (link, map, info) =
            self.open_table(ifindex, table, &vec![0; table.key_size()], None, &step)?;
        self.all(&map, &info, table).map_err(|errno| check::refused(&link, step, errno, None))
    }

    /// What a program counted last, as far as it can be read.
    pub(super) fn last_contents(&self, found: &Found) -> Vec<CardTableContents> {
        let tables = found.about.program.tables().iter().filter(|table| COUNTING.contains(table));
        let contents = tables.filter_map(|&table| {
            let (map, info) = self.table(found, table).ok()??;
            Some(CardTableContents { table, entries: self.all(&map, &info, table).ok()? })
        });
        contents.collect()
    }

    fn all(&self, map: &OwnedFd, info: &MapInfo, table: CardTable) -> nix::Result<Vec<CardEntry>> {
        let keys = match table.kind() {
            CardTableKind::Array => {
                (0..info.entries).map(|index| index.to_ne_bytes().to_vec()).collect()
            }
            CardTableKind::Hash => self.kernel.entry_keys(map.as_fd())?,
        };
        let mut entries = Vec::with_capacity(keys.len());
        for key in keys {
            let value = self.kernel.entry_read(map.as_fd(), &key)?;
            entries.extend(value.map(|value| CardEntry { key, value }));
        }
        Ok(entries)
    }

    fn open_table(
        &self,
        ifindex: u32,
        table: CardTable,
        key: &[u8],
        value: Option<&[u8]>,
        step: &CardStep,
    ) -> Result<(LinkName, OwnedFd, MapInfo)> {
        let Some(found) = self.found(ifindex)? else {
            return Err(Error::NotPlaced { link: xdp::link_name(ifindex) });
        };
        check::entry(&found.link, found.about.program, table, key, value)?;
        match self.table(&found, table)? {
            Some((map, info)) => Ok((found.link, map, info)),
            None => Err(check::refused(&found.link, step.clone(), Errno::ENODEV, None)),
        }
    }
}
