//! The table of virtual and pool addresses of one family, changed in place while the datapath reads it.
//!
//! A lookup walks from the home position to the first line with its address; an unused line ends it. So that no
//! lookup misses an address that stays:
//! - lines are never moved, and a line that is taken away leaves a *tombstone*: in use, without an address;
//! - a new line gets its address last, in one word (of IPv6 the second half first): before that it is a tombstone;
//! - a line that changes in more than single ports is written anew at another place of its chain; then the old one
//!   loses its address.

use std::collections::{BTreeMap, BTreeSet};

use sluice_datapath::{
    abi::{Address, INLINE_PORTS, VIP_PROBES, VipFlags, VipLine, VipPort},
    hash,
};

use crate::Run;

/// Lines of the smallest table.
pub const MIN_VIP_LINES: usize = 64;
/// Lines of the largest table.
const MAX_VIP_LINES: usize = 1 << 22;
/// So many lines per address keep chains short: with four, 10,000 addresses have chains of six.
const LINES_PER_ADDRESS: usize = 4;

/// What the line of an address holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VipEntry {
    /// Services at exact ports, at most [`INLINE_PORTS`].
    pub ports: Vec<VipPort>,
    /// First of its port ranges, and how many.
    pub ranges: (u32, u32),
    /// For a pool address: index of its first NAT record.
    pub nat: Option<u32>,
}

/// An address that has no place in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoPlace(pub Address);

/// The table as it stands in the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VipTable {
    v6: bool,
    lines: Vec<VipLine>,
}

impl VipTable {
    /// The table with these lines, a power of two of them.
    #[must_use]
    pub fn of(v6: bool, lines: Vec<VipLine>) -> Self {
        debug_assert!(lines.len().is_power_of_two());
        Self { v6, lines }
    }

    /// All lines.
    #[must_use]
    pub fn lines(&self) -> &[VipLine] {
        &self.lines
    }

    /// The line of an address.
    #[must_use]
    pub fn find(&self, address: &Address) -> Option<&VipLine> {
        self.position(address).and_then(|index| self.lines.get(index as usize))
    }

    /// Whether so many addresses fit in, in general.
    #[must_use]
    pub fn is_roomy_for(&self, addresses: usize) -> bool {
        addresses * LINES_PER_ADDRESS <= self.lines.len()
    }

    /// Whether the table can't grow any more.
    #[must_use]
    pub fn is_largest(&self) -> bool {
        self.lines.len() >= MAX_VIP_LINES
    }

    /// A larger table with the same addresses and room for as many as `addresses` in all.
    ///
    /// # Errors
    /// If the largest table has no place for one of them.
    pub fn grown(&self, addresses: usize) -> Result<Self, NoPlace> {
        let mut size =
            (addresses * LINES_PER_ADDRESS).next_power_of_two().max(self.lines.len() * 2);
        loop {
            let mut table = Self::of(self.v6, vec![VipLine::default(); size]);
            let live = self.lines.iter().filter(|line| is_live(line));
            let placed = live.copied().try_for_each(|line| {
                let index =
                    table.place(&line.address, &BTreeSet::new()).ok_or(NoPlace(line.address))?;
                table.lines[index as usize] = line;
                Ok(())
            });
            match placed {
                Ok(()) => return Ok(table),
                Err(no_place) if size >= MAX_VIP_LINES => return Err(no_place),
                Err(_) => size *= 2,
            }
        }
    }

    /// Gives addresses a new content, or none, and returns what must be written in this order.
    ///
    /// # Errors
    /// If an address has no place: the table must grow. It is in an undefined state then.
    pub fn update(
        &mut self,
        changes: &BTreeMap<Address, Option<VipEntry>>,
    ) -> Result<Vec<Run<VipLine>>, NoPlace> {
        let mut update = Update { table: self, writes: Vec::new(), buried: BTreeSet::new() };
        // What goes makes no room for what comes: packets may still read it.
        for (address, entry) in changes {
            if let Some(entry) = entry {
                update.set(address, entry)?;
            }
        }
        for (address, entry) in changes {
            if entry.is_none()
                && let Some(index) = update.table.position(address)
            {
                update.bury(index);
            }
        }
        update.sweep();
        Ok(update.writes)
    }

    fn position(&self, address: &Address) -> Option<u32> {
        self.chain(address)
            .map(|index| (index, &self.lines[index as usize]))
            .take_while(|(_, line)| line.flags.0 != 0)
            .find(|(_, line)| is_live(line) && line.address == *address)
            .map(|(index, _)| index)
    }

    /// Where a new line of an address can stand: the first line of its chain that is unused or a tombstone.
    fn place(&self, address: &Address, forbidden: &BTreeSet<u32>) -> Option<u32> {
        self.chain(address)
            .find(|index| !is_live(&self.lines[*index as usize]) && !forbidden.contains(index))
    }

    fn chain(&self, address: &Address) -> impl Iterator<Item = u32> + use<> {
        let mask = self.lines.len() as u32 - 1;
        let home = hash::address(address, self.v6);
        (0..VIP_PROBES.min(mask + 1)).map(move |step| home.wrapping_add(step) & mask)
    }
}

