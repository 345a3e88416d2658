//! Programs of a few instructions, loaded for a device or for the host.

use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::PathBuf;

use libbpf_rs::{Object, ObjectBuilder, query::ProgInfoIter};
use object::write::{Object as File, Symbol, SymbolSection};
use object::{
    Architecture, BinaryFormat, Endianness, SectionKind, SymbolFlags, SymbolKind, SymbolScope,
};

use crate::Pins;

/// What a program is for, by the name of its section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// At the driver or on the device.
    Xdp,
    /// A classifier of tc.
    Tc,
    /// A filter of a socket, which no device takes.
    Socket,
}

impl Kind {
    fn section(self) -> &'static [u8] {
        match self {
            Kind::Xdp => b"xdp",
            Kind::Tc => b"tc",
            Kind::Socket => b"socket",
        }
    }
}

/// What a program says of each packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Verdict {
    /// Of XDP: away with it.
    Drop = 1,
    /// Of XDP: on to the stack.
    Pass = 2,
}

/// A loaded and pinned program; both end with this value.
#[derive(Debug)]
pub struct Program {
    object: Object,
    pin: PathBuf,
    /// Its id in the kernel.
    pub id: u32,
}

/// `lddw r1, map` takes two instructions.
const LOAD_MAP: u64 = 0x18 | 1 << 8 | 1 << 12;
const MOVE_TO_RESULT: u64 = 0xb7;
const EXIT: u64 = 0x95;

impl Program {
    /// Loads a program that says `verdict`, for a device if `ifindex` is not 0, and pins it.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn load(
        pins: &Pins,
        name: &str,
        kind: Kind,
        verdict: Verdict,
        ifindex: u32,
    ) -> libbpf_rs::Result<Self> {
        Self::load_code(pins, name, kind, &[], verdict, ifindex)
    }

    /// As [`Program::load`], one that mentions a table.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn load_with_table(
        pins: &Pins,
        name: &str,
        table: BorrowedFd<'_>,
        ifindex: u32,
    ) -> libbpf_rs::Result<Self> {
        let descriptor = u64::from(table.as_raw_fd().unsigned_abs());
        let code = [LOAD_MAP | descriptor << 32, 0];
        Self::load_code(pins, name, Kind::Xdp, &code, Verdict::Pass, ifindex)
    }

    /// An XDP program for a device.
    ///
    /// # Panics
    /// When the kernel refuses.
    #[must_use]
    pub fn xdp(pins: &Pins, name: &str, ifindex: u32) -> Self {
        Self::load(pins, name, Kind::Xdp, Verdict::Pass, ifindex)
            .unwrap_or_else(|error| panic!("{error:?}"))
    }

    /// A tc program for a device.
    ///
    /// # Panics
    /// When the kernel refuses.
    #[must_use]
    pub fn tc(pins: &Pins, name: &str, ifindex: u32) -> Self {
        Self::load(pins, name, Kind::Tc, Verdict::Pass, ifindex)
            .unwrap_or_else(|error| panic!("{error:?}"))
    }

    fn load_code(
        pins: &Pins,
        name: &str,
        kind: Kind,
        code: &[u64],
        verdict: Verdict,
        ifindex: u32,
    ) -> libbpf_rs::Result<Self> {
        let mut instructions = code.to_vec();
        instructions.push(MOVE_TO_RESULT | u64::from((verdict as i32).unsigned_abs()) << 32);
        instructions.push(EXIT);
        let mut open = ObjectBuilder::default().open_memory(&file(name, kind, &instructions))?;
        for mut program in open.progs_mut() {
            program.set_ifindex(ifindex);
        }
        let object = open.load()?;
        let pin = pins.path(name);
        for mut program in object.progs_mut() {
            program.pin(&pin)?;
        }
        let id = ProgInfoIter::default()
            .filter(|program| program.name.to_string_lossy() == name)
            .map(|program| program.id)
            .max()
            .unwrap_or_else(|| panic!("{name} was loaded and is not listed"));
        Ok(Self { object, pin, id })
    }

    /// Where it is pinned.
    #[must_use]
    pub fn pin(&self) -> String {
        self.pin.display().to_string()
    }

    /// The program, for what libbpf can do with it.
    ///
    /// # Panics
    /// Never: there is one.
    #[must_use]
    pub fn program(&mut self) -> libbpf_rs::ProgramMut<'_> {
        self.object.progs_mut().next().unwrap_or_else(|| panic!("an object without a program"))
    }
}

/// An ELF file with one program and no type information, which no kernel asks for.
fn file(name: &str, kind: Kind, instructions: &[u64]) -> Vec<u8> {
    let code: Vec<u8> = instructions.iter().flat_map(|word| word.to_le_bytes()).collect();
    let mut file = File::new(BinaryFormat::Elf, Architecture::Bpf, Endianness::Little);
    let license = file.add_section(Vec::new(), b"license".to_vec(), SectionKind::Data);
    file.append_section_data(license, b"Dual MIT/GPL\0", 1);
    let section = file.add_section(Vec::new(), kind.section().to_vec(), SectionKind::Text);
    file.append_section_data(section, &code, 8);
    file.add_symbol(Symbol {
        name: name.as_bytes().to_vec(),
        value: 0,
        size: code.len() as u64,
        kind: SymbolKind::Text,
        scope: SymbolScope::Linkage,
        weak: false,
        section: SymbolSection::Section(section),
        flags: SymbolFlags::None,
    });
    file.write().unwrap_or_else(|error| panic!("no ELF file: {error}"))
}
