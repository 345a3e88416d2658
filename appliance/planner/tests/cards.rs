//! Whatever a plan puts on a card, and at every moment while it does, packets meet the verdicts and bytes of the host.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod common;

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use common::{
    Gateway, LINK,
    card::Card,
    frame::{ACK, SYN, tcp, udp},
};
use ipnet::IpNet;
use proptest::prelude::*;
use sluice_datapath::{
    abi::{CardTable, Class, Reason, Table},
    card::CardVerdict,
    packet::MemoryPacket,
};
use sluice_planner::{
    SlotWords,
    card::{CardFacts, CardPlan, CardStep, Cards, Forest, Heat, plan_cards, prefixes::is_closed},
    facts::{NextHop, ProgramFacts},
};
use sluice_profile::{Profile, shipped};

/// A gateway whose link has a card.
struct World {
    host: Gateway,
    facts: CardFacts,
    card: Card,
    /// Packets that the card finished.
    finished: u32,
}

impl World {
    fn new(profile: &str, limits: &[(CardTable, u32)]) -> Self {
        let profile: Profile = shipped::profile(profile).unwrap().unwrap();
        let facts = CardFacts {
            profile: Some(Arc::new(profile)),
            limits: limits.iter().copied().collect(),
            ..CardFacts::default()
        };
        let mut host = Gateway::new();
        let program = ProgramFacts { is_native: true, settings: None, is_current: true };
        host.facts.links.get_mut("eth0").unwrap().program = Some(program);
        Self { host, facts, card: Card::default(), finished: 0 }
    }

    /// Plans host and card, and carries both out; packets are compared after every step.
    fn configure(&mut self, yaml: &str, heat: &Heat, packets: &[Vec<u8>]) -> CardPlan {
        self.host.objects = common::objects(yaml);
        self.host.resolve();
        self.host.tables.tick.set(self.host.facts.clock.tick);
        let plan = self.host.plan().unwrap_or_else(|error| panic!("{error}"));
        let forests = Forest::of(&self.host.objects);
        let cards = BTreeMap::from([("eth0".to_owned(), self.facts.clone())]);
        let planned = plan_cards(&Cards {
            objects: &self.host.objects,
            facts: &self.host.facts,
            plan: &plan,
            words: SlotWords {
                slots: self.host.tables.words(Table::Slots),
                moves: self.host.tables.words(Table::Moves),
            },
            cards: &cards,
            heat,
            forests: &forests,
        });
        let card = planned.cards["eth0"].clone();
        for (forest, prefixes) in forests.iter().zip(&card.next.prefixes) {
            assert!(is_closed(forest, prefixes));
        }
        self.check(packets, "before");
        for step in &card.change.withdraw {
            self.card.step(step);
            self.check(packets, &format!("withdrawing: {step}"));
        }
        for step in &plan.steps {
            self.host.step(step);
            self.check(packets, "host");
        }
        self.host.state = plan.next;
        if card.is_replaced {
            self.card = Card::place(&card.next);
        } else {
            for (number, step) in card.change.add.iter().enumerate() {
                self.card.step(step);
                // Slots are many, and nothing reads them yet: a look at some of them is enough.
                if step.entry().table() != CardTable::Slots || number % 50 == 0 {
                    self.check(packets, &format!("adding: {step}"));
                }
            }
        }
        self.check(packets, "after");
        assert_eq!(self.card.visible(), Card::place(&card.next).visible());
        self.facts.held = card.next.clone();
        card
    }

    /// What the card finishes, the host would have finished likewise; what it leaves is as it came.
    fn check(&mut self, packets: &[Vec<u8>], moment: &str) {
        for frame in packets {
            let mut packet = MemoryPacket::new(frame);
            let verdict = self.card.run(&mut packet);
            if verdict == CardVerdict::Pass {
                assert_eq!(packet.bytes(), frame, "{moment}: changed and left to the host");
                continue;
            }
            self.finished += 1;
            let mut same = MemoryPacket::new(frame);
            let outcome = sluice_datapath::run(&mut same, &self.host.tables);
            let card = self.facts.held.program;
            match verdict {
                CardVerdict::Drop => {
                    assert_eq!(outcome.reason, Reason::DropDenied, "{moment}: dropped by {card:?}");
                }
                _ => {
                    let sent = (outcome.reason.class(), outcome.ifindex);
                    assert_eq!(sent, (Class::Sent, LINK), "{moment}: sent by {card:?}");
                    assert_eq!(packet.bytes(), same.bytes(), "{moment}: {card:?}");
                }
            }
        }
    }
}

/// A configuration of a small world, in which prefixes lie in each other and services share clients.
#[derive(Clone, Debug)]
struct Config {
    rules: Vec<(u8, u8, bool)>,
    services: Vec<ServiceCase>,
    sample: u32,
    heat: Vec<u16>,
    /// A link of their own for backends with this number and above.
    elsewhere: u8,
    wait: u64,
}

