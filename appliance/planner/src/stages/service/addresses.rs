//! The tables of virtual and pool addresses of both families, and the port ranges behind them.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use sluice_datapath::abi::{Address, PortRange, Table, VipLine, ip_address};

use super::{
    backend::table_address,
    ports::{AddressPorts, PortClaim, PortConflict},
    vip::{MIN_VIP_LINES, NoPlace, VipEntry, VipTable},
};
use crate::{Clock, Error, Run, Sizes, Write, draft::Draft, identity::Regions};

/// What one address is wanted for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The ports of its services.
    pub claims: Vec<PortClaim>,
    /// For a pool address: index of its first NAT record.
    pub nat: Option<u32>,
}

/// What the tables hold.
#[derive(Clone, Debug)]
pub struct Addresses {
    v4: Arc<VipTable>,
    v6: Arc<VipTable>,
    known: BTreeMap<IpAddr, Arc<Known>>,
    regions: Regions,
}

/// What the tables hold of one address.
#[derive(Clone, Debug)]
struct Known {
    /// What it was computed from. `None` if that is not known.
    wanted: Option<Wanted>,
    first_range: u32,
    ranges: Vec<PortRange>,
}

impl Default for Addresses {
    fn default() -> Self {
        let empty = |v6| Arc::new(VipTable::of(v6, vec![VipLine::default(); MIN_VIP_LINES]));
        Self {
            v4: empty(false),
            v6: empty(true),
            known: BTreeMap::new(),
            regions: Regions::default(),
        }
    }
}

impl Addresses {
    /// Those of a running datapath.
    #[must_use]
    pub fn of(v4: Vec<VipLine>, v6: Vec<VipLine>, ranges: &[PortRange]) -> Self {
        let mut known = BTreeMap::new();
        for (is_v6, lines) in [(false, &v4), (true, &v6)] {
            for line in lines.iter().filter(|line| super::vip::is_live(line)) {
                let (first, count) = (line.ranges as usize, line.range_count as usize);
                let ranges = ranges.get(first..first + count).unwrap_or_default().to_vec();
                let entry = Known { wanted: None, first_range: line.ranges, ranges };
                known.insert(ip_address(line.address, is_v6), Arc::new(entry));
            }
        }
        let regions = Regions::of(known.values().map(|k| (k.first_range, k.ranges.len() as u32)));
        Self {
            v4: Arc::new(VipTable::of(false, v4)),
            v6: Arc::new(VipTable::of(true, v6)),
            known,
            regions,
        }
    }

    /// Lines of the table of a family.
    #[must_use]
    pub fn lines(&self, v6: bool) -> u32 {
        let table = if v6 { &self.v6 } else { &self.v4 };
        table.lines().len() as u32
    }

    /// Whether the services of some address need ranges.
    #[must_use]
    pub fn has_ranges(&self) -> bool {
        self.known.values().any(|known| !known.ranges.is_empty())
    }

    /// Entries that the table of port ranges needs.
    #[must_use]
    pub fn ranges_end(&self) -> u32 {
        self.regions.end()
    }

    /// Makes the tables hold what is wanted. Returns the contents of tables that must grow first.
    pub(crate) fn plan(
        &mut self,
        wanted: BTreeMap<IpAddr, Wanted>,
        clock: &Clock,
        draft: &mut Draft,
    ) -> Result<Vec<Write>, Error> {
        self.regions.reclaim(clock);
        let mut changes = [BTreeMap::new(), BTreeMap::new()];
        let gone: Vec<IpAddr> =
            self.known.keys().filter(|address| !wanted.contains_key(address)).copied().collect();
        for address in gone {
            if let Some(known) = self.known.remove(&address) {
                self.regions.release(known.first_range, known.ranges.len() as u32, clock);
                draft.note(format_args!("address {address}"), "removed");
            }
            changes[usize::from(address.is_ipv6())].insert(table_address(address), None);
        }
        for (address, wanted) in wanted {
            if let Some(entry) = self.entry(address, wanted, clock, draft)? {
                changes[usize::from(address.is_ipv6())].insert(table_address(address), Some(entry));
            }
        }
        let [changes4, changes6] = changes;
        let live = |v6: bool| self.known.keys().filter(|address| address.is_ipv6() == v6).count();
        let (live4, live6) = (live(false), live(true));
        let mut grown = Vec::new();
        let (lines, writes) = update(&mut self.v4, false, &changes4, live4)?;
        grown.extend(lines.map(Write::Vip4));
        draft.vip4 = writes;
        let (lines, writes) = update(&mut self.v6, true, &changes6, live6)?;
        grown.extend(lines.map(Write::Vip6));
        draft.vip6 = writes;
        Ok(grown)
    }

