//! The wrapper program (`ebpf-host/src/bench.rs`) as user space drives it.

use anyhow::{Context, Result, bail, ensure};
use aya::{
    Ebpf, TestRun, TestRunOptions,
    maps::{Array, Map, MapData, ProgramArray},
    programs::Xdp,
};
use sluice_kernel::linux::TestProgram;
use std::{
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use super::frame;

/// Words of the wrapper's state: numbers, then the headers.
const NUMBERS: usize = 8;
const HEADER_BYTES: usize = 80;
const WORDS: usize = NUMBERS + HEADER_BYTES / 8;
type State = [u64; WORDS];

const TABLE: u64 = 1;
const IPV6: u64 = 2;
const KEEP: u64 = 4;

/// What a program is run on.
#[derive(Clone, Debug)]
pub struct Load {
    /// The packet; its source varies.
    pub template: Vec<u8>,
    /// How many flows: a power of two.
    pub flows: u32,
    /// Number of the first flow.
    pub offset: u32,
    /// Whether the flows stand in the table of flows; else they are computed.
    pub from_table: bool,
    /// The verdict (`XDP_*`) that every packet must get.
    pub verdict: u32,
    /// Packets in one run of the wrapper: at most 16, fewer for programs that call many others.
    pub packets_per_run: u32,
    /// The gateway does some 30 ns of idle work before each packet: a slow-down that a gate must notice.
    pub slow: bool,
}

impl Load {
    fn is_ipv6(&self) -> bool {
        self.template.get(12..14) == Some(&[0x86, 0xdd])
    }
}

/// A flow of the table, as it stands in packets: last word of source and destination, ports.
pub type FlowWords = [u32; 3];

/// The loaded object of the benchmarks.
pub struct Wrapper {
    ebpf: Ebpf,
    targets: ProgramArray<MapData>,
    targets_fd: OwnedFd,
    state: Array<MapData, State>,
    table: Array<MapData, [u32; 4]>,
    /// What the table of flows holds.
    flows: Vec<FlowWords>,
}

/// Something that the wrapper can call.
pub enum Target<'a> {
    /// A floor: a program of the benchmarks' own object.
    Floor(&'a str),
    /// A program of somebody else.
    Program(&'a Xdp),
    /// The gateway's.
    Gateway(&'a TestProgram),
}

impl Wrapper {
    /// Loads the object.
    ///
    /// # Errors
    /// When the file or the kernel refuses.
    pub fn load(object: &Path) -> Result<Self> {
        let mut ebpf = Ebpf::load_file(object).with_context(|| {
            format!("{} does not load: run `cargo xtask build-ebpf`", object.display())
        })?;
        for name in ["bench_wrap", "bench_slow", "bench_empty", "bench_parse", "bench_maglev"] {
            let program: &mut Xdp =
                ebpf.program_mut(name).with_context(|| format!("no program {name}"))?.try_into()?;
            program.load().with_context(|| format!("the kernel refuses {name}"))?;
        }
        fill_floor(&mut ebpf)?;
        let mut take = |name: &str| {
            ebpf.take_map(name).with_context(|| format!("the object has no map {name}"))
        };
        let targets = take("TARGET")?;
        let targets_fd = match &targets {
            Map::ProgramArray(data) => data.fd().as_fd().try_clone_to_owned()?,
            _ => bail!("TARGET is no map of programs"),
        };
        let (state, table) = (take("STATE")?.try_into()?, take("FLOWS")?.try_into()?);
        let targets = targets.try_into()?;
        Ok(Self { ebpf, targets, targets_fd, state, table, flows: Vec::new() })
    }

    /// Fills the table of flows; what stands there already isn't written again.
    ///
    /// # Errors
    /// When the table is too small.
    pub fn set_flows(&mut self, flows: Vec<FlowWords>) -> Result<()> {
        ensure!(flows.len() <= self.table.len() as usize, "{} flows are too many", flows.len());
        for (index, flow) in flows.iter().enumerate() {
            if self.flows.get(index) != Some(flow) {
                let [source, destination, ports] = *flow;
                self.table.set(index as u32, [source, destination, ports, 0], 0)?;
            }
        }
        self.flows = flows;
        Ok(())
    }

    /// The words of a flow of the table.
    pub fn flow(&self, number: u32) -> Option<FlowWords> {
        self.flows.get(number as usize).copied()
    }

    /// The wrapper calls this from now on.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn aim(&mut self, target: &Target<'_>) -> Result<()> {
        match target {
            Target::Floor(name) => {
                let program: &Xdp = self.ebpf.program(name).context("no such floor")?.try_into()?;
                self.targets.set(0, program.fd()?, 0)?;
            }
            Target::Program(program) => self.targets.set(0, program.fd()?, 0)?,
            Target::Gateway(program) => program.put_into(self.targets_fd.as_fd(), 0)?,
        }
        Ok(())
    }

    /// The wrapper calls the gateway from now on, after some idle work.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(super) fn aim_slowly(&mut self, gateway: &TestProgram) -> Result<()> {
        self.aim(&Target::Floor("bench_slow"))?;
        Ok(gateway.put_into(self.targets_fd.as_fd(), 1)?)
    }

    /// Runs the program on packets from number `first` on: nanoseconds per packet.
    ///
    /// # Errors
    /// When a packet got another verdict than it must.
    pub fn time(&mut self, load: &Load, first: u64, packets: u32) -> Result<f64> {
        let per_run = load.packets_per_run;
        self.state.set(0, state(load, first, per_run, false), 0)?;
        let repeat = (packets / per_run).max(1);
        let result = self.program()?.test_run(TestRunOptions {
            data_in: Some(&load.template),
            repeat,
            ..TestRunOptions::default()
        })?;
        let after = self.state.get(&0, 0)?;
        let unexpected = after[6];
        ensure!(
            unexpected == 0 && after[0] - first == u64::from(repeat) * u64::from(per_run),
            "{unexpected} of {} packets got another verdict than {}, the last one {}",
            repeat * per_run,
            load.verdict,
            result.return_value
        );
        Ok(result.duration.as_nanos() as f64 / f64::from(per_run))
    }

    /// Runs the program on packet number `number` alone: its verdict and the packet as it left it.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn once(&mut self, load: &Load, number: u64) -> Result<(u32, Vec<u8>)> {
        self.state.set(0, state(load, number, 1, true), 0)?;
        let mut out = vec![0; 512];
        let result = self.program()?.test_run(TestRunOptions {
            data_in: Some(&load.template),
            data_out: Some(&mut out),
            repeat: 1,
            ..TestRunOptions::default()
        })?;
        out.truncate(result.data_size_out as usize);
        Ok((result.return_value, out))
    }

    /// The packet of a number as the wrapper gives it to the program.
    pub fn packet(&self, load: &Load, number: u64) -> Vec<u8> {
        let mut packet = load.template.clone();
        let flow = (number as u32 & (load.flows - 1)).wrapping_add(load.offset);
        let is_ipv6 = load.is_ipv6();
        let (source, destination, ports) = if is_ipv6 { (34, 50, 54) } else { (26, 30, 34) };
        let mut put = |at: usize, bytes: &[u8]| packet[at..at + bytes.len()].copy_from_slice(bytes);
        if load.from_table {
            let [from, to, both] = self.flow(flow).unwrap_or_default();
            put(source, &from.to_ne_bytes());
            put(destination, &to.to_ne_bytes());
            put(ports, &both.to_ne_bytes());
        } else {
            let (word, port) = frame::computed(flow);
            put(source, &word.to_ne_bytes());
            put(ports, &port.to_be_bytes());
            if is_ipv6 {
                put(22, &word.to_ne_bytes());
            }
        }
        packet
    }

    fn program(&self) -> Result<&Xdp> {
        Ok(self.ebpf.program("bench_wrap").context("no program bench_wrap")?.try_into()?)
    }
}

