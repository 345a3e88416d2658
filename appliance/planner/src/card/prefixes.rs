//! Which prefixes are on a card: those that drop most packets, with everything that must be there beside them.
//!
//! The card's longest prefix decides, of those that *it* holds. So a prefix that denies may be there only if the
//! prefixes inside it that allow are there too; otherwise the card would drop what the host lets through. Of those, the
//! outermost are enough: what lies inside an allowing prefix meets it at least, unless a denying prefix inside that is
//! on the card, and then the same holds for that one. A prefix that allows can be missing or too much without harm as
//! long as no service is on the card: such packets go to the host.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
};

use ipnet::IpNet;
use sluice_datapath::abi::CARD_LENGTHS;
use sluice_model::{Objects, status::LeftOut};

use super::heat::Heat;

/// A prefix that is on the card counts as so much hotter than it is: another one must be hotter by half to take its
/// place, so that two of about the same heat don't take turns.
pub(crate) const LOYALTY: f64 = 1.5;
/// And by a packet per second.
pub(crate) const LOYALTY_RATE: f64 = 1.0;
/// Names that are told of a group of prefixes.
const EXAMPLES: usize = 3;

/// The prefixes of one family, with what lies in what.
#[derive(Clone, Debug, Default)]
pub struct Forest {
    /// Each prefix before those inside it.
    nodes: Vec<Node>,
    lengths: BTreeSet<u8>,
}

#[derive(Clone, Debug)]
struct Node {
    prefix: IpNet,
    deny: bool,
    /// Behind the last prefix inside this one.
    end: u32,
    /// Of a denying prefix: how many allowing ones must be where it is.
    needs: u32,
}

impl Forest {
    /// The prefixes of all prefilters, IPv4 and IPv6.
    #[must_use]
    pub fn of(objects: &Objects) -> [Self; 2] {
        let mut rules = [Vec::new(), Vec::new()];
        for prefilter in objects.prefilters() {
            let denied = prefilter.spec.deny.iter().map(|prefix| (prefix, true));
            let allowed = prefilter.spec.allow.iter().map(|prefix| (prefix, false));
            for (prefix, deny) in denied.chain(allowed) {
                let family = usize::from(!prefix.is_ipv4());
                rules[family].push((prefix.net().trunc(), deny));
            }
        }
        rules.map(Self::from_rules)
    }

    /// From prefixes without host bits and whether they deny.
    #[must_use]
    pub fn from_rules(mut rules: Vec<(IpNet, bool)>) -> Self {
        rules.sort_unstable();
        rules.dedup_by_key(|(prefix, _)| *prefix);
        let node = |&(prefix, deny): &(IpNet, bool)| Node { prefix, deny, end: 0, needs: 0 };
        let mut nodes: Vec<_> = rules.iter().map(node).collect();
        let mut around: Vec<usize> = Vec::new();
        for index in 0..=nodes.len() {
            while let Some(&outer) = around.last() {
                let next = nodes.get(index).map(|node| node.prefix);
                if next.is_some_and(|next| nodes[outer].prefix.contains(&next)) {
                    break;
                }
                around.pop();
                nodes[outer].end = index as u32;
                let adds = if nodes[outer].deny { nodes[outer].needs } else { 1 };
                if let Some(&parent) = around.last()
                    && nodes[parent].deny
                {
                    nodes[parent].needs += adds;
                }
            }
            around.push(index);
        }
        let lengths = nodes.iter().map(|node| node.prefix.prefix_len()).collect();
        Self { nodes, lengths }
    }

    /// How many prefixes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// How many different lengths they have.
    #[must_use]
    pub fn lengths(&self) -> usize {
        self.lengths.len()
    }

    fn find(&self, prefix: &IpNet) -> Option<usize> {
        self.nodes.binary_search_by(|node| node.prefix.cmp(prefix)).ok()
    }

    /// The outermost allowing prefixes inside a denying one.
    fn needs(&self, index: usize) -> impl Iterator<Item = usize> + '_ {
        let end = self.nodes[index].end as usize;
        let mut next = index + 1;
        std::iter::from_fn(move || {
            while next < end {
                let (this, node) = (next, &self.nodes[next]);
                if node.deny {
                    next = if node.needs == 0 { node.end as usize } else { next + 1 };
                } else {
                    next = node.end as usize;
                    return Some(this);
                }
            }
            None
        })
    }

    /// Chooses at most `room` of them; `held` are on the card now.
    #[must_use]
    pub fn choose(&self, room: usize, held: &BTreeMap<IpNet, bool>, heat: &Heat) -> ChosenPrefixes {
        if self.len() <= room && self.lengths.len() <= CARD_LENGTHS {
            let chosen: BTreeMap<_, _> =
                self.nodes.iter().map(|node| (node.prefix, node.deny)).collect();
            let denied = self.nodes.iter().filter(|node| node.deny);
            let value = denied.map(|node| heat.prefix(&node.prefix)).sum();
            return ChosenPrefixes { chosen, whole: true, value, left_out: Vec::new() };
        }
        Choice::new(self, room).run(held, heat)
    }
}

