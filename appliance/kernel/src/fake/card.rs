use super::World;
use crate::{
    CardActual, CardEntry, CardForeign, CardHook, CardLoader, CardProgram, CardRequest, CardSizes,
    CardState, CardStep, CardTableContents, CardTableState, Errno, Error, LinkName, LoadedCard,
    Placed, Removed, Result,
    card::{COUNTING, check},
};
use sluice_datapath::abi::{CardTable, CardTableKind};
use std::{collections::BTreeMap, time::Duration};

/// What a card of a [`World`] takes and what it refuses. The default takes everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CardBehaviour {
    /// Tables of more entries are refused with `ENOMEM`; any size is taken if none.
    pub max_entries: Option<u32>,
    /// Refuses tables of any size.
    pub tables: Option<CardNo>,
    /// Refuses to be bound to programs.
    pub bind: Option<CardNo>,
    /// Refuses instructions.
    pub verify: Option<CardNo>,
    /// Refuses to run XDP programs.
    pub xdp: Option<CardNo>,
    /// Refuses to run filters.
    pub tc: Option<CardNo>,
    /// Refuses to write and remove entries.
    pub write: Option<CardNo>,
    /// Accepts filters and does not run them.
    pub not_in_hardware: bool,
    /// How long it takes to verify a program.
    pub delay: Duration,
}

impl CardBehaviour {
    /// Tables of at most two entries, as in netdevsim.
    pub fn two_entries() -> Self {
        Self { max_entries: Some(2), ..Self::default() }
    }
}

/// A refusal with the kernel's number and words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardNo {
    /// The number.
    pub errno: Errno,
    /// The words, if there are some.
    pub words: Option<String>,
}

impl CardNo {
    /// A refusal with words.
    pub fn new(errno: Errno, words: &str) -> Self {
        Self { errno, words: Some(words.to_owned()) }
    }
}

/// A card of a machine in memory.
#[derive(Default)]
pub(super) struct FakeCard {
    pub(super) behaviour: CardBehaviour,
    pub(super) foreign: Vec<CardForeign>,
}

/// A program of ours that was placed; survives whoever placed it.
#[derive(Clone)]
pub(super) struct FakePlaced {
    hook: CardHook,
    program: CardProgram,
    id: u32,
    link: LinkName,
    sizes: CardSizes,
    pub(super) tables: BTreeMap<CardTable, BTreeMap<Vec<u8>, Vec<u8>>>,
    map_ids: BTreeMap<CardTable, u32>,
    /// Whether the hook still has it.
    pub(super) hooked: bool,
    in_hardware: bool,
    /// Whether the device it was on is gone.
    pub(super) device_gone: bool,
}

impl FakePlaced {
    fn state(&self) -> CardState {
        let actual = match (self.device_gone, self.hooked, self.in_hardware) {
            (true, ..) => CardActual::DeviceGone,
            (_, false, _) => CardActual::NotHooked { found: "nothing".into() },
            (.., false) => CardActual::NotInHardware,
            _ => CardActual::OnCard,
        };
        let tables = self.map_ids.iter().map(|(&table, &id)| CardTableState {
            table,
            id,
            entries: self.sizes.get(table),
            on_card: true,
        });
        CardState {
            link: self.link.clone(),
            hook: self.hook,
            program: self.program,
            program_id: if self.device_gone { 0 } else { self.id },
            actual,
            tables: if self.device_gone { Vec::new() } else { tables.collect() },
            current: true,
        }
    }

    fn removed(self) -> Removed {
        let contents = if self.device_gone { BTreeMap::new() } else { self.tables };
        let contents = contents.into_iter().filter(|(table, _)| COUNTING.contains(table));
        let contents = contents.map(|(table, entries)| {
            let entries = entries.into_iter().map(|(key, value)| CardEntry { key, value });
            CardTableContents { table, entries: entries.collect() }
        });
        Removed { program: self.program, current: true, contents: contents.collect() }
    }

    fn write(&mut self, table: CardTable, key: &[u8], value: &[u8]) -> Result<(), Errno> {
        let room = self.sizes.get(table) as usize;
        let Some(entries) = self.tables.get_mut(&table) else { return Err(Errno::ENOENT) };
        if !entries.contains_key(key)
            && (table.kind() == CardTableKind::Array || entries.len() >= room)
        {
            return Err(Errno::E2BIG);
        }
        entries.insert(key.to_vec(), value.to_vec());
        Ok(())
    }
}

