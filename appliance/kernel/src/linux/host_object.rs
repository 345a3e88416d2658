use super::{
    sys::{Kernel, MapSpec, ProgramSpec, Sys},
    tables::Tables,
};
use crate::{Errno, Error, Object, ProgramStats, Result};
use aya_obj::{EbpfSectionKind, ProgramSection, btf::BtfFeatures};
use sluice_datapath::{
    Program as Continuation,
    abi::{Settings, Table},
};
use std::{
    collections::{HashMap, HashSet},
    iter,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    thread,
};

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/host.o"));

/// The datapath: what a link runs.
pub(super) const DATAPATH: &str = "sluice_xdp";
/// A program that returns the tick.
pub(super) const CLOCK: &str = "sluice_clock";
/// Name of the map of the programs in which it continues.
const CONTINUATION_MAP: &str = "PROGRAMS";
/// Name of the map with a program's constants.
const CONSTANT_MAP: &str = "sluice.rodata";
/// Name of the constants in the object.
const SETTINGS: &str = "SETTINGS";
const LOG_LINES: usize = 24;

/// The eBPF programs that are built into this binary.
pub(super) struct HostObject {
    object: aya_obj::Object,
    btf: Option<OwnedFd>,
    /// Where the settings stand in the program's constants.
    settings_at: usize,
    constants: usize,
}

/// A loaded program.
pub(super) struct Program {
    pub(super) fd: OwnedFd,
    pub(super) id: u32,
    pub(super) stats: ProgramStats,
}

/// The loaded datapath.
pub(super) struct Pipeline {
    /// What a link runs.
    pub(super) program: Program,
    /// The programs in which it continues.
    pub(super) continuations: Continuations,
    /// Figures of all of them together.
    pub(super) stats: ProgramStats,
}

/// A map of programs. The kernel empties it when nobody holds it or has it pinned, even if a program uses it.
pub(super) struct Continuations {
    pub(super) fd: OwnedFd,
    pub(super) id: u32,
}

/// The object with its references to maps resolved, and the maps that are its own.
struct Linked {
    object: aya_obj::Object,
    continuations: OwnedFd,
    /// Held until the programs are loaded.
    _constants: OwnedFd,
}

impl HostObject {
    pub(super) fn parse(kernel: &Kernel) -> Result<Self> {
        let mut object = aya_obj::Object::parse(OBJECT).map_err(broken)?;
        let continuations = Continuation::ALL.iter().map(|(_, name)| *name);
        for name in [DATAPATH, CLOCK].into_iter().chain(continuations) {
            match object.programs.get(name).map(|program| &program.section) {
                Some(ProgramSection::Xdp { .. }) => {}
                _ => return Err(Error::HostObject(format!("has no XDP program {name}"))),
            }
        }
        // Type information is for people who look (`bpftool`) and for the verifier's log; a kernel that cannot
        // read it does without.
        let features = BtfFeatures::new(true, true, true, true, true, true, true, true);
        let btf = match object.fixup_and_sanitize_btf(&features).map_err(broken)? {
            Some(btf) => kernel.btf_load(&btf.to_bytes()).ok(),
            None => None,
        };
        let (settings_at, constants) = settings_at(&object)?;
        Ok(Self { object, btf, settings_at, constants })
    }

    /// Loads the datapath with these constants and tables: the programs that packets can come to, no others.
    pub(super) fn load_datapath(
        &self,
        kernel: &Kernel,
        settings: &Settings,
        tables: &Tables,
    ) -> Result<Pipeline> {
        let linked = self.link(kernel, settings, tables)?;
        let reachable: Vec<_> = Continuation::ALL
            .into_iter()
            .filter(|(program, _)| program.is_reachable(settings.features))
            .collect();
        let names: Vec<&str> =
            iter::once(DATAPATH).chain(reachable.iter().map(|(_, name)| *name)).collect();
        let mut programs = self.load_all(kernel, &names, &linked)?;
        let stats = programs.iter().fold(ProgramStats::default(), |all, one| all.plus(one.stats));
        let next = programs.split_off(1);
        let Some(program) = programs.pop() else { return Err(missing(DATAPATH)) };
        let continuations = linked.continuations.as_fd();
        for ((index, name), next) in reachable.iter().zip(&next) {
            kernel
                .map_write(continuations, *index as u32, &next.fd.as_raw_fd().to_ne_bytes())
                .map_err(failed(name, "let the datapath continue in it"))?;
        }
        let id = kernel.map_info(continuations).map_err(failed(DATAPATH, "look at its map"))?.id;
        let continuations = Continuations { fd: linked.continuations, id };
        Ok(Pipeline { program, continuations, stats })
    }