/// What was chosen, and why the rest was not.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChosenPrefixes {
    /// Prefixes, and whether they deny.
    pub chosen: BTreeMap<IpNet, bool>,
    /// Whether these are all of the family.
    pub whole: bool,
    /// Packets per second that they drop.
    pub value: f64,
    /// The others, by reason.
    pub left_out: Vec<LeftOut>,
}

/// A denying prefix that may be chosen.
#[derive(Clone, Copy)]
struct Candidate {
    index: usize,
    score: f64,
    held: bool,
}

struct Choice<'a> {
    forest: &'a Forest,
    room: usize,
    chosen: BTreeSet<usize>,
    lengths: BTreeSet<u8>,
    value: f64,
    no_room: Group,
    no_room_beside: Group,
    no_length: Group,
}

impl<'a> Choice<'a> {
    fn new(forest: &'a Forest, room: usize) -> Self {
        Self {
            forest,
            room,
            chosen: BTreeSet::new(),
            lengths: BTreeSet::new(),
            value: 0.0,
            no_room: Group::default(),
            no_room_beside: Group::default(),
            no_length: Group::default(),
        }
    }

    fn run(mut self, held: &BTreeMap<IpNet, bool>, heat: &Heat) -> ChosenPrefixes {
        for candidate in self.candidates(held, heat) {
            self.take(candidate.index, heat);
        }
        self.finish()
    }

    /// All that deny, those first that drop most per entry. Without any heat the wider ones are first: they are hit
    /// more often.
    fn candidates(&self, held: &BTreeMap<IpNet, bool>, heat: &Heat) -> Vec<Candidate> {
        let nodes = self.forest.nodes.iter().enumerate().filter(|(_, node)| node.deny);
        let mut candidates: Vec<_> = nodes
            .map(|(index, node)| {
                let held = held.get(&node.prefix) == Some(&true);
                let rate = heat.prefix(&node.prefix);
                let rate = if held { rate * LOYALTY + LOYALTY_RATE } else { rate };
                Candidate { index, score: rate / f64::from(1 + node.needs), held }
            })
            .collect();
        let order = |a: &Candidate, b: &Candidate| {
            let length =
                |candidate: &Candidate| self.forest.nodes[candidate.index].prefix.prefix_len();
            b.score
                .total_cmp(&a.score)
                .then(b.held.cmp(&a.held))
                .then(length(a).cmp(&length(b)))
                .then(a.index.cmp(&b.index))
        };
        candidates.sort_unstable_by(order);
        candidates
    }

    fn take(&mut self, index: usize, heat: &Heat) {
        let node = &self.forest.nodes[index];
        if self.chosen.len() >= self.room {
            self.no_room.add(node);
            return;
        }
        if node.needs as usize >= self.room {
            self.no_room_beside.add(node);
            return;
        }
        let mut new: Vec<usize> =
            self.forest.needs(index).filter(|allow| !self.chosen.contains(allow)).collect();
        new.push(index);
        let mut lengths = self.lengths.clone();
        lengths.extend(new.iter().map(|&index| self.forest.nodes[index].prefix.prefix_len()));
        if self.chosen.len() + new.len() > self.room {
            self.no_room_beside.add(node);
        } else if lengths.len() > CARD_LENGTHS {
            self.no_length.add(node);
        } else {
            self.lengths = lengths;
            self.chosen.extend(new);
            self.value += heat.prefix(&node.prefix);
        }
    }

    fn finish(self) -> ChosenPrefixes {
        let Self { forest, room, chosen, lengths, value, .. } = self;
        let mut unneeded = Group::default();
        let idle = forest.nodes.iter().enumerate();
        idle.filter(|(index, node)| !node.deny && !chosen.contains(index))
            .for_each(|(_, node)| unneeded.add(node));
        let used: Vec<_> = lengths.iter().map(|length| format!("/{length}")).collect();
        let left_out = [
            self.no_room.told(format!("the card has room for {room} prefixes, and hotter ones are there")),
            self.no_room_beside.told(format!(
                "the allowed prefixes inside it must be on the card too, and with them it exceeds the room for {room}"
            )),
            self.no_length.told(format!(
                "the card looks up {CARD_LENGTHS} prefix lengths, and hotter prefixes use {}",
                used.join(" ")
            )),
            unneeded.told("it allows, and no denied prefix on the card is around it".to_owned()),
        ];
        let chosen = chosen.into_iter().map(|index| &forest.nodes[index]);
        ChosenPrefixes {
            chosen: chosen.map(|node| (node.prefix, node.deny)).collect(),
            whole: false,
            value,
            left_out: left_out.into_iter().flatten().collect(),
        }
    }
}

