//! Programs and maps of an object file.

use std::collections::HashSet;
use std::fmt;

use anyhow::{Context, Result};
use aya_obj::{Object, ProgramSection};

/// Classes, operations and sizes of instructions (`linux/bpf.h`, RFC 9669).
pub(crate) mod code {
    pub(crate) const LD: u8 = 0;
    pub(crate) const LDX: u8 = 1;
    pub(crate) const ST: u8 = 2;
    pub(crate) const STX: u8 = 3;
    pub(crate) const ALU: u8 = 4;
    pub(crate) const JMP: u8 = 5;
    pub(crate) const JMP32: u8 = 6;
    pub(crate) const ALU64: u8 = 7;

    pub(crate) const MEM: u8 = 0x60;
    pub(crate) const ATOMIC: u8 = 0xc0;

    pub(crate) const ADD: u8 = 0x00;
    pub(crate) const SUB: u8 = 0x10;
    pub(crate) const MUL: u8 = 0x20;
    pub(crate) const DIV: u8 = 0x30;
    pub(crate) const OR: u8 = 0x40;
    pub(crate) const AND: u8 = 0x50;
    pub(crate) const LSH: u8 = 0x60;
    pub(crate) const RSH: u8 = 0x70;
    pub(crate) const NEG: u8 = 0x80;
    pub(crate) const MOD: u8 = 0x90;
    pub(crate) const XOR: u8 = 0xa0;
    pub(crate) const MOV: u8 = 0xb0;
    pub(crate) const ARSH: u8 = 0xc0;
    pub(crate) const END: u8 = 0xd0;

    pub(crate) const JA: u8 = 0x00;
    pub(crate) const JEQ: u8 = 0x10;
    pub(crate) const JNE: u8 = 0x50;
    pub(crate) const CALL: u8 = 0x80;
    pub(crate) const EXIT: u8 = 0x90;

    /// The other operand is a register, not the immediate.
    pub(crate) const REGISTER: u8 = 0x08;
    /// Loads a constant of 64 bits, in two instructions.
    pub(crate) const LOAD_64: u8 = 0x18;
}

/// One instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Instruction {
    pub(crate) code: u8,
    pub(crate) to: u8,
    pub(crate) from: u8,
    pub(crate) offset: i16,
    pub(crate) immediate: i32,
}

impl Instruction {
    pub(crate) const fn class(self) -> u8 {
        self.code & 7
    }

    pub(crate) const fn operation(self) -> u8 {
        self.code & 0xf0
    }

    /// How a load or store reaches memory.
    pub(crate) const fn mode(self) -> u8 {
        self.code & 0xe0
    }

    pub(crate) const fn uses_register(self) -> bool {
        self.code & code::REGISTER != 0
    }

    /// Bytes that a load or store reaches.
    pub(crate) const fn size(self) -> u32 {
        match self.code & 0x18 {
            0x00 => 4,
            0x08 => 2,
            0x10 => 1,
            _ => 8,
        }
    }

    pub(crate) const fn is_alu(self) -> bool {
        matches!(self.class(), code::ALU | code::ALU64)
    }

    pub(crate) const fn is_jump(self) -> bool {
        matches!(self.class(), code::JMP | code::JMP32)
    }

    pub(crate) const fn is_call(self) -> bool {
        self.class() == code::JMP && self.operation() == code::CALL
    }

    pub(crate) const fn is_exit(self) -> bool {
        self.class() == code::JMP && self.operation() == code::EXIT
    }
}

impl fmt::Display for Instruction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, to, from, offset, immediate } = self;
        let (class, bytes) = (self.class(), self.size());
        match class {
            code::LDX => write!(f, "r{to} = *(r{from} + {offset}), {bytes} bytes"),
            code::ST => write!(f, "*(r{to} + {offset}) = {immediate}, {bytes} bytes"),
            code::STX if self.mode() == code::ATOMIC => {
                write!(f, "atomic {immediate:#x} *(r{to} + {offset}), r{from}, {bytes} bytes")
            }
            code::STX => write!(f, "*(r{to} + {offset}) = r{from}, {bytes} bytes"),
            _ if self.is_call() => write!(f, "call {immediate}"),
            _ if self.is_exit() => write!(f, "exit"),
            _ => write!(f, "{code:#04x} r{to}, r{from}, offset {offset}, immediate {immediate}"),
        }
    }
}

/// How the kernel calls a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Xdp,
    Classifier,
    Other,
}

/// What a card must know of a map.
#[derive(Clone, Debug)]
pub(crate) struct Map {
    pub(crate) name: String,
    pub(crate) kind: u32,
    pub(crate) key: u32,
    pub(crate) value: u32,
    pub(crate) flags: u32,
    /// It holds constants or global variables.
    pub(crate) is_data: bool,
}

/// A program and the maps of its object. An instruction that loads a map has its number in the immediate.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) maps: Vec<Map>,
    pub(crate) instructions: Vec<Instruction>,
}

/// The programs of an object file.
pub(crate) fn read(bytes: &[u8]) -> Result<Vec<Program>> {
    let mut object = Object::parse(bytes).context("not an object with BPF programs")?;
    let mut maps: Vec<(String, aya_obj::Map)> =
        object.maps.iter().map(|(name, map)| (name.clone(), map.clone())).collect();
    maps.sort_by(|a, b| a.0.cmp(&b.0));
    let sections: HashSet<usize> = object.functions.keys().map(|(section, _)| *section).collect();
    let numbered = (0..).zip(&maps).map(|(number, (name, map))| (name.as_str(), number, map));
    object.relocate_maps(numbered, &sections).context("maps and programs do not fit together")?;
    let shapes: Vec<Map> = maps
        .iter()
        .map(|(name, map)| Map {
            name: name.clone(),
            kind: map.map_type(),
            key: map.key_size(),
            value: map.value_size(),
            flags: map.map_flags(),
            is_data: map.section_kind() != aya_obj::EbpfSectionKind::BtfMaps
                && map.section_kind() != aya_obj::EbpfSectionKind::Maps,
        })
        .collect();
    let mut programs = Vec::new();
    for (name, program) in &object.programs {
        let function = object
            .functions
            .get(&program.function_key())
            .with_context(|| format!("program {name} has no code"))?;
        let kind = match program.section {
            ProgramSection::Xdp { .. } => Kind::Xdp,
            ProgramSection::SchedClassifier => Kind::Classifier,
            _ => Kind::Other,
        };
        let instructions = function.instructions.iter().map(|instruction| Instruction {
            code: instruction.code,
            to: instruction.dst_reg(),
            from: instruction.src_reg(),
            offset: instruction.off,
            immediate: instruction.imm,
        });
        programs.push(Program {
            name: name.clone(),
            kind,
            maps: shapes.clone(),
            instructions: instructions.collect(),
        });
    }
    programs.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(programs)
}
