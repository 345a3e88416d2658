//! What the cards counted, added up over the lives of their programs and entries.

use std::collections::{BTreeMap, HashMap};

use ipnet::IpNet;
use sluice_datapath::abi::{
    CardCounts, CardPrefix, CardPrefixKey4, CardPrefixKey6, Count, ip_address,
};
use sluice_kernel::{Cards, Removed, card_tables};
use sluice_model::status::Placement;
use sluice_planner::card::{CardContents, placement_of};

use super::OnCards;

/// What became of the packets that a card saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlacementCounters {
    /// Sent to backends.
    pub sent: Count,
    /// Dropped by a prefix.
    pub denied: Count,
    /// Left to the host: the card takes no such packets.
    pub unfit: u64,
    /// Left to the host: nothing on the card concerns them.
    pub missed: u64,
    /// Left to the host although their service is on the card.
    pub deferred: u64,
}

/// Sums that go on when a card's counters begin anew.
#[derive(Debug, Default)]
pub(in crate::engine) struct CardCounters {
    placements: BTreeMap<(String, Placement), PlacementCounters>,
    backends: HashMap<u32, Count>,
    prefixes: HashMap<(IpNet, bool), Count>,
    /// What the counters said last, by link.
    last: HashMap<String, Last>,
}

#[derive(Debug, Default)]
struct Last {
    counts: CardCounts,
    backends: HashMap<u32, Count>,
    prefixes: HashMap<(IpNet, bool), Count>,
}

/// What the tables of a card say.
#[derive(Debug, Default)]
struct Reading {
    counts: Option<CardCounts>,
    /// By index on the card.
    sent: Vec<(u32, Count)>,
    prefixes: Vec<((IpNet, bool), Count)>,
}

impl CardCounters {
    /// All cards, by link and placement.
    pub(in crate::engine) fn placements(
        &self,
    ) -> impl Iterator<Item = (&str, Placement, &PlacementCounters)> {
        self.placements.iter().map(|((link, place), counts)| (link.as_str(), *place, counts))
    }

    /// What cards sent to a backend, by its id in the host's tables.
    pub(in crate::engine) fn backend(&self, id: u32) -> Count {
        self.backends.get(&id).copied().unwrap_or_default()
    }

    /// An id got another meaning.
    pub(in crate::engine) fn forget_backend(&mut self, id: u32) {
        self.backends.remove(&id);
    }

    /// What prefixes decided on cards, with whether they deny.
    pub(in crate::engine) fn prefixes(&self) -> impl Iterator<Item = (&IpNet, bool, Count)> {
        self.prefixes.iter().map(|((prefix, deny), count)| (prefix, *deny, *count))
    }

    /// All cards together.
    pub(in crate::engine) fn total(&self) -> PlacementCounters {
        let mut total = PlacementCounters::default();
        for counts in self.placements.values() {
            add(&mut total.sent, counts.sent);
            add(&mut total.denied, counts.denied);
            total.unfit += counts.unfit;
            total.missed += counts.missed;
            total.deferred += counts.deferred;
        }
        total
    }

    /// A program was taken off or replaced: what it counted last, then from zero.
    pub(in crate::engine) fn removed(
        &mut self,
        link: &str,
        held: &CardContents,
        removed: Option<&Removed>,
    ) {
        if let Some(removed) = removed.filter(|removed| removed.current) {
            let mut reading = Reading::default();
            for table in &removed.contents {
                reading.counts = table
                    .read(card_tables::COUNTS)
                    .next()
                    .map(|(_, counts)| counts)
                    .or(reading.counts);
                reading.sent.extend(table.read(card_tables::SENT));
                let v4 = table.read(card_tables::PREFIXES4);
                reading.prefixes.extend(v4.filter_map(|(key, value)| entry(net4(&key), &value)));
                let v6 = table.read(card_tables::PREFIXES6);
                reading.prefixes.extend(v6.filter_map(|(key, value)| entry(net6(&key), &value)));
            }
            self.take(link, held, reading);
        }
        self.last.remove(link);
    }