fn state(load: &Load, first: u64, packets: u32, keep: bool) -> State {
    let flags = [(load.from_table, TABLE), (load.is_ipv6(), IPV6), (keep, KEEP)];
    let flags = flags.iter().filter(|(set, _)| *set).map(|(_, flag)| flag).sum();
    let mut state = [0u64; WORDS];
    state[..NUMBERS].copy_from_slice(&[
        first,
        u64::from(load.flows - 1),
        u64::from(load.offset),
        flags,
        u64::from(packets),
        u64::from(load.verdict),
        0,
        0,
    ]);
    for (word, bytes) in state[NUMBERS..].iter_mut().zip(load.template.chunks_exact(8)) {
        *word = bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
    }
    state
}

/// Tells the smallest balancer of 100 backends.
fn fill_floor(ebpf: &mut Ebpf) -> Result<()> {
    let mut slots: Array<&mut MapData, u64> =
        Array::try_from(ebpf.map_mut("FLOOR_SLOTS").context("no map FLOOR_SLOTS")?)?;
    for slot in 0..slots.len() {
        slots.set(slot, u64::from(1 + slot.wrapping_mul(0x9e37_79b1) % 100), 0)?;
    }
    let mut backends: Array<&mut MapData, [u32; 12]> =
        Array::try_from(ebpf.map_mut("FLOOR_BACKENDS").context("no map FLOOR_BACKENDS")?)?;
    for backend in 1..=100u32 {
        let mut words = [0u32; 12];
        words[0] = u32::from_ne_bytes([10, 0, 1, backend as u8]);
        words[3] = backend;
        words[4] = u32::from_ne_bytes([10, 0, 0, 254]);
        words[8..11].copy_from_slice(&[0x0002, 0x0002_0000, 0x0003_0000]);
        backends.set(backend, words, 0)?;
    }
    Ok(())
}
