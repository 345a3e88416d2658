//! A gateway for measurements: a real configuration, planned as the daemon plans it, in real tables of the kernel.

use anyhow::{Context, Result, anyhow, bail};
use sluice_datapath::abi::{Plain, Reason, Settings, Table};
use sluice_kernel::{Sizes, TableStore, View, linux::TestProgram};
use sluice_model::{Objects, objects::Source, parse};
use sluice_planner::{
    Clock, Facts, Plan, Sink, State, Step, TableWords, Ways,
    facts::{LinkFacts, NextHop, ProgramFacts},
    plan,
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
    sync::Arc,
};

/// Index of the link that packets come from and leave by.
const LINK: u32 = 2;

/// The gateway.
pub struct Gateway {
    objects: Objects,
    facts: Facts,
    state: State,
    /// Its programs over its tables.
    pub program: TestProgram,
}

impl Gateway {
    /// A gateway with this configuration.
    ///
    /// # Errors
    /// When the configuration or the kernel refuses.
    pub fn new(yaml: &str) -> Result<Self> {
        let (tick, tick_shift, tick_duration) = TestProgram::clock()?;
        let link = LinkFacts { ifindex: LINK, mtu: 1500, ..LinkFacts::default() };
        let mut facts = Facts {
            clock: Clock { tick, tick_duration, tick_shift },
            cpus: 2,
            links: BTreeMap::from([("eth0".to_owned(), link)]),
            ways: Ways::default(),
            services: Arc::default(),
            nat_backends: Some(Arc::default()),
        };
        let objects = objects(yaml)?;
        facts.ways = ways(&objects, &State::default());
        let plan = plan(&objects, &facts, &State::default(), TableWords::NONE)?;
        let sizes: Sizes = plan.next.sizes().iter().collect();
        let settings = settings(&plan).context("the configuration attaches no program")?;
        let program = TestProgram::load(&sizes, &settings)?;
        let mut gateway = Self { objects, facts, state: State::default(), program };
        gateway.carry_out(plan, settings);
        Ok(gateway)
    }

    /// Another configuration, while packets flow.
    ///
    /// # Errors
    /// When it needs larger tables: a measurement begins with those that it needs.
    pub fn change(&mut self, yaml: &str) -> Result<()> {
        self.objects = objects(yaml)?;
        self.facts.ways = ways(&self.objects, &self.state);
        let (tick, ..) = TestProgram::clock()?;
        self.facts.clock.tick = tick;
        let tables = self.program.tables();
        let words = TableWords::of(|table| tables.words(table));
        let plan = plan(&self.objects, &self.facts, &self.state, words)?;
        if plan.steps.iter().any(|step| matches!(step, Step::Grow(_) | Step::Attach { .. })) {
            bail!("the change needs other tables or programs");
        }
        let settings = self.facts.links.values().find_map(|link| link.program?.settings);
        self.carry_out(plan, settings.unwrap_or(Settings::NONE));
        Ok(())
    }

    fn carry_out(&mut self, plan: Plan, settings: Settings) {
        let mut sink = Tables(self.program.tables());
        for step in &plan.steps {
            match step {
                Step::Grow(grow) => grow.fill.iter().for_each(|write| write.apply(&mut sink)),
                Step::Write(write) => write.apply(&mut sink),
                _ => {}
            }
        }
        let program = ProgramFacts { is_native: true, settings: Some(settings), is_current: true };
        self.facts.links.values_mut().for_each(|link| link.program = Some(program));
        self.state = plan.next;
    }

    /// Packets that ended for this reason so far.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn count(&self, reason: Reason) -> Result<u64> {
        let counts = self.program.counts()?;
        Ok(counts.get(reason as usize).map_or(0, |count| count.packets))
    }

    /// The addresses of all backends.
    pub fn backends(&self) -> BTreeSet<IpAddr> {
        self.state.destinations()
    }

    /// The addresses of the NAT pools with their numbers.
    pub fn pools(&self) -> BTreeMap<u32, IpAddr> {
        self.state.pool_numbers().map(|(address, number)| (number, address)).collect()
    }

    /// Addresses of the backends by id.
    pub fn backends_by_id(&self) -> HashMap<u32, IpAddr> {
        let backends = self.state.backends();
        backends.into_iter().map(|(id, (_, endpoint, _))| (id, endpoint.address)).collect()
    }
}

fn settings(plan: &Plan) -> Option<Settings> {
    plan.steps.iter().find_map(|step| match step {
        Step::Attach { settings, .. } => Some(*settings),
        _ => None,
    })
}

fn objects(yaml: &str) -> Result<Objects> {
    let parsed = parse("benchmark.yaml", yaml).map_err(|problems| {
        anyhow!("{}", problems.first().map_or_else(String::new, ToString::to_string))
    })?;
    let parsed = parsed.into_iter().map(|parsed| (parsed, Source::Api));
    Objects::from_parsed(parsed).map_err(|problem| anyhow!("{problem:?}"))
}

/// Every backend is behind the same router.
fn ways(objects: &Objects, state: &State) -> Ways {
    let configured = objects.services().flat_map(|service| &service.spec.backends);
    let mut wanted = state.destinations();
    wanted.extend(configured.map(|backend| backend.address));
    wanted.into_iter().map(|address| (address, Ok(next_hop(address)))).collect()
}

fn next_hop(address: IpAddr) -> NextHop {
    let source: IpAddr = match address {
        IpAddr::V4(_) => [10, 0, 0, 254].into(),
        IpAddr::V6(_) => [0xfd00, 0, 0, 0, 0, 0, 0, 0xfe].into(),
    };
    NextHop {
        ifindex: LINK,
        mac: [2, 0, 0, 0, 1, 1],
        source_mac: [2, 0, 0, 0, 0, 1],
        vlan: None,
        mtu: 1500,
        source: Some(source),
    }
}

struct Tables(Arc<dyn TableStore>);

impl Sink for Tables {
    fn write<T: Plain + Clone>(&mut self, table: Table, first: u32, values: &[T]) {
        View::<T>::new(self.0.words(table)).write_all(first, values);
    }

    fn write_names(&mut self, first: u32, names: &[[u64; 8]]) {
        let words = self.0.words(Table::ServiceNames).iter().skip(first as usize * 8);
        words.zip(names.iter().flatten()).for_each(|(word, value)| word.set(*value));
    }
}