/// The cards of a [`World`]. Dropping it leaves programs on the cards, as a killed daemon would.
pub struct Cards(World);

impl Cards {
    pub(super) fn new(world: World) -> Self {
        Self(world)
    }

    fn with<T>(&self, ifindex: u32, run: impl FnOnce(&mut FakePlaced) -> Result<T>) -> Result<T> {
        let mut state = self.0.lock();
        let link = state.name(ifindex);
        match state.placed.get_mut(&ifindex) {
            Some(placed) => run(placed),
            None => Err(Error::NotPlaced { link }),
        }
    }

    /// Whether a card refuses to be written.
    fn writable(&self, ifindex: u32, link: &LinkName, step: CardStep) -> Result<()> {
        let state = self.0.lock();
        match state.cards.get(&ifindex).map(|card| card.behaviour.write.clone()) {
            None => Err(check::refused(link, step, Errno::ENODEV, None)),
            Some(Some(no)) => Err(check::refused(link, step, no.errno, no.words)),
            Some(None) => Ok(()),
        }
    }
}

/// Asks the card at each point of a program's way.
fn ask(link: &LinkName, request: &CardRequest, behaviour: &CardBehaviour) -> Result<()> {
    let refuse = |no: &Option<CardNo>, step: CardStep| match no {
        Some(no) => Err(check::refused(link, step, no.errno, no.words.clone())),
        None => Ok(()),
    };
    for &table in request.program.tables() {
        let entries = request.sizes.get(table);
        refuse(&behaviour.tables, CardStep::Table { table, entries })?;
        if behaviour.max_entries.is_some_and(|max| entries > max) {
            let step = CardStep::Table { table, entries };
            return Err(check::refused(link, step, Errno::ENOMEM, None));
        }
    }
    refuse(&behaviour.bind, CardStep::Bind)?;
    std::thread::sleep(behaviour.delay);
    refuse(&behaviour.verify, CardStep::Verify)
}

/// Asks the card to run a program.
fn ask_to_hook(link: &LinkName, hook: CardHook, behaviour: &CardBehaviour) -> Result<()> {
    let no = match hook {
        CardHook::Xdp => &behaviour.xdp,
        CardHook::Tc => &behaviour.tc,
    };
    match no {
        Some(no) => Err(check::refused(link, CardStep::Hook(hook), no.errno, no.words.clone())),
        None => Ok(()),
    }
}

impl Cards {
    /// How the card of a request behaves, if nothing of somebody else is on it.
    fn behaviour(&self, request: &CardRequest) -> Result<(LinkName, CardBehaviour)> {
        let state = self.0.lock();
        let link = state.name(request.ifindex);
        check::request(&link, request)?;
        if !state.links.contains_key(&request.ifindex) {
            return Err(Error::NoSuchLink { link });
        }
        let Some(card) = state.cards.get(&request.ifindex) else {
            return Err(check::refused(&link, CardStep::Bind, Errno::EOPNOTSUPP, None));
        };
        match card.foreign.first().cloned() {
            Some(CardForeign::Program(program)) => {
                Err(Error::Foreign { link, program: Box::new(program) })
            }
            Some(CardForeign::Filter(filter)) => {
                Err(Error::ForeignFilter { link, filter: Box::new(filter) })
            }
            None => Ok((link, card.behaviour.clone())),
        }
    }
}

/// Loads while everything else on the machine goes on.
impl CardLoader for Cards {
    fn load(&self, request: &CardRequest) -> Result<LoadedCard> {
        let (link, behaviour) = self.behaviour(request)?;
        ask(&link, request, &behaviour)?;
        Ok(LoadedCard::new(request, ()))
    }
}

impl crate::Cards for Cards {
    fn place(&mut self, request: &CardRequest) -> Result<Placed> {
        let loaded = self.load(request)?;
        self.place_loaded(request, loaded)
    }

    fn loader(&self) -> Box<dyn CardLoader> {
        Box::new(Self(self.0.clone()))
    }

