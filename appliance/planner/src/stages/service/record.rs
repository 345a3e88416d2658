//! The entry of a service.

use sluice_datapath::abi::{Address, NatPool, Service, ServiceFlags, Shared64, SlotRange};
use sluice_model::{Affinity, DeliveryMode, Name, ServiceSpec};

/// What the entry of a service says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ServiceRecord {
    pub(crate) slots: SlotRange,
    pub(crate) flags: ServiceFlags,
    pub(crate) sources: SourceRegion,
    pub(crate) idle_ticks: u32,
    pub(crate) grace_ticks: u32,
    pub(crate) pool: NatPool,
    pub(crate) address: Address,
}

/// Allowed sources of a service in their table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SourceRegion {
    pub(crate) first: u32,
    pub(crate) count: u32,
}

impl ServiceRecord {
    pub(crate) fn entry(&self) -> Service {
        Service {
            slots: Shared64::new(self.slots.word()),
            flags: self.flags,
            sources: self.sources.first,
            source_count: self.sources.count,
            idle_ticks: self.idle_ticks,
            grace_ticks: self.grace_ticks,
            pool: self.pool,
            address: self.address,
            ..Service::default()
        }
    }

    pub(crate) fn of(entry: &Service) -> Self {
        let has_sources = entry.flags.has(ServiceFlags::SOURCES);
        Self {
            slots: SlotRange::from_word(entry.slots.get()),
            flags: entry.flags,
            sources: SourceRegion {
                first: entry.sources,
                count: if has_sources { entry.source_count } else { 0 },
            },
            idle_ticks: entry.idle_ticks,
            grace_ticks: entry.grace_ticks,
            pool: entry.pool,
            address: entry.address,
        }
    }
}

/// How a service behaves. `is_refused`: no backend may take packets.
pub(crate) fn flags(spec: &ServiceSpec, is_refused: bool) -> ServiceFlags {
    let flag = |is_set: bool, flag| if is_set { flag } else { 0 };
    ServiceFlags(
        ServiceFlags::USED
            | flag(spec.mode == DeliveryMode::Nat, ServiceFlags::NAT)
            | flag(spec.affinity == Affinity::Source, ServiceFlags::AFFINITY)
            | flag(!spec.allowed_sources.is_empty(), ServiceFlags::SOURCES)
            | flag(is_refused, ServiceFlags::REFUSE)
            | flag(spec.address.is_ipv6(), ServiceFlags::IPV6),
    )
}

/// A name as it stands in its table: UTF-8, padded with zeros.
pub(crate) fn name_words(name: &Name) -> [u64; 8] {
    let mut words = [0; 8];
    for (word, chunk) in words.iter_mut().zip(name.as_str().as_bytes().chunks(8)) {
        let mut bytes = [0; 8];
        bytes[..chunk.len()].copy_from_slice(chunk);
        *word = u64::from_ne_bytes(bytes);
    }
    words
}

/// A name as it was read from its table; none in an unused entry.
pub(crate) fn read_name(words: &[u64; 8]) -> Option<Name> {
    let bytes: Vec<u8> =
        words.iter().flat_map(|word| word.to_ne_bytes()).take_while(|&byte| byte != 0).collect();
    Name::new(String::from_utf8(bytes).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_their_table() {
        for text in ["a", "web-server-8", &"x".repeat(63)] {
            let name = Name::new(text).unwrap();
            assert_eq!(read_name(&name_words(&name)), Some(name));
        }
        assert_eq!(read_name(&[0; 8]), None);
    }

    #[test]
    fn entries_are_read_as_they_were_written() {
        let record = ServiceRecord {
            slots: SlotRange { base: 256, mask: 255 },
            flags: ServiceFlags(ServiceFlags::USED | ServiceFlags::SOURCES | ServiceFlags::IPV6),
            sources: SourceRegion { first: 3, count: 2 },
            idle_ticks: 1172,
            grace_ticks: 118,
            pool: NatPool { first: 1, addresses: 2, set_low: 64, set_count: 4032 },
            address: [1, 2, 3, 4],
        };
        assert_eq!(ServiceRecord::of(&record.entry()), record);
    }
}