/// Prefixes that are left out for one reason.
#[derive(Default)]
struct Group {
    entries: u64,
    examples: Vec<String>,
}

impl Group {
    fn add(&mut self, node: &Node) {
        self.entries += 1;
        if self.examples.len() < EXAMPLES {
            self.examples.push(node.prefix.to_string());
        }
    }

    fn told(self, reason: String) -> Option<LeftOut> {
        let Self { entries, examples } = self;
        (entries > 0).then_some(LeftOut { entries, examples, reason })
    }
}

/// Whether every denying prefix of a set has what must be beside it. Said of what is on a card at every moment.
#[must_use]
pub fn is_closed(forest: &Forest, held: &BTreeMap<IpNet, bool>) -> bool {
    held.iter().filter(|(_, deny)| **deny).all(|(prefix, _)| {
        forest.find(prefix).is_some_and(|index| {
            forest.nodes[index].deny
                && forest.needs(index).all(|allow| held.contains_key(&forest.nodes[allow].prefix))
        })
    })
}

/// Whether an address is denied by the longest of some prefixes.
#[must_use]
pub fn denies(prefixes: &BTreeMap<IpNet, bool>, address: std::net::IpAddr) -> bool {
    let around = prefixes.iter().filter(|(prefix, _)| prefix.contains(&address));
    let longest = around.max_by(|(a, _), (b, _)| match a.prefix_len().cmp(&b.prefix_len()) {
        Ordering::Equal => a.cmp(b),
        order => order,
    });
    longest.is_some_and(|(_, deny)| *deny)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::{IpAddr, Ipv4Addr};

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    fn forest(deny: &[&str], allow: &[&str]) -> Forest {
        let denied = deny.iter().map(|text| (net(text), true));
        Forest::from_rules(denied.chain(allow.iter().map(|text| (net(text), false))).collect())
    }

    fn heat(rates: &[(&str, f64)]) -> Heat {
        Heat::of([], rates.iter().map(|(prefix, rate)| (net(prefix), *rate)))
    }

    fn names(chosen: &ChosenPrefixes) -> Vec<String> {
        chosen.chosen.keys().map(ToString::to_string).collect()
    }

    #[test]
    fn what_fits_is_there_as_a_whole() {
        let forest = forest(&["10.0.0.0/8", "192.0.2.0/24"], &["10.1.0.0/16"]);
        let chosen = forest.choose(3, &BTreeMap::new(), &heat(&[("10.0.0.0/8", 7.0)]));
        assert!(chosen.whole && chosen.left_out.is_empty());
        assert_eq!((chosen.chosen.len(), chosen.value), (3, 7.0));
    }

    #[test]
    fn the_two_that_drop_most_are_on_a_card_for_two() {
        let forest =
            forest(&["10.0.0.0/8", "172.16.0.0/12", "192.0.2.0/24", "198.51.100.0/24"], &[]);
        let heat =
            heat(&[("192.0.2.0/24", 1000.0), ("198.51.100.0/24", 50.0), ("10.0.0.0/8", 3.0)]);
        let chosen = forest.choose(2, &BTreeMap::new(), &heat);
        assert_eq!(names(&chosen), ["192.0.2.0/24", "198.51.100.0/24"]);
        assert_eq!(chosen.value, 1050.0);
        let left: Vec<_> =
            chosen.left_out.iter().map(|left| (left.entries, &*left.reason)).collect();
        assert_eq!(left, [(2, "the card has room for 2 prefixes, and hotter ones are there")]);
    }

    #[test]
    fn a_denied_prefix_comes_with_the_outermost_allowed_ones_inside_it() {
        let forest = forest(
            &["10.0.0.0/8", "10.1.1.0/24", "10.2.0.0/16", "192.0.2.0/24"],
            &["10.1.0.0/16", "10.1.1.1/32", "10.2.3.0/24", "172.16.0.0/12"],
        );
        let chosen = forest.choose(3, &BTreeMap::new(), &heat(&[("10.0.0.0/8", 9.0)]));
        assert_eq!(names(&chosen), ["10.0.0.0/8", "10.1.0.0/16", "10.2.3.0/24"]);
        assert!(is_closed(&forest, &chosen.chosen));
        // With one entry less another prefix is worth more.
        let chosen = forest.choose(2, &BTreeMap::new(), &heat(&[("10.0.0.0/8", 9.0)]));
        assert!(!names(&chosen).contains(&"10.0.0.0/8".to_owned()), "{:?}", names(&chosen));
        assert!(chosen.left_out.iter().any(|left| left.reason.contains("must be on the card too")));
    }

    #[test]
    fn more_lengths_than_the_card_looks_up_are_refused_with_their_reason() {
        let texts: Vec<_> = (9..19).map(|bits| format!("10.0.0.0/{bits}")).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let forest = forest(&texts, &[]);
        let chosen = forest.choose(100, &BTreeMap::new(), &heat(&[("10.0.0.0/18", 5.0)]));
        assert_eq!((chosen.chosen.len(), chosen.whole), (CARD_LENGTHS, false));
        assert!(chosen.chosen.contains_key(&net("10.0.0.0/18")));
        assert!(chosen.left_out[0].reason.contains("/18"), "{:?}", chosen.left_out);
    }

    #[test]
    fn a_newcomer_must_be_hotter_by_half() {
        let forest = forest(&["192.0.2.0/24", "198.51.100.0/24"], &[]);
        let held = BTreeMap::from([(net("192.0.2.0/24"), true)]);
        let mut rates = [("192.0.2.0/24", 100.0), ("198.51.100.0/24", 140.0)];
        assert_eq!(names(&forest.choose(1, &held, &heat(&rates))), ["192.0.2.0/24"]);
        rates[1].1 = 160.0;
        assert_eq!(names(&forest.choose(1, &held, &heat(&rates))), ["198.51.100.0/24"]);
    }

    /// Prefixes of a small world, so that they lie in each other often.
    fn rules() -> impl Strategy<Value = Vec<(IpNet, bool)>> {
        let rule = (0_u8..=255, 24_u8..=32, any::<bool>()).prop_map(|(last, bits, deny)| {
            let address = IpAddr::from(Ipv4Addr::new(192, 0, 2, last));
            (IpNet::new(address, bits).unwrap().trunc(), deny)
        });
        prop::collection::vec(rule, 1..40)
    }

    fn all(forest: &Forest) -> BTreeMap<IpNet, bool> {
        forest.nodes.iter().map(|node| (node.prefix, node.deny)).collect()
    }

    proptest! {
        /// Whatever is chosen drops nothing that the host would let through.
        #[test]
        fn no_subset_that_is_chosen_drops_what_the_host_passes(
            rules in rules(),
            room in 0_usize..12,
            rates in prop::collection::vec(0_u16..1000, 40),
            held in prop::collection::vec(any::<bool>(), 40),
        ) {
            let forest = Forest::from_rules(rules);
            let host = all(&forest);
            let heat = Heat::of([], host.keys().zip(&rates).map(|(prefix, rate)| (*prefix, f64::from(*rate))));
            let held = host.iter().zip(&held).filter(|(_, held)| **held).map(|((p, d), _)| (*p, *d)).collect();
            let card = forest.choose(room, &held, &heat);
            prop_assert!(card.chosen.len() <= room);
            prop_assert!(is_closed(&forest, &card.chosen));
            let lengths: BTreeSet<_> = card.chosen.keys().map(IpNet::prefix_len).collect();
            prop_assert!(lengths.len() <= CARD_LENGTHS);
            for last in 0..=255 {
                let address = IpAddr::from(Ipv4Addr::new(192, 0, 2, last));
                prop_assert!(!denies(&card.chosen, address) || denies(&host, address), "{address}");
                if card.whole {
                    prop_assert_eq!(denies(&card.chosen, address), denies(&host, address));
                }
            }
        }

        /// What is chosen stays chosen while the heat stays, and what a wobble of a tenth moved out does not come back.
        #[test]
        fn hysteresis_does_not_flap(
            rules in rules(),
            room in 1_usize..12,
            rates in prop::collection::vec(0_u16..1000, 40),
            wobbles in prop::collection::vec(prop::collection::vec(-0.1_f64..0.1, 40), 12),
        ) {
            let forest = Forest::from_rules(rules.into_iter().map(|(prefix, _)| (prefix, true)).collect());
            let host = all(&forest);
            let heat = |wobble: &[f64]| Heat::of([], host.keys().zip(rates.iter().zip(wobble)).map(
                |(prefix, (rate, wobble))| (*prefix, f64::from(*rate) * (1.0 + wobble)),
            ));
            let mut held = forest.choose(room, &BTreeMap::new(), &heat(&wobbles[0])).chosen;
            let mut gone = BTreeSet::new();
            for wobble in &wobbles {
                let next = forest.choose(room, &held, &heat(wobble)).chosen;
                prop_assert_eq!(&forest.choose(room, &next, &heat(wobble)).chosen, &next);
                gone.extend(held.keys().filter(|prefix| !next.contains_key(prefix)).copied());
                prop_assert!(next.keys().all(|prefix| !gone.contains(prefix)), "{next:?} {gone:?}");
                held = next;
            }
        }
    }
}
