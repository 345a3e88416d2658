//! The same tables and programs twice, natively and in the kernel, and what differs between them.
#![allow(unreachable_pub, clippy::unwrap_used)]

use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::{Pid, geteuid},
};
use sluice_datapath::{
    Action, Outcome,
    abi::{BackendCount, Count, Reason, ServiceCounts, Settings, Table, TableKind},
    native::{MemoryTables, scenario},
    packet::MemoryPacket,
    run,
};
use sluice_kernel::{Sizes, linux::TestProgram};

/// Both sides.
pub struct Twins {
    program: TestProgram,
    native: MemoryTables,
    packet: MemoryPacket,
    /// What was counted natively before the tables were last made fresh: the kernel's counters go on.
    earlier: Counters,
    /// The kernel's tables were filled once.
    filled: bool,
}

#[derive(Clone, PartialEq)]
struct Counters {
    reasons: Vec<Count>,
    backends: Vec<BackendCount>,
    services: Vec<ServiceCounts>,
}

impl Twins {
    /// Loads the programs, to run them on this one of the CPUs; says why and gives none where that can't be done.
    pub fn load(settings: &Settings, cpu: usize) -> Option<Self> {
        if !can_load() {
            return None;
        }
        let sizes: Sizes = scenario::sizes().into_iter().collect();
        let program = match TestProgram::load(&sizes, settings) {
            Ok(program) => program,
            Err(error) => panic!("{error}"),
        };
        stay_on(cpu);
        let native = MemoryTables::new(*settings, scenario::sizes());
        let earlier = Counters::of(&native);
        Some(Self { program, native, packet: MemoryPacket::new(&[]), earlier, filled: false })
    }

    /// The settings of both.
    pub fn settings(&self) -> &Settings {
        &self.native.settings
    }

    /// Gives both sides these tables; settings stay.
    pub fn reset(&mut self, mut tables: MemoryTables) {
        self.earlier = self.counted();
        tables.settings = self.native.settings;
        self.native = tables;
        let looked_at = if self.filled { used } else { |_, _| true };
        self.copy_to_kernel(looked_at);
        self.filled = true;
    }

    /// Changes the tables of both.
    pub fn change(&mut self, change: impl FnOnce(&mut MemoryTables)) {
        change(&mut self.native);
        self.copy_to_kernel(used);
    }

    /// Runs a packet on both sides: what became of it, or the difference.
    pub fn run(&mut self, frame: &[u8]) -> Result<Outcome, String> {
        self.packet.reset(frame);
        let outcome = run(&mut self.packet, &self.native);
        self.native.events.borrow_mut().clear();
        let expected = match outcome.action(self.native.settings.ifindex) {
            Action::Drop => 1,
            Action::Pass => 2,
            Action::Transmit => 3,
            Action::Redirect(_) => 4,
        };
        let (verdict, bytes) =
            self.program.run(frame, 0).map_err(|error| format!("{error}: {}", hex(frame)))?;
        if verdict != expected || bytes != self.packet.bytes() {
            return Err(format!(
                "native {outcome:?} ({expected}), kernel {verdict}\n  in     {}\n  native {}\n  kernel {}",
                hex(frame),
                hex(self.packet.bytes()),
                hex(bytes)
            ));
        }
        Ok(outcome)
    }

    /// The packet after [`Twins::run`].
    pub fn packet(&self) -> &[u8] {
        self.packet.bytes()
    }

    /// Whether tables, where something may have been written, and counters are the same.
    pub fn same_state(&self) -> Result<(), String> {
        self.same_words(used)?;
        self.same_counters()
    }

    /// Whether every word of every table is the same.
    pub fn same_everywhere(&self) -> Result<(), String> {
        self.same_words(|_, _| true)
    }

    fn same_words(&self, looked_at: impl Fn(Table, usize) -> bool) -> Result<(), String> {
        let kernel = self.program.tables();
        for &table in Table::ALL.iter().filter(|table| table.kind() == TableKind::Shared) {
            let (ours, theirs) = (self.native.words(table), kernel.words(table));
            for index in indices(table, ours.len(), &looked_at) {
                let (ours, theirs) = (&ours[index], &theirs[index]);
                if ours.get() != theirs.get() {
                    let entry = index / (table.value_size() / 8);
                    return Err(format!(
                        "{} entry {entry} word {index}: native {:#x}, kernel {:#x}",
                        table.name(),
                        ours.get(),
                        theirs.get()
                    ));
                }
            }
        }
        Ok(())
    }

