//! What was counted, by the names of what was counted.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;
use sluice_datapath::abi::{
    BackendCount, Class, Count, PrefilterHit, Reason, ServiceCounter, ServiceCounts, ip_address,
};
use sluice_model::Prefix;
use sluice_model::status::{Placement, PrefilterAction};

use super::{Engine, PlacementCounters};
use crate::wire::{
    BackendCounters, Counters, PlacementTraffic, ReasonCount, ServiceCounters, TopPrefixCount,
    Traffic,
};

/// Prefixes that are told.
const TOP_PREFIXES: usize = 20;

/// What became of all packets.
pub(super) fn traffic(counts: &[Count]) -> Traffic {
    let mut traffic = Traffic::default();
    for (reason, count) in Reason::ALL.iter().zip(counts) {
        let (packets, bytes) = match reason.class() {
            Class::Sent => (&mut traffic.sent_packets, &mut traffic.sent_bytes),
            Class::Pass => (&mut traffic.passed_packets, &mut traffic.passed_bytes),
            Class::Drop => (&mut traffic.dropped_packets, &mut traffic.dropped_bytes),
        };
        *packets += count.packets;
        *bytes += count.bytes;
    }
    traffic
}

pub(super) const fn class(class: Class) -> &'static str {
    match class {
        Class::Sent => "sent",
        Class::Pass => "pass",
        Class::Drop => "drop",
    }
}

fn reasons(counts: &[Count]) -> Vec<ReasonCount> {
    let all = Reason::ALL.iter().zip(counts).filter(|(_, count)| count.packets > 0);
    let told = all.map(|(reason, count)| ReasonCount {
        class: class(reason.class()).to_owned(),
        reason: reason.name().to_owned(),
        explanation: reason.explanation().to_owned(),
        packets: count.packets,
        bytes: count.bytes,
    });
    told.collect()
}

/// The drops by reason, the most frequent first.
pub(super) fn drops(counts: &[Count]) -> Vec<ReasonCount> {
    let mut drops = reasons(counts);
    drops.retain(|count| count.class == class(Class::Drop));
    drops.sort_by(|a, b| b.packets.cmp(&a.packets).then(a.reason.cmp(&b.reason)));
    drops
}

/// What a service counted, zeros left out.
pub(super) fn service_events(counts: &ServiceCounts) -> BTreeMap<String, u64> {
    let all = ServiceCounter::ALL.iter().zip(counts).filter(|(_, count)| **count > 0);
    all.map(|(counter, count)| (counter.name().to_owned(), *count)).collect()
}

/// The counters of a service that count drops.
pub(super) const fn is_drop(counter: ServiceCounter) -> bool {
    !matches!(
        counter,
        ServiceCounter::Remembered
            | ServiceCounter::RememberedFullOld
            | ServiceCounter::RememberedFullNew
            | ServiceCounter::SentBefore
    )
}

/// The prefixes that hit most. Each CPU has candidates of its own; their votes are a lower bound of their hits.
/// Cards count every hit.
pub(super) fn top_prefixes<'a>(
    hits: &[PrefilterHit],
    on_cards: impl IntoIterator<Item = (&'a IpNet, bool, Count)>,
) -> Vec<TopPrefixCount> {
    let mut sums: HashMap<(IpAddr, u32, bool), u64> = HashMap::new();
    for (prefix, deny, count) in on_cards {
        let key = (prefix.network(), u32::from(prefix.prefix_len()), deny);
        *sums.entry(key).or_default() += count.packets;
    }
    for hit in hits.iter().filter(|hit| hit.family != 0) {
        let key = (ip_address(hit.address, hit.family == 6), hit.word.bits(), hit.word.denies());
        *sums.entry(key).or_default() += hit.votes;
    }
    let told = sums.into_iter().filter_map(|((address, bits, denies), hits)| {
        let prefix: Prefix = format!("{address}/{bits}").parse().ok()?;
        let action = if denies { PrefilterAction::Deny } else { PrefilterAction::Allow };
        Some(TopPrefixCount { prefix, action, hits })
    });
    let mut told: Vec<_> = told.collect();
    told.sort_by(|a, b| b.hits.cmp(&a.hits).then(a.prefix.cmp(&b.prefix)));
    told.truncate(TOP_PREFIXES);
    told
}

impl Engine {
    /// Everything that is counted.
    ///
    /// # Errors
    /// When the datapath cannot be read.
    pub fn counters(&mut self) -> sluice_kernel::Result<Counters> {
        self.cards.read_all_counters();
        let counts = self.counts()?;
        let hits = self.datapath.prefilter_hits()?;
        Ok(Counters {
            time: Timestamp::now(),
            traffic: traffic(&counts),
            reasons: reasons(&counts),
            placements: self.traffic_by_place()?,
            services: self.service_counters()?,
            top_prefixes: top_prefixes(&hits, self.cards.counters.prefixes()),
        })
    }