    fn take(&mut self, link: &str, held: &CardContents, reading: Reading) {
        let Some(program) = held.program else { return };
        let last = self.last.entry(link.to_owned()).or_default();
        if let Some(counts) = reading.counts {
            let place = (link.to_owned(), placement_of(program.hook));
            let total = self.placements.entry(place).or_default();
            let before = std::mem::replace(&mut last.counts, counts);
            add(&mut total.sent, more(counts.sent, before.sent));
            add(&mut total.denied, more(counts.denied, before.denied));
            let rest = |now: u64, before: u64| now.checked_sub(before).unwrap_or(now);
            total.unfit += rest(counts.unfit, before.unfit);
            total.missed += rest(counts.missed, before.missed);
            total.deferred += rest(counts.deferred, before.deferred);
        }
        let backends: HashMap<u32, u32> = held
            .services
            .values()
            .flat_map(|image| &image.backends)
            .map(|(index, backend)| (*index, backend.backend))
            .collect();
        let mut sent = HashMap::new();
        for (index, count) in reading.sent {
            if let Some(&id) = backends.get(&index) {
                let before = last.backends.get(&id).copied().unwrap_or_default();
                add(self.backends.entry(id).or_default(), more(count, before));
                sent.insert(id, count);
            }
        }
        last.backends = sent;
        let mut decided = HashMap::new();
        for (prefix, count) in reading.prefixes {
            let before = last.prefixes.get(&prefix).copied().unwrap_or_default();
            add(self.prefixes.entry(prefix).or_default(), more(count, before));
            decided.insert(prefix, count);
        }
        last.prefixes = decided;
    }
}

impl OnCards {
    /// Reads the counters of the card of a link, as far as it answers.
    pub(in crate::engine) fn read_counters(&mut self, link: &str) {
        let (Some(setup), Some(on_card)) = (&self.kernel, self.links.get(link)) else { return };
        if on_card.held.program.is_some() {
            let reading = read(&*setup.cards, on_card.ifindex, &on_card.held);
            self.counters.take(link, &on_card.held, reading);
        }
    }

    /// Reads the counters of all cards.
    pub(in crate::engine) fn read_all_counters(&mut self) {
        let links: Vec<_> = self.links.keys().cloned().collect();
        links.iter().for_each(|link| self.read_counters(link));
    }
}

fn read(cards: &dyn Cards, ifindex: u32, held: &CardContents) -> Reading {
    use sluice_model::Stage;
    let stages = held.program.map(|program| program.stages);
    let has = |stage| stages.is_some_and(|stages| stages.has(stage));
    let mut reading = Reading {
        counts: cards.get(ifindex, card_tables::COUNTS, &0).ok().flatten(),
        ..Reading::default()
    };
    if has(Stage::Service) {
        reading.sent = cards.all(ifindex, card_tables::SENT).unwrap_or_default();
    }
    if has(Stage::Prefilter) {
        let v4 = cards.all(ifindex, card_tables::PREFIXES4).unwrap_or_default().into_iter();
        reading.prefixes.extend(v4.filter_map(|(key, value)| entry(net4(&key), &value)));
        let v6 = cards.all(ifindex, card_tables::PREFIXES6).unwrap_or_default().into_iter();
        reading.prefixes.extend(v6.filter_map(|(key, value)| entry(net6(&key), &value)));
    }
    reading
}

fn entry(prefix: Option<IpNet>, value: &CardPrefix) -> Option<((IpNet, bool), Count)> {
    Some(((prefix?, value.word.denies()), value.count))
}

fn net4(key: &CardPrefixKey4) -> Option<IpNet> {
    IpNet::new(ip_address([key.address, 0, 0, 0], false), u8::try_from(key.bits).ok()?).ok()
}

fn net6(key: &CardPrefixKey6) -> Option<IpNet> {
    IpNet::new(ip_address(key.address, true), u8::try_from(key.bits).ok()?).ok()
}

/// What came since; a counter that is lower than before began anew.
fn more(now: Count, before: Count) -> Count {
    if now.packets < before.packets {
        return now;
    }
    Count { packets: now.packets - before.packets, bytes: now.bytes.saturating_sub(before.bytes) }
}

fn add(sum: &mut Count, more: Count) {
    sum.packets += more.packets;
    sum.bytes += more.bytes;
}
