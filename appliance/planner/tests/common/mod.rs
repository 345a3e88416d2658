//! A gateway in memory: plans are carried out on tables in memory, packets go through the native datapath.
#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

pub(crate) mod card;
pub(crate) mod frame;

use std::{collections::BTreeMap, net::IpAddr, sync::Arc, time::Duration};

use sluice_datapath::{
    Outcome,
    abi::{
        Address, Backend, Plain, PortRange, PrefilterControl, PrefilterHeader4, PrefilterHeader6,
        Service, Settings, SourceRange4, SourceRange6, Table, TableKind, VipLine,
    },
    native::MemoryTables,
    packet::MemoryPacket,
};
use sluice_model::{AttachMode, Objects, objects::Source, parse};
use sluice_planner::{
    Clock, Error, Facts, Grow, Plan, Sink, SlotWords, Snapshot, State, Step, TableWords, Ways,
    facts::{BackendFacts, Endpoint, Health, LinkFacts, NextHop, ProgramFacts, ServiceFacts},
    plan,
};

pub(crate) const LINK: u32 = 2;

/// Objects from YAML.
pub(crate) fn objects(yaml: &str) -> Objects {
    let parsed = parse("test.yaml", yaml).unwrap_or_else(|problems| panic!("{problems:#?}"));
    Objects::from_parsed(parsed.into_iter().map(|parsed| (parsed, Source::Api))).unwrap()
}

pub(crate) struct Gateway {
    pub(crate) tables: MemoryTables,
    pub(crate) state: State,
    pub(crate) facts: Facts,
    pub(crate) objects: Objects,
    /// Numbers of pool addresses whose records were forgotten.
    pub(crate) forgotten: Vec<u32>,
}

impl Gateway {
    pub(crate) fn new() -> Self {
        let state = State::default();
        let link = LinkFacts { ifindex: LINK, mtu: 1500, ..LinkFacts::default() };
        Self {
            tables: MemoryTables::new(Settings::NONE, state.sizes().iter()),
            state,
            facts: Facts {
                clock: Clock {
                    tick: 10_000,
                    tick_duration: Duration::from_millis(250),
                    tick_shift: 6,
                },
                cpus: 2,
                links: BTreeMap::from([("eth0".to_owned(), link)]),
                ways: Ways::default(),
                services: Arc::default(),
                nat_backends: Some(Arc::default()),
            },
            objects: Objects::new(),
            forgotten: Vec::new(),
        }
    }

    pub(crate) fn with(yaml: &str) -> Self {
        let mut gateway = Self::new();
        gateway.configure(yaml);
        gateway
    }

    /// Plans and carries out until nothing is left to be done.
    pub(crate) fn configure(&mut self, yaml: &str) -> Plan {
        self.objects = objects(yaml);
        self.resolve();
        self.converge()
    }

    /// Makes a next hop known for every backend of the configuration and of the tables.
    pub(crate) fn resolve(&mut self) {
        let configured = self.objects.services().flat_map(|service| &service.spec.backends);
        let mut wanted = self.state.destinations();
        wanted.extend(configured.map(|backend| backend.address));
        if wanted.iter().all(|address| self.facts.ways.get(address).is_some()) {
            return;
        }
        let ways = wanted.into_iter().map(|address| (address, Ok(next_hop(address))));
        self.facts.ways = ways.collect();
    }

    pub(crate) fn plan(&self) -> Result<Plan, Error> {
        let words = TableWords::of(|table| self.tables.words(table));
        plan(&self.objects, &self.facts, &self.state, words)
    }

    pub(crate) fn converge(&mut self) -> Plan {
        self.tables.tick.set(self.facts.clock.tick);
        let plan = self.plan().unwrap_or_else(|error| panic!("{error}"));
        self.carry_out(&plan);
        let again = self.plan().unwrap();
        assert!(again.steps.is_empty(), "not at rest after {:#?}: {:#?}", plan.steps, again.steps);
        plan
    }

    pub(crate) fn wait(&mut self, time: Duration) {
        let ticks = self.facts.clock.ticks(time);
        self.facts.clock.tick = self.facts.clock.tick.wrapping_add(ticks);
        self.tables.tick.set(self.facts.clock.tick);
    }

    pub(crate) fn carry_out(&mut self, plan: &Plan) {
        for step in &plan.steps {
            self.step(step);
        }
        self.state = plan.next.clone();
    }

    /// Carries out one step.
    pub(crate) fn step(&mut self, step: &Step) {
        match step {
            Step::Grow(grow) => self.grow(grow),
            Step::ResetCounters { .. } => {}
            Step::ForgetRecords { number } => self.forgotten.push(*number),
            Step::Write(write) => write.apply(&mut Tables(&mut self.tables)),
            Step::Attach { link, settings, mode, .. } => {
                assert!(Table::ALL.iter().all(|&table| self.entries(table) > 0));
                self.tables.settings = *settings;
                let facts = self.facts.links.get_mut(link).unwrap();
                let is_native = *mode != AttachMode::Generic && facts.native_refused.is_none();
                facts.program =
                    Some(ProgramFacts { is_native, settings: Some(*settings), is_current: true });
            }
            Step::Detach { link, .. } => {
                self.facts.links.get_mut(link).unwrap().program = None;
            }
        }
    }

    fn entries(&self, table: Table) -> usize {
        match table.kind() {
            TableKind::Shared => self.tables.words(table).len() * 8 / table.value_size(),
            TableKind::PerCpu | TableKind::Ring => 1,
        }
    }