/// Whether a line is an address's, not unused and no tombstone.
#[must_use]
pub fn is_live(line: &VipLine) -> bool {
    line.flags.has(VipFlags::SERVICES | VipFlags::POOL)
}

struct Update<'a> {
    table: &'a mut VipTable,
    writes: Vec<Run<VipLine>>,
    buried: BTreeSet<u32>,
}

impl Update<'_> {
    fn write(&mut self, index: u32, line: VipLine) {
        let old = &mut self.table.lines[index as usize];
        if *old != line {
            *old = line;
            self.writes.push(Run::one(index, line));
        }
    }

    fn set(&mut self, address: &Address, entry: &VipEntry) -> Result<(), NoPlace> {
        let old = self.table.position(address);
        let new = line(*address, entry, old.map(|index| self.table.lines[index as usize].ports));
        let Some(index) = old else {
            let place = self.table.place(address, &self.buried).ok_or(NoPlace(*address))?;
            self.insert(place, new);
            return Ok(());
        };
        let current = self.table.lines[index as usize];
        if (VipLine { ports: current.ports, ..new }) == current {
            // Each port is a word of its own.
            self.write(index, new);
            return Ok(());
        }
        let place = self.table.place(address, &self.buried).ok_or(NoPlace(*address))?;
        self.insert(place, new);
        self.bury(index);
        Ok(())
    }

    fn insert(&mut self, index: u32, line: VipLine) {
        let [_, _, c, d] = line.address;
        self.write(index, VipLine { address: [0, 0, c, d], ..line });
        self.write(index, line);
    }

    fn bury(&mut self, index: u32) {
        let line = self.table.lines[index as usize];
        let [_, _, c, d] = line.address;
        self.write(index, VipLine { address: [0, 0, c, d], ..line });
        self.write(index, VipLine { flags: VipFlags(VipFlags::USED), ..VipLine::default() });
        self.buried.insert(index);
    }

    /// Makes tombstones that no chain needs unused.
    fn sweep(&mut self) {
        let mask = self.table.lines.len() as u32 - 1;
        for mut index in std::mem::take(&mut self.buried) {
            let unused = |table: &VipTable, index: u32| table.lines[index as usize].flags.0 == 0;
            while !unused(self.table, index)
                && !is_live(&self.table.lines[index as usize])
                && unused(self.table, index.wrapping_add(1) & mask)
            {
                self.write(index, VipLine::default());
                index = index.wrapping_sub(1) & mask;
            }
        }
    }
}