    fn same_counters(&self) -> Result<(), String> {
        let (ours, theirs) = (self.counted(), self.kernel_counters());
        for (index, (a, b)) in ours.reasons.iter().zip(&theirs.reasons).enumerate() {
            if a != b {
                let reason = Reason::from_number(index as u32);
                return Err(format!("{reason:?}: counted natively {a:?}, in the kernel {b:?}"));
            }
        }
        for (index, (a, b)) in ours.backends.iter().zip(&theirs.backends).enumerate() {
            if a != b {
                return Err(format!("backend {index}: natively {a:?}, in the kernel {b:?}"));
            }
        }
        for (index, (a, b)) in ours.services.iter().zip(&theirs.services).enumerate() {
            if a != b {
                return Err(format!("service {index}: natively {a:?}, in the kernel {b:?}"));
            }
        }
        Ok(())
    }

    fn counted(&self) -> Counters {
        self.earlier.plus(&Counters::of(&self.native))
    }

    fn kernel_counters(&self) -> Counters {
        let entries = |table| (0..entries_of(table)).collect::<Vec<u32>>();
        Counters {
            reasons: self.program.counts().unwrap(),
            backends: self.program.backend_counts(&entries(Table::BackendCounts)).unwrap(),
            services: self.program.service_counts(&entries(Table::ServiceCounts)).unwrap(),
        }
    }

    fn copy_to_kernel(&self, looked_at: fn(Table, usize) -> bool) {
        let kernel = self.program.tables();
        for &table in Table::ALL.iter().filter(|table| table.kind() == TableKind::Shared) {
            let (from, to) = (self.native.words(table), kernel.words(table));
            for index in indices(table, from.len(), &looked_at) {
                to[index].refresh(from[index].get());
            }
        }
    }
}

/// Whether programs can be loaded here; says why not.
pub fn can_load() -> bool {
    let is_root = geteuid().is_root();
    if !is_root {
        println!("skipped: loading eBPF programs needs root");
    }
    is_root
}

/// Keeps the calling thread on one of the CPUs that it may use: budgets are per CPU.
fn stay_on(cpu: usize) {
    let allowed = sched_getaffinity(Pid::from_raw(0)).unwrap();
    let usable: Vec<usize> =
        (0..CpuSet::count()).filter(|number| allowed.is_set(*number).unwrap()).collect();
    let mut one = CpuSet::new();
    one.set(usable[cpu % usable.len()]).unwrap();
    sched_setaffinity(Pid::from_raw(0), &one).unwrap();
}

/// Words are looked at, or not, in blocks of this many.
const BLOCK: usize = 1024;

/// The indices of the words in the blocks that are looked at.
fn indices(
    table: Table,
    words: usize,
    looked_at: impl Fn(Table, usize) -> bool,
) -> impl Iterator<Item = usize> {
    let blocks = (0..words.div_ceil(BLOCK)).filter(move |block| looked_at(table, block * BLOCK));
    blocks.flat_map(move |block| block * BLOCK..(block * BLOCK + BLOCK).min(words))
}

/// Whether anything but the scenario itself writes around this word: the bitmaps stay, and of the translated flows
/// only those on the ports of some pool are ever used.
fn used(table: Table, word: usize) -> bool {
    match table {
        Table::Prefilter4Bitmap | Table::Prefilter6Bitmap => false,
        Table::NatRecords => (4096..6144).contains(&(word / 8 % 65536)),
        _ => true,
    }
}

fn entries_of(table: Table) -> u32 {
    scenario::sizes().into_iter().find(|size| size.0 == table).map_or(0, |size| size.1)
}

impl Counters {
    fn of(tables: &MemoryTables) -> Self {
        let backends = 0..entries_of(Table::BackendCounts);
        let services = 0..entries_of(Table::ServiceCounts);
        Self {
            reasons: Reason::ALL.iter().map(|reason| tables.count(*reason)).collect(),
            backends: backends
                .map(|id| tables.with(Table::BackendCounts, id, |c: &mut BackendCount| *c).unwrap())
                .collect(),
            services: services
                .map(|id| {
                    tables.with(Table::ServiceCounts, id, |c: &mut ServiceCounts| *c).unwrap()
                })
                .collect(),
        }
    }

    fn plus(&self, other: &Self) -> Self {
        let count = |a: &Count, b: &Count| Count {
            packets: a.packets + b.packets,
            bytes: a.bytes + b.bytes,
        };
        let pairs = self.services.iter().zip(&other.services);
        Self {
            reasons: self.reasons.iter().zip(&other.reasons).map(|(a, b)| count(a, b)).collect(),
            backends: self
                .backends
                .iter()
                .zip(&other.backends)
                .map(|(a, b)| BackendCount {
                    forward: count(&a.forward, &b.forward),
                    reply: count(&a.reply, &b.reply),
                })
                .collect(),
            services: pairs.map(|(a, b)| std::array::from_fn(|i| a[i] + b[i])).collect(),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