#[derive(Clone, Debug)]
struct ServiceCase {
    number: u8,
    udp: bool,
    affinity: bool,
    nat: bool,
    backends: Vec<(u8, u16, bool)>,
}

fn config() -> impl Strategy<Value = Config> {
    let rule = (0_u8..8, 25_u8..=32, prop::bool::weighted(0.6));
    let backend = (1_u8..6, prop::sample::select(vec![1_u16, 1, 3]), prop::bool::weighted(0.1));
    let service = (
        0_u8..4,
        any::<bool>(),
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.1),
        prop::collection::vec(backend, 1..3),
    )
        .prop_map(|(number, udp, affinity, nat, backends)| ServiceCase {
            number,
            udp,
            affinity,
            nat,
            backends,
        });
    (
        prop::collection::vec(rule, 0..7),
        prop::collection::vec(service, 0..4),
        prop::sample::select(vec![0_u32, 2, 4]),
        prop::collection::vec(0_u16..1000, 24),
        prop::sample::select(vec![9_u8, 9, 9, 5]),
        prop::sample::select(vec![0_u64, 1, 700]),
    )
        .prop_map(|(rules, services, sample, heat, elsewhere, wait)| Config {
            rules,
            services,
            sample,
            heat,
            elsewhere,
            wait,
        })
}

impl Config {
    fn prefixes(&self) -> BTreeMap<IpNet, bool> {
        let prefix = |&(last, bits, deny): &(u8, u8, bool)| {
            let address = IpAddr::from([198, 51, 100, last * 16]);
            (IpNet::new(address, bits).unwrap().trunc(), deny)
        };
        self.rules.iter().map(prefix).collect()
    }

    fn yaml(&self) -> String {
        let mut text = format!(
            "kind: Gateway\nmetadata: {{name: gateway}}\nspec:\n  links: [{{name: eth0}}]\n  \
             events: {{dropsPerSecond: 0, sampleFlows: {}}}\n  \
             natPools: [{{name: default, addresses: [10.0.1.250]}}]\n",
            self.sample
        );
        let prefixes = self.prefixes();
        let of = |wanted: bool| {
            let all = prefixes.iter().filter(|(_, deny)| **deny == wanted);
            all.map(|(prefix, _)| prefix.to_string()).collect::<Vec<_>>().join(", ")
        };
        text += &format!(
            "---\nkind: Prefilter\nmetadata: {{name: filter}}\nspec: {{deny: [{}], allow: [{}]}}\n",
            of(true),
            of(false)
        );
        let services: BTreeMap<u8, &ServiceCase> =
            self.services.iter().map(|service| (service.number, service)).collect();
        for (number, service) in services {
            let members: BTreeMap<u8, (u16, bool)> = service
                .backends
                .iter()
                .map(|(host, weight, off)| (*host, (*weight, *off)))
                .collect();
            let backends: Vec<_> = members
                .iter()
                .map(|(host, (weight, off))| {
                    let state = if *off { "disabled" } else { "active" };
                    format!("{{address: 10.0.0.{host}, weight: {weight}, state: {state}}}")
                })
                .collect();
            text += &format!(
                "---\nkind: Service\nmetadata: {{name: s{number}}}\nspec: {{address: 192.0.2.{}, protocol: {}, \
                 port: 80, mode: {}, affinity: {}, backends: [{}]}}\n",
                number / 2 + 1,
                if (number % 2 == 0) != service.udp { "TCP" } else { "UDP" },
                if service.nat { "nat" } else { "dsr" },
                if service.affinity { "source" } else { "none" },
                backends.join(", "),
            );
        }
        text
    }

    fn is_valid(&self) -> bool {
        sluice_model::validate(&common::objects(&self.yaml())).is_ok()
    }

    fn measured(&self) -> Heat {
        let rates = || self.heat.iter().map(|rate| f64::from(*rate));
        let services =
            (0..4).zip(rates()).map(|(number, rate)| (format!("s{number}").parse().unwrap(), rate));
        Heat::of(services, self.prefixes().keys().copied().zip(rates().skip(4)))
    }
}

fn packets() -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    for client in (0..=255).step_by(9) {
        for service in 1..=2 {
            let from = SocketAddr::from(([198, 51, 100, client], 1000 + u16::from(client)));
            let to = SocketAddr::from(([192, 0, 2, service], 80));
            let flags = if client % 2 == 0 { SYN } else { ACK };
            packets.push(tcp(from, to, flags));
            packets.push(udp(from, to));
        }
    }
    packets
}