    /// The line of an address if it may have changed.
    fn entry(
        &mut self,
        address: IpAddr,
        wanted: Wanted,
        clock: &Clock,
        draft: &mut Draft,
    ) -> Result<Option<VipEntry>, Error> {
        let known = self.known.get(&address).cloned();
        if known.as_ref().is_some_and(|known| known.wanted.as_ref() == Some(&wanted)) {
            return Ok(None);
        }
        let ports = AddressPorts::new(&wanted.claims)
            .map_err(|conflict| error(address, conflict, &wanted))?;
        let nat = wanted.nat;
        let count = ports.ranges.len() as u32;
        let first = match &known {
            Some(known) if known.ranges == ports.ranges => known.first_range,
            _ => {
                if let Some(known) = &known {
                    self.regions.release(known.first_range, known.ranges.len() as u32, clock);
                }
                let limit = Sizes::limit(Table::PortRanges);
                let first = self
                    .regions
                    .allocate(count)
                    .filter(|&first| u64::from(first) + u64::from(count) <= limit);
                let first = first.ok_or_else(|| Error::TableFull {
                    object: format!("address {address}"),
                    table: Table::PortRanges.name(),
                    entries: u64::from(self.regions.end()) + u64::from(count),
                    limit,
                    way_out: "use fewer port ranges",
                })?;
                if count > 0 {
                    draft.port_ranges.push(Run { first, values: ports.ranges.clone() });
                }
                first
            }
        };
        if known.is_none() {
            draft.note(format_args!("address {address}"), "added");
        }
        let state = Known { wanted: Some(wanted), first_range: first, ranges: ports.ranges };
        self.known.insert(address, Arc::new(state));
        let ranges = if count > 0 { (first, count) } else { (0, 0) };
        Ok(Some(VipEntry { ports: ports.exact, ranges, nat }))
    }
}

type Update = (Option<Run<VipLine>>, Vec<Run<VipLine>>);

/// Updates a table, after it has grown if it must; the first part is the whole grown table before the update.
fn update(
    table: &mut Arc<VipTable>,
    v6: bool,
    changes: &BTreeMap<Address, Option<VipEntry>>,
    live: usize,
) -> Result<Update, Error> {
    if changes.is_empty() {
        return Ok((None, Vec::new()));
    }
    let collide = |NoPlace(address), lines| Error::AddressesCollide {
        address: ip_address(address, v6),
        lines,
    };
    let mut base = VipTable::clone(table);
    let mut has_grown = false;
    loop {
        let mut new = base.clone();
        let updated = if base.is_roomy_for(live) { Some(new.update(changes)) } else { None };
        match updated {
            Some(Ok(writes)) => {
                *table = Arc::new(new);
                let grown = has_grown.then(|| Run { first: 0, values: base.lines().to_vec() });
                return Ok((grown, writes));
            }
            Some(Err(no_place)) if base.is_largest() => {
                return Err(collide(no_place, base.lines().len()));
            }
            _ => {
                base =
                    base.grown(live).map_err(|no_place| collide(no_place, base.lines().len()))?;
                has_grown = true;
            }
        }
    }
}

fn error(address: IpAddr, conflict: PortConflict, wanted: &Wanted) -> Error {
    match conflict {
        PortConflict::Taken(first, second) => Error::PortsTaken {
            service: second.name,
            other: first.name,
            address,
            protocol: second.protocol,
            ports: second.ports,
        },
        PortConflict::TooMany { ranges, limit } => {
            Error::TooManyPortRanges { services: wanted.claims.len(), address, ranges, limit }
        }
    }
}