    fn grow(&mut self, grow: &Grow) {
        let mut staged = MemoryTables::new(self.tables.settings, grow.sizes.iter());
        for &table in Table::ALL {
            for (to, from) in staged.words(table).iter().zip(self.tables.words(table)) {
                to.set(from.get());
            }
        }
        staged.tick.set(self.tables.tick.get());
        for copy in &grow.copies {
            let words = copy.table.value_size() / 8;
            let at = |entry: u32| entry as usize * words;
            let moved =
                staged.words(copy.table)[at(copy.from)..at(copy.from + copy.entries)].to_vec();
            for (to, from) in staged.words(copy.table)[at(copy.to)..].iter().zip(moved) {
                to.set(from.get());
            }
        }
        for write in &grow.fill {
            write.apply(&mut Tables(&mut staged));
        }
        for settings in &grow.programs {
            staged.settings = *settings;
            let mut links = self.facts.links.values_mut();
            let link = links.find(|link| link.ifindex == settings.ifindex).unwrap();
            link.program.as_mut().unwrap().settings = Some(*settings);
        }
        self.tables = staged;
    }

    /// One frame through the datapath.
    pub(crate) fn send(&self, frame: &[u8]) -> Outcome {
        sluice_datapath::run(&mut MemoryPacket::new(frame), &self.tables)
    }

    /// Address and port of a backend by its id.
    pub(crate) fn backend(&self, id: u32) -> Option<Endpoint> {
        self.state.backends().get(&id).map(|(_, endpoint, _)| **endpoint)
    }

    pub(crate) fn set_health(&mut self, service: &str, health: &[(&str, u16, Health)]) {
        let facts: ServiceFacts = health
            .iter()
            .map(|&(address, port, health)| {
                let endpoint = Endpoint { address: address.parse().unwrap(), port };
                (endpoint, BackendFacts { health, draining_since: None })
            })
            .collect();
        Arc::make_mut(&mut self.facts.services).insert(service.parse().unwrap(), Arc::new(facts));
    }

    /// All words of the tables that the daemon writes.
    pub(crate) fn image(&self) -> BTreeMap<Table, Vec<u64>> {
        let shared = Table::ALL.iter().filter(|table| table.kind() == TableKind::Shared);
        shared
            .map(|&table| (table, self.tables.words(table).iter().map(|word| word.get()).collect()))
            .collect()
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let active = self.read::<PrefilterControl>(Table::PrefilterControl);
        let (active4, active6) = (active[0].active4.get(), active[0].active6.get());
        let header4 = &self.read::<PrefilterHeader4>(Table::Prefilter4Header)[active4 as usize];
        let header6 = &self.read::<PrefilterHeader6>(Table::Prefilter6Header)[active6 as usize];
        let lines = |lengths, mask: u32| if lengths > 0 { mask + 1 } else { 0 };
        let names = self.tables.words(Table::ServiceNames).chunks_exact(8);
        Snapshot {
            sizes: self.state.sizes().clone(),
            services: self.read::<Service>(Table::Services),
            names: names.map(|words| std::array::from_fn(|i| words[i].get())).collect(),
            backends: self.read::<Backend>(Table::Backends),
            vip4: self.read::<VipLine>(Table::Vip4),
            vip6: self.read::<VipLine>(Table::Vip6),
            port_ranges: self.read::<PortRange>(Table::PortRanges),
            sources4: self.read::<SourceRange4>(Table::Sources4),
            sources6: self.read::<SourceRange6>(Table::Sources6),
            nat_pool: self.read::<Address>(Table::NatPool),
            prefilter4: (active4, lines(header4.lengths, header4.mask)),
            prefilter6: (active6, lines(header6.lengths, header6.mask)),
        }
    }

    /// A new daemon reads the tables.
    pub(crate) fn restart(&mut self) {
        let words = SlotWords {
            slots: self.tables.words(Table::Slots),
            moves: self.tables.words(Table::Moves),
        };
        self.state = State::take_over(self.snapshot(), words, &self.facts.clock);
    }

    fn read<T: Plain + Clone>(&self, table: Table) -> Vec<T> {
        (0..self.entries(table) as u32)
            .map(|index| self.tables.entry::<T>(table, index).unwrap().clone())
            .collect()
    }
}

struct Tables<'a>(&'a mut MemoryTables);

impl Sink for Tables<'_> {
    fn write<T: Plain + Clone>(&mut self, table: Table, first: u32, values: &[T]) {
        for (index, value) in (first..).zip(values) {
            let entry = self.0.entry_mut::<T>(table, index);
            entry.unwrap_or_else(|| panic!("{table:?} has no entry {index}")).clone_from(value);
        }
    }

    fn write_names(&mut self, first: u32, names: &[[u64; 8]]) {
        let words = &self.0.words(Table::ServiceNames)[first as usize * 8..];
        for (word, value) in words.iter().zip(names.iter().flatten()) {
            word.set(*value);
        }
    }
}

pub(crate) fn next_hop(address: IpAddr) -> NextHop {
    let source = if address.is_ipv6() { "fd00::fe" } else { "10.0.0.254" };
    NextHop {
        ifindex: LINK,
        mac: [2, 0, 0, 0, 1, 1],
        source_mac: [2, 0, 0, 0, 0, 1],
        vlan: None,
        mtu: 1500,
        source: Some(source.parse().unwrap()),
    }
}