fn through(configs: &[Config], limits: &[(CardTable, u32)]) -> u32 {
    let mut world = World::new("nfp", limits);
    let packets = packets();
    for config in configs.iter().filter(|config| config.is_valid()) {
        world.host.wait(Duration::from_secs(config.wait));
        let ways = (1_u8..9).map(|host| {
            let address = IpAddr::from([10, 0, 0, host]);
            let ifindex = if host >= config.elsewhere { LINK + 1 } else { LINK };
            (address, Ok(NextHop { ifindex, ..common::next_hop(address) }))
        });
        world.host.facts.ways = ways.collect();
        world.configure(&config.yaml(), &config.measured(), &packets);
    }
    world.finished
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn at_every_step_the_card_does_what_the_host_would(
        configs in prop::collection::vec(config(), 2..7),
        prefixes in 1_u32..8,
        services in 1_u32..5,
        slots in prop::sample::select(vec![1_u32, 2, 256, 600, 4096]),
        backends in 1_u32..9,
    ) {
        through(&configs, &[
            (CardTable::Prefixes4, prefixes),
            (CardTable::Services4, services),
            (CardTable::Slots, slots),
            (CardTable::Backends, backends),
        ]);
    }

    #[test]
    fn a_change_of_a_card_can_be_taken_back(one in config(), other in config()) {
        prop_assume!(one.is_valid() && other.is_valid());
        let mut world = World::new("nfp", &[(CardTable::Prefixes4, 4), (CardTable::Slots, 4096)]);
        world.configure(&one.yaml(), &one.measured(), &[]);
        let before = world.card.clone();
        let card = world.configure(&other.yaml(), &other.measured(), &[]);
        if !card.is_replaced {
            let steps = card.change.withdraw.iter().chain(&card.change.add).rev();
            for step in steps.filter_map(|step| CardStep::undo(*step)) {
                world.card.step(&step);
            }
            prop_assert_eq!(world.card.visible(), before.visible());
        }
    }
}

/// The properties above would hold of a card that does nothing.
#[test]
fn the_card_of_the_properties_has_work() {
    let rules = vec![(0, 28, true), (3, 26, false), (2, 25, true)];
    let service = |number, backends: &[u8]| ServiceCase {
        number,
        udp: false,
        affinity: false,
        nat: false,
        backends: backends.iter().map(|host| (*host, 1, false)).collect(),
    };
    let config = |rules: &[(u8, u8, bool)], services: Vec<ServiceCase>| Config {
        rules: rules.to_vec(),
        services,
        sample: 4,
        heat: vec![1; 24],
        elsewhere: 9,
        wait: 0,
    };
    let first = config(&rules, vec![service(0, &[1]), service(3, &[1, 2])]);
    assert!(through(std::slice::from_ref(&first), &[]) > 30);
    let second = config(&rules[..2], vec![service(0, &[1]), service(3, &[1])]);
    assert!(through(&[first, second], &[]) > 150);
}

fn plan_of(world: &mut World, yaml: &str) -> CardPlan {
    world.configure(yaml, &Heat::default(), &packets())
}

#[test]
fn a_service_leaves_the_card_while_it_moves_and_comes_back() {
    let yaml = |hosts: &[u8]| {
        let hosts = hosts.iter().map(|host| format!("{{address: 10.0.0.{host}}}"));
        let hosts = hosts.collect::<Vec<_>>().join(", ");
        format!(
            "kind: Gateway\nmetadata: {{name: gateway}}\nspec: {{links: [{{name: eth0}}]}}\n---\nkind: Service\n\
             metadata: {{name: web}}\nspec: {{address: 192.0.2.1, protocol: TCP, port: 80, mode: dsr, idleTimeout: 60s, \
             backends: [{hosts}]}}\n"
        )
    };
    let mut world = World::new("nfp", &[]);
    assert_eq!(plan_of(&mut world, &yaml(&[1, 2])).next.services.len(), 1);
    let moving = plan_of(&mut world, &yaml(&[1, 2, 3]));
    assert!(moving.next.services.is_empty() && !moving.is_replaced);
    let why = &moving.stages[1].holds[0].left_out[0].reason;
    assert!(why.contains("slots are moving"), "{why}");
    world.host.wait(Duration::from_secs(70));
    assert_eq!(plan_of(&mut world, &yaml(&[1, 2, 3])).next.services.len(), 1);
}

#[test]
fn what_is_measured_again_changes_nothing() {
    let config = Config {
        rules: (0..8).map(|last| (last, 28, true)).collect(),
        services: Vec::new(),
        sample: 0,
        heat: (0..24).map(|i| i * 37 % 11).collect(),
        elsewhere: 9,
        wait: 0,
    };
    let mut world = World::new("netdevsim-6.12", &[]);
    let first = world.configure(&config.yaml(), &config.measured(), &packets());
    assert_eq!(first.next.prefixes[0].len(), 2);
    let again = world.configure(&config.yaml(), &config.measured(), &packets());
    assert!(again.change.is_empty() && !again.is_replaced, "{:?}", again.change);
}