/// The line of an entry; exact ports that the address has already stay where they are.
fn line(address: Address, entry: &VipEntry, old: Option<[VipPort; INLINE_PORTS]>) -> VipLine {
    let mut ports = old.unwrap_or_default();
    for port in &mut ports {
        *port = entry.ports.iter().find(|new| new.key == port.key).copied().unwrap_or_default();
    }
    let (first, count) = entry.ranges;
    for &new in &entry.ports {
        if !ports.contains(&new)
            && let Some(free) = ports.iter_mut().find(|port| port.key == 0)
        {
            *free = new;
        }
    }
    let flag = |is_set: bool, flag| if is_set { flag } else { 0 };
    let flags = VipFlags::USED
        | flag(count > 0, VipFlags::RANGES)
        | flag(entry.nat.is_some(), VipFlags::POOL)
        | flag(count > 0 || !entry.ports.is_empty(), VipFlags::SERVICES);
    VipLine {
        address,
        flags: VipFlags(flags),
        ranges: first,
        range_count: count,
        nat: entry.nat.unwrap_or(0),
        ports,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sluice_datapath::abi::{address4, address6};
    use std::net::{Ipv4Addr, Ipv6Addr};

    fn v4(number: u32) -> Address {
        address4(Ipv4Addr::from(0xc000_0200 + number))
    }

    fn entry(key: u32, ranges: (u32, u32)) -> VipEntry {
        VipEntry { ports: vec![VipPort { key, service: key }], ranges, nat: None }
    }

    fn empty(v6: bool, lines: usize) -> VipTable {
        VipTable::of(v6, vec![VipLine::default(); lines])
    }

    /// What a lookup of the datapath finds.
    fn lookup(v6: bool, lines: &[VipLine], address: &Address) -> Option<VipLine> {
        let mask = lines.len() as u32 - 1;
        let home = hash::address(address, v6);
        (0..VIP_PROBES)
            .map(|step| lines[(home.wrapping_add(step) & mask) as usize])
            .take_while(|line| line.flags.0 != 0)
            .find(|line| line.address == *address)
    }

    #[test]
    fn a_port_that_comes_or_goes_changes_one_entry() {
        let mut table = empty(false, 64);
        let ports = |keys: &[u32]| VipEntry {
            ports: keys.iter().map(|&key| VipPort { key, service: key }).collect(),
            ..VipEntry::default()
        };
        let mut update =
            |keys: &[u32]| table.update(&BTreeMap::from([(v4(1), Some(ports(keys)))])).unwrap();
        update(&[80, 81, 82]);
        let keys = |writes: Vec<Run<VipLine>>| writes[0].values[0].ports.map(|port| port.key);
        assert_eq!(keys(update(&[81, 82])), [0, 81, 82, 0]);
        assert_eq!(keys(update(&[82, 83, 81])), [83, 81, 82, 0]);
        assert!(update(&[81, 82, 83]).is_empty());
    }

    #[test]
    fn the_address_of_a_new_line_comes_last() {
        for (v6, address) in
            [(false, v4(1)), (true, address6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)))]
        {
            let mut table = empty(v6, 64);
            let writes =
                table.update(&BTreeMap::from([(address, Some(entry(80, (0, 0))))])).unwrap();
            let lines: Vec<_> = writes.iter().map(|run| run.values[0]).collect();
            assert_eq!(lines.len(), 2);
            assert_eq!(lines[0].address[..2], [0, 0]);
            assert_eq!(VipLine { address, ..lines[0] }, lines[1]);
        }
    }

    #[test]
    fn a_table_without_place_grows() {
        let mut table = empty(false, 8);
        let spread = |i: u32| address4(Ipv4Addr::from(0x0a00_0001 + i * 0x0001_0100));
        let changes: BTreeMap<_, _> =
            (0..9).map(|i| (spread(i), Some(entry(80, (0, 0))))).collect();
        let first: BTreeMap<_, _> = changes.clone().into_iter().take(8).collect();
        table.update(&first).unwrap();
        assert!(!table.is_roomy_for(9));
        assert!(table.clone().update(&changes).is_err());
        let mut grown = table.grown(9).unwrap();
        assert_eq!(grown.lines().len(), 64);
        assert!(first.keys().all(|address| grown.find(address) == table.find(address)));
        grown.update(&changes).unwrap();
    }

    #[test]
    fn ten_thousand_addresses_have_their_places() {
        let mut table = empty(false, MIN_VIP_LINES).grown(10_000).unwrap();
        let spread = |i: u32| address4(Ipv4Addr::from(0x0a00_0000 + i * 256));
        let changes: BTreeMap<_, _> = (0..5000)
            .flat_map(|i| [v4(i), spread(i)])
            .map(|address| (address, Some(entry(80, (0, 0)))))
            .collect();
        table.update(&changes).unwrap();
        assert_eq!(table.lines().len(), 65536);
    }

    proptest! {
        /// After every single write each address that stays is found, with its old content or its new.
        #[test]
        fn no_lookup_misses_an_address_that_stays(
            steps in prop::collection::vec(
                prop::collection::btree_map(0_u32..30, prop::option::weighted(0.6, (1_u32..4, 0_u32..3)), 1..6),
                1..20,
            ),
        ) {
            let mut table = empty(false, 64);
            let mut expected = BTreeMap::<Address, VipEntry>::new();
            for step in steps {
                let changes: BTreeMap<_, _> = step
                    .into_iter()
                    .map(|(address, new)| (v4(address), new.map(|(key, ranges)| entry(key, (ranges * 8, ranges)))))
                    .collect();
                let mut lines = table.lines().to_vec();
                let Ok(writes) = table.update(&changes) else { return Ok(()) };
                for run in writes {
                    lines[run.first as usize] = run.values[0];
                    for (address, entry) in &expected {
                        let Some(new) = changes.get(address).map_or(Some(entry), Option::as_ref) else { continue };
                        let found = lookup(false, &lines, address);
                        prop_assert!(found.is_some(), "{address:?} is missing");
                        let found = found.map(|line| (line.ports.iter().map(|port| port.key).max(), line.range_count));
                        let of = |entry: &VipEntry| Some((Some(entry.ports[0].key), entry.ranges.1));
                        prop_assert!(found == of(entry) || found == of(new), "{found:?}");
                    }
                }
                for (address, entry) in changes {
                    match entry {
                        Some(entry) => expected.insert(address, entry),
                        None => expected.remove(&address),
                    };
                }
                prop_assert_eq!(&lines, table.lines());
                for number in 0..30 {
                    let found = lookup(false, &lines, &v4(number)).filter(is_live);
                    let expected = expected.get(&v4(number)).map(|entry| entry.ranges);
                    prop_assert_eq!(found.map(|line| (line.ranges, line.range_count)), expected);
                }
            }
        }

        #[test]
        fn a_table_that_lost_all_addresses_is_empty(numbers in prop::collection::btree_set(0_u32..200, 1..12)) {
            let mut table = empty(false, 64);
            let all: BTreeMap<_, _> = numbers.iter().map(|&i| (v4(i), Some(entry(80, (0, 0))))).collect();
            prop_assume!(table.update(&all).is_ok());
            for number in numbers {
                table.update(&BTreeMap::from([(v4(number), None)])).unwrap();
            }
            prop_assert_eq!(table, empty(false, 64));
        }
    }
}