    /// What became of all packets, whoever finished them. What a card leaves to the host is counted there.
    pub(super) fn counts(&self) -> sluice_kernel::Result<Vec<Count>> {
        let mut counts = self.datapath.counts()?;
        let on_cards = self.cards.counters.total();
        for (reason, more) in
            [(Reason::SentEncapsulated, on_cards.sent), (Reason::DropDenied, on_cards.denied)]
        {
            if let Some(count) = counts.get_mut(reason as usize) {
                count.packets += more.packets;
                count.bytes += more.bytes;
            }
        }
        Ok(counts)
    }

    /// The same by place: cards, then the host.
    pub(super) fn traffic_by_place(&self) -> sluice_kernel::Result<Vec<PlacementTraffic>> {
        let on_card = |(link, placement, counts): (&str, Placement, &PlacementCounters)| {
            let passed =
                [("unfit", counts.unfit), ("missed", counts.missed), ("deferred", counts.deferred)];
            let passed = passed.into_iter().filter(|(_, count)| *count > 0);
            let passed: BTreeMap<_, _> =
                passed.map(|(why, count)| (why.to_owned(), count)).collect();
            PlacementTraffic {
                link: Some(link.to_owned()),
                placement: placement.to_string(),
                sent_packets: counts.sent.packets,
                sent_bytes: counts.sent.bytes,
                dropped_packets: counts.denied.packets,
                dropped_bytes: counts.denied.bytes,
                passed_packets: passed.values().sum(),
                passed,
            }
        };
        let mut places: Vec<_> = self.cards.counters.placements().map(on_card).collect();
        let host = traffic(&self.datapath.counts()?);
        places.push(PlacementTraffic {
            link: None,
            placement: "host".to_owned(),
            sent_packets: host.sent_packets,
            sent_bytes: host.sent_bytes,
            dropped_packets: host.dropped_packets,
            dropped_bytes: host.dropped_bytes,
            passed_packets: host.passed_packets,
            passed: BTreeMap::new(),
        });
        Ok(places)
    }

    fn service_counters(&self) -> sluice_kernel::Result<Vec<ServiceCounters>> {
        let numbers: BTreeMap<_, _> = self.index.services().collect();
        let of_services =
            self.datapath.service_counts(&numbers.values().copied().collect::<Vec<_>>())?;
        let mut backends: BTreeMap<_, Vec<BackendCounters>> = BTreeMap::new();
        let (keys, ids): (Vec<_>, Vec<_>) = self.index.backends().unzip();
        for ((key, id), count) in
            keys.into_iter().zip(&ids).zip(self.datapath.backend_counts(&ids)?)
        {
            let BackendCount { forward, reply } = count;
            let on_cards = self.cards.counters.backend(*id);
            backends.entry(&key.service).or_default().push(BackendCounters {
                address: key.address,
                port: key.port,
                packets: forward.packets + on_cards.packets,
                bytes: forward.bytes + on_cards.bytes,
                card_packets: on_cards.packets,
                card_bytes: on_cards.bytes,
                reply_packets: reply.packets,
                reply_bytes: reply.bytes,
            });
        }
        let counters = numbers.keys().zip(of_services).map(|(name, counts)| {
            let mut backends = backends.remove(name).unwrap_or_default();
            backends.sort_by_key(|backend| (backend.address, backend.port));
            ServiceCounters { name: (*name).clone(), backends, events: service_events(&counts) }
        });
        Ok(counters.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_datapath::abi::PrefilterWord;

    #[test]
    fn candidates_of_all_cpus_are_one() {
        let hit = |last: u8, votes| PrefilterHit {
            address: sluice_datapath::abi::address4([10, 0, 0, last].into()),
            word: PrefilterWord::new(32, true),
            family: 4,
            hits: votes + 5,
            votes,
        };
        let top = top_prefixes(&[hit(1, 3), hit(2, 4), hit(1, 2), PrefilterHit::default()], []);
        let shown: Vec<_> = top.iter().map(|top| (top.prefix.to_string(), top.hits)).collect();
        assert_eq!(shown, [("10.0.0.1/32".to_owned(), 5), ("10.0.0.2/32".to_owned(), 4)]);
    }

    #[test]
    fn every_packet_is_in_one_class() {
        let counts = vec![Count { packets: 1, bytes: 2 }; Reason::COUNT];
        let all = traffic(&counts);
        assert_eq!(
            all.sent_packets + all.passed_packets + all.dropped_packets,
            Reason::COUNT as u64
        );
        assert_eq!(all.sent_bytes, 2 * all.sent_packets);
        assert_eq!(reasons(&counts).len(), Reason::COUNT);
    }
}