    /// Loads programs on all CPUs: with every feature, the verifier takes seconds for all of them.
    fn load_all(&self, kernel: &Kernel, names: &[&str], linked: &Linked) -> Result<Vec<Program>> {
        let next = AtomicUsize::new(0);
        let work = || {
            let mut loaded = Vec::new();
            while let Some((at, name)) = names.iter().enumerate().nth(next.fetch_add(1, Relaxed)) {
                loaded.push((at, self.load(kernel, name, linked)));
            }
            loaded
        };
        let workers = thread::available_parallelism().map_or(1, usize::from).min(names.len());
        let mut loaded: Vec<_> = thread::scope(|scope| {
            let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
            workers.into_iter().flat_map(|worker| worker.join().unwrap_or_default()).collect()
        });
        loaded.sort_by_key(|(at, _)| *at);
        let programs =
            loaded.into_iter().map(|(_, program)| program).collect::<Result<Vec<_>>>()?;
        if programs.len() == names.len() { Ok(programs) } else { Err(missing(DATAPATH)) }
    }

    /// Loads the program that returns the tick.
    pub(super) fn load_clock(
        &self,
        kernel: &Kernel,
        settings: &Settings,
        tables: &Tables,
    ) -> Result<Program> {
        self.load(kernel, CLOCK, &self.link(kernel, settings, tables)?)
    }

    fn link(&self, kernel: &Kernel, settings: &Settings, tables: &Tables) -> Result<Linked> {
        let mut object = self.object.clone();
        patch(&mut object, settings_bytes(settings))?;
        let constants = create_constants(kernel, &object)
            .map_err(failed(DATAPATH, "create the map of its constants"))?;
        let continuations = kernel
            .map_create(&MapSpec::programs(CONTINUATION_MAP, Continuation::ALL.len() as u32))
            .map_err(failed(DATAPATH, "create the map of the programs in which it continues"))?;

        let maps = object.maps.iter().map(|(name, map)| {
            let fd = match (map.section_kind(), name.as_str()) {
                (EbpfSectionKind::Rodata, _) => constants.as_fd(),
                (_, CONTINUATION_MAP) => continuations.as_fd(),
                (_, name) => table_fd(name, tables)?,
            };
            Ok((name.clone(), fd.as_raw_fd(), map.clone()))
        });
        let maps = maps.collect::<Result<Vec<_>>>()?;
        let sections: HashSet<usize> =
            object.functions.keys().map(|(section, _)| *section).collect();
        object
            .relocate_maps(maps.iter().map(|(name, fd, map)| (name.as_str(), *fd, map)), &sections)
            .map_err(broken)?;
        object.relocate_calls(&sections).map_err(broken)?;
        Ok(Linked { object, continuations, _constants: constants })
    }

    fn load(&self, kernel: &Kernel, name: &str, linked: &Linked) -> Result<Program> {
        let object = &linked.object;
        let program = object.programs.get(name).ok_or_else(|| missing(name))?;
        let function =
            object.functions.get(&program.function_key()).ok_or_else(|| missing(name))?;
        let spec = ProgramSpec {
            name,
            license: &program.license,
            function,
            frags: matches!(program.section, ProgramSection::Xdp { frags: true, .. }),
            btf: self.btf.as_ref().map(AsFd::as_fd),
        };
        let fd = kernel.program_load(&spec).map_err(|(errno, log)| match errno {
            Errno::EPERM => failed(name, "load it")(errno),
            _ => Error::Load { program: name.into(), errno, log: last_lines(&log) },
        })?;
        let info = kernel.program_info(&fd).map_err(failed(name, "read its figures back"))?;
        Ok(Program { fd, id: info.id, stats: info.stats() })
    }