    fn place_loaded(&mut self, request: &CardRequest, loaded: LoadedCard) -> Result<Placed> {
        loaded.open::<()>(request)?;
        let (link, behaviour) = self.behaviour(request)?;
        ask_to_hook(&link, request.hook, &behaviour)?;
        let mut state = self.0.lock();
        let tables = request.program.tables();
        let mut new = FakePlaced {
            hook: request.hook,
            program: request.program,
            id: state.new_id(),
            link: link.clone(),
            sizes: request.sizes,
            tables: tables.iter().map(|&table| (table, empty(table, &request.sizes))).collect(),
            map_ids: tables.iter().map(|&table| (table, state.new_id())).collect(),
            hooked: true,
            in_hardware: request.hook == CardHook::Xdp || !behaviour.not_in_hardware,
            device_gone: false,
        };
        for contents in &request.contents {
            for CardEntry { key, value } in &contents.entries {
                let step = CardStep::Write { table: contents.table };
                new.write(contents.table, key, value)
                    .map_err(|errno| check::refused(&link, step, errno, None))?;
            }
        }
        let shown = new.state();
        let before = state.placed.insert(request.ifindex, new).map(FakePlaced::removed);
        Ok(Placed { state: shown, before })
    }

    fn remove(&mut self, ifindex: u32) -> Result<Option<Removed>> {
        Ok(self.0.lock().placed.remove(&ifindex).map(FakePlaced::removed))
    }

    fn placed(&self) -> Result<Vec<CardState>> {
        Ok(self.0.lock().placed.values().map(FakePlaced::state).collect())
    }

    fn foreign(&self, ifindex: u32) -> Result<Vec<CardForeign>> {
        let state = self.0.lock();
        Ok(state.cards.get(&ifindex).map(|card| card.foreign.clone()).unwrap_or_default())
    }

    fn upsert(&mut self, ifindex: u32, table: CardTable, key: &[u8], value: &[u8]) -> Result<()> {
        let step = CardStep::Write { table };
        let link = self.with(ifindex, |placed| {
            check::entry(&placed.link, placed.program, table, key, Some(value))?;
            Ok(placed.link.clone())
        })?;
        self.writable(ifindex, &link, step.clone())?;
        self.with(ifindex, |placed| {
            if placed.device_gone {
                return Err(check::refused(&link, step, Errno::ENODEV, None));
            }
            placed
                .write(table, key, value)
                .map_err(|errno| check::refused(&link, step, errno, None))
        })
    }

    fn delete(&mut self, ifindex: u32, table: CardTable, key: &[u8]) -> Result<bool> {
        let step = CardStep::Delete { table };
        let link = self.with(ifindex, |placed| {
            check::entry(&placed.link, placed.program, table, key, None)?;
            Ok(placed.link.clone())
        })?;
        self.writable(ifindex, &link, step.clone())?;
        self.with(ifindex, |placed| match table.kind() {
            _ if placed.device_gone => Err(check::refused(&link, step, Errno::ENODEV, None)),
            CardTableKind::Array => Err(check::refused(&link, step, Errno::EINVAL, None)),
            CardTableKind::Hash => {
                Ok(placed.tables.get_mut(&table).is_some_and(|table| table.remove(key).is_some()))
            }
        })
    }

    fn read(&self, ifindex: u32, table: CardTable, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.with(ifindex, |placed| {
            check::entry(&placed.link, placed.program, table, key, None)?;
            if placed.device_gone {
                let step = CardStep::Read { table };
                return Err(check::refused(&placed.link, step, Errno::ENODEV, None));
            }
            Ok(placed.tables.get(&table).and_then(|entries| entries.get(key)).cloned())
        })
    }

    fn entries(&self, ifindex: u32, table: CardTable) -> Result<Vec<CardEntry>> {
        self.with(ifindex, |placed| {
            check::entry(&placed.link, placed.program, table, &vec![0; table.key_size()], None)?;
            if placed.device_gone {
                let step = CardStep::Read { table };
                return Err(check::refused(&placed.link, step, Errno::ENODEV, None));
            }
            let entries = placed.tables.get(&table).into_iter().flatten();
            let copy = |(key, value): (&Vec<u8>, &Vec<u8>)| CardEntry {
                key: key.clone(),
                value: value.clone(),
            };
            let mut entries: Vec<_> = entries.map(copy).collect();
            if table.kind() == CardTableKind::Array {
                entries.sort_by_key(|entry| index_of(&entry.key));
            }
            Ok(entries)
        })
    }
}

fn empty(table: CardTable, sizes: &CardSizes) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let entries = match table.kind() {
        CardTableKind::Array => sizes.get(table),
        CardTableKind::Hash => 0,
    };
    let zero = || vec![0; table.value_size()];
    (0..entries).map(|index| (index.to_ne_bytes().to_vec(), zero())).collect()
}

fn index_of(key: &[u8]) -> u32 {
    key.try_into().map_or(0, u32::from_ne_bytes)
}
