//! Changes of the tables and settings in a case.

use sluice_datapath::{
    abi::{
        Backend, BackendFlags, Features, Move, NatRecord, NatState, NatTags, Plain,
        REMEMBERED_WAYS, RememberedLine, Shared64, Slot, Table, VipFlags, VipLine, address4,
    },
    native::{
        MemoryTables,
        scenario::{index_of, rows},
    },
};

type Result<T> = std::result::Result<T, String>;

/// Does what the text says.
pub fn apply(tables: &mut MemoryTables, text: &str) -> Result<()> {
    let words: Vec<&str> = text.split_whitespace().collect();
    match words.as_slice() {
        ["features", changes @ ..] => changes.iter().try_for_each(|change| {
            let (sign, name) = change.split_at(1);
            let bits = feature(name)?;
            let features = &mut tables.settings.features.0;
            *features = if sign == "-" { *features & !bits } else { *features | bits };
            Ok(())
        }),
        ["answers", "per-tick", count] => {
            tables.settings.icmp_per_tick = number(count)?;
            Ok(())
        }
        ["backend", id, what] => backend(tables, number(id)?, what),
        ["slot", service, now, before] => {
            let slot = Slot { now: number(now)?, before: number(before)? };
            let at = first_slot(service)?;
            entry_mut::<Shared64>(tables, Table::Slots, at)?.set(slot.word());
            Ok(())
        }
        ["moving", service, "since", ticks] => {
            let since = 0u32.wrapping_sub(number(ticks)?);
            entry_mut::<Move>(tables, Table::Moves, first_slot(service)?)?.since.set(since);
            Ok(())
        }
        ["remembered", "idle", ticks] => {
            each(tables, Table::Remembered, |line: &RememberedLine| {
                let seen = 0u32.wrapping_sub(number(ticks)?);
                line.seen.iter().for_each(|word| word.set(seen));
                Ok(())
            })
        }
        ["remembered", "full"] => each(tables, Table::Remembered, |line: &RememberedLine| {
            for way in 0..REMEMBERED_WAYS {
                line.flows[way].set(0x00ff_00ff_0000_0001 + ((way as u64) << 24));
            }
            Ok(())
        }),
        ["ports", "all", "used"] => ports_used(tables, NatState::USED),
        ["ports", "all", "closed"] => ports_used(tables, NatState::USED | NatState::RESET),
        ["fragments", "idle", ticks] => {
            let seen = 0u32.wrapping_sub(number(ticks)?);
            each(tables, Table::Fragments, |line: &sluice_datapath::abi::FragmentLine| {
                line.seen.iter().for_each(|word| word.set(seen));
                Ok(())
            })
        }
        ["address", address, "is", "pool", "too"] => {
            let address = address4(address.parse().map_err(|error| format!("{address}: {error}"))?);
            let lines = (0..).map_while(|index| {
                tables.entry::<VipLine>(Table::Vip4, index).map(|line| (index, line.address))
            });
            let index = lines.into_iter().find(|line| line.1 == address).map(|line| line.0);
            let index = index.ok_or(format!("{text}: no such address"))?;
            entry_mut::<VipLine>(tables, Table::Vip4, index)?.flags.0 |= VipFlags::POOL;
            Ok(())
        }
        _ => Err(format!("{text}: no such change")),
    }
}

fn number(text: &str) -> Result<u32> {
    text.parse().map_err(|error| format!("{text}: {error}"))
}

fn feature(name: &str) -> Result<u32> {
    Ok(match name {
        "ipv6" => Features::IPV6,
        "prefilter4" => Features::PREFILTER4,
        "prefilter6" => Features::PREFILTER6,
        "service" => Features::SERVICE,
        "dsr" => Features::DSR,
        "nat" => Features::NAT,
        "ranges" => Features::RANGES,
        "sources" => Features::SOURCES,
        "affinity" => Features::AFFINITY,
        "events" => Features::EVENTS,
        "vlan" => Features::VLAN,
        _ => return Err(format!("{name}: no such feature")),
    })
}

fn entry_mut<T: Plain>(tables: &mut MemoryTables, table: Table, index: u32) -> Result<&mut T> {
    tables.entry_mut(table, index).ok_or(format!("{} has no entry {index}", table.name()))
}

fn backend(tables: &mut MemoryTables, id: u32, what: &str) -> Result<()> {
    let backend: &mut Backend = entry_mut(tables, Table::Backends, id)?;
    match what {
        "dead" => backend.flags.0 |= BackendFlags::DEAD,
        "alive" => backend.flags.0 &= !BackendFlags::DEAD,
        "unresolved" => backend.flags.0 &= !BackendFlags::RESOLVED,
        "gone" => *backend = Backend::default(),
        _ => return Err(format!("{what}: dead, alive, unresolved or gone")),
    }
    Ok(())
}

/// The first slot of a service of the standard configuration.
fn first_slot(service: &str) -> Result<u32> {
    let index = index_of(service).ok_or(format!("{service} is no service"))?;
    Ok(rows().iter().take(index as usize).map(|row| row.slots.len() as u32).sum())
}

fn each<T: Plain>(
    tables: &MemoryTables,
    table: Table,
    change: impl Fn(&T) -> Result<()>,
) -> Result<()> {
    (0..).map_while(|index| tables.entry(table, index)).try_for_each(change)
}

/// Fills the sets that the services of the scenario take their ports from.
fn ports_used(tables: &mut MemoryTables, state: u32) -> Result<()> {
    const PORTS: std::ops::Range<u32> = 4096..6144;
    for kind in 0..6 {
        for port in PORTS {
            let index = kind * 65536 + port;
            let Some(record) = tables.entry::<NatRecord>(Table::NatRecords, index) else {
                continue;
            };
            record.state.set(state);
            if let Some(line) = tables.entry::<NatTags>(Table::NatTags, index / 16) {
                line.tags[index as usize % 16].set(0x00ff_00ff);
            }
        }
    }
    Ok(())
}