    /// The settings that a program was loaded with, if it is of this version.
    pub(super) fn settings_of(&self, kernel: &Kernel, map_ids: &[u32]) -> Sys<Option<Settings>> {
        for &id in map_ids {
            let Some(fd) = kernel.map_by_id(id)? else { continue };
            let info = kernel.map_info(&fd)?;
            if info.name() != CONSTANT_MAP || info.value_size as usize != self.constants {
                continue;
            }
            let data = kernel.map_read(fd.as_fd(), 0)?;
            return Ok(data.get(self.settings_at..).and_then(settings_from));
        }
        Ok(None)
    }
}

impl HostObject {
    /// The ids of the programs in which a program continues.
    pub(super) fn continuations_of(&self, kernel: &Kernel, map_ids: &[u32]) -> Sys<Vec<u32>> {
        let mut programs = Vec::new();
        for &id in map_ids {
            let Some(fd) = kernel.map_by_id(id)? else { continue };
            let info = kernel.map_info(&fd)?;
            if info.name() != CONTINUATION_MAP {
                continue;
            }
            for index in 0..info.entries {
                match kernel.map_read(fd.as_fd(), index) {
                    Ok(value) => {
                        programs.extend(value.try_into().ok().map(u32::from_ne_bytes));
                    }
                    Err(Errno::ENOENT) => {}
                    Err(errno) => return Err(errno),
                }
            }
        }
        Ok(programs)
    }
}

fn missing(program: &str) -> Error {
    Error::HostObject(format!("has no program {program}"))
}

fn failed(program: &str, operation: &'static str) -> impl FnOnce(Errno) -> Error + use<> {
    let object = Object::Program(program.to_owned());
    move |errno| Error::kernel(object, operation, errno)
}

fn broken(error: impl std::error::Error) -> Error {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    Error::HostObject(text)
}

fn create_constants(kernel: &Kernel, object: &aya_obj::Object) -> Sys<OwnedFd> {
    let data = constants_of(object).unwrap_or_default();
    let map = kernel.map_create(&MapSpec::constants(CONSTANT_MAP, data.len() as u32))?;
    kernel.map_write(map.as_fd(), 0, data)?;
    kernel.map_freeze(map.as_fd())?;
    Ok(map)
}

fn constants_of(object: &aya_obj::Object) -> Option<&[u8]> {
    let mut maps = object.maps.values();
    maps.find(|map| map.section_kind() == EbpfSectionKind::Rodata).map(aya_obj::Map::data)
}

fn table_fd<'t>(name: &str, tables: &'t Tables) -> Result<BorrowedFd<'t>> {
    let table = Table::ALL.iter().find(|table| table.name() == name);
    table.map(|table| tables.map(*table).fd()).ok_or_else(|| {
        Error::HostObject(format!("uses a map {name} that is no table of this version"))
    })
}

/// Where the settings stand in the constants, and how long the constants are. The parser keeps the symbols to
/// itself, so two different values show which bytes are theirs.
fn settings_at(object: &aya_obj::Object) -> Result<(usize, usize)> {
    let constants = |value: u8| {
        let mut object = object.clone();
        patch(&mut object, &[value; size_of::<Settings>()])?;
        let data = constants_of(&object).map(<[u8]>::to_vec);
        data.ok_or_else(|| Error::HostObject("has no constants".into()))
    };
    let (zeros, ones) = (constants(0)?, constants(0xff)?);
    let at = zeros.iter().zip(&ones).position(|(zero, one)| zero != one).unwrap_or(0);
    Ok((at, zeros.len()))
}

fn patch(object: &mut aya_obj::Object, settings: &[u8]) -> Result<()> {
    object.patch_map_data(HashMap::from([(SETTINGS, (settings, true))])).map_err(broken)
}

fn settings_bytes(settings: &Settings) -> &[u8] {
    // SAFETY: `Settings` is `Plain`: words without padding.
    #[allow(unsafe_code)]
    unsafe {
        std::slice::from_raw_parts(std::ptr::from_ref(settings).cast(), size_of::<Settings>())
    }
}

fn settings_from(bytes: &[u8]) -> Option<Settings> {
    let bytes = bytes.get(..size_of::<Settings>())?;
    // SAFETY: `Settings` is `Plain`: any bytes are a value; the read needs no alignment.
    #[allow(unsafe_code)]
    Some(unsafe { bytes.as_ptr().cast::<Settings>().read_unaligned() })
}

pub(super) fn last_lines(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
}
