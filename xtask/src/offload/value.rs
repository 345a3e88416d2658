//! What is known of a register or a place on the stack: as much of it as the driver's rules ask for.

use super::program::{Instruction, code};

/// A number of 32 bits.
const WORD: u64 = u32::MAX as u64;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Value {
    /// Nothing was written, or a call has destroyed it.
    Unset,
    /// This number.
    Constant(u64),
    /// A number of at most 32 bits.
    Word,
    /// Any number.
    Number,
    Context,
    /// This far from the top of the stack.
    Stack(i32),
    /// Somewhere on the stack.
    StackVariable,
    Map(u32),
    /// What a lookup returned at this instruction, not compared with zero yet.
    Found {
        map: u32,
        at: usize,
    },
    /// This far into a value of a map; `None` for an unknown place.
    InMap {
        map: u32,
        offset: Option<i32>,
    },
    Packet,
    PacketEnd,
}

impl Value {
    /// Whether it is a number of at most 32 bits.
    pub(super) const fn is_word(self) -> bool {
        match self {
            Self::Constant(number) => number <= WORD,
            Self::Word => true,
            _ => false,
        }
    }

    pub(super) const fn is_number(self) -> bool {
        matches!(self, Self::Constant(_) | Self::Word | Self::Number)
    }

    /// The kind of memory that a pointer leads to.
    pub(super) const fn memory(self) -> Option<Memory> {
        match self {
            Self::Context => Some(Memory::Context),
            Self::Stack(_) | Self::StackVariable => Some(Memory::Stack),
            Self::InMap { .. } => Some(Memory::MapValue),
            Self::Packet => Some(Memory::Packet),
            _ => None,
        }
    }

    pub(super) const fn describe(self) -> &'static str {
        match self {
            Self::Unset => "nothing",
            Self::Constant(_) => "a constant",
            Self::Word | Self::Number => "a number",
            Self::Context => "a pointer to the context",
            Self::Stack(_) | Self::StackVariable => "a pointer to the stack",
            Self::Map(_) => "a map",
            Self::Found { .. } => "what a lookup returned, not compared with zero",
            Self::InMap { .. } => "a pointer to a value of a map",
            Self::Packet => "a pointer to the packet",
            Self::PacketEnd => "the end of the packet",
        }
    }
}

/// What can be read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Memory {
    Context,
    Stack,
    MapValue,
    Packet,
}

/// The result of an arithmetic instruction; `b` is the register or the immediate.
pub(super) fn compute(instruction: Instruction, a: Value, b: Value) -> Value {
    let is_wide = instruction.class() == code::ALU64;
    let operation = instruction.operation();
    if operation == code::MOV {
        return if is_wide { b } else { narrow(b) };
    }
    if operation == code::END {
        return match instruction.immediate {
            64 => Value::Number,
            _ => Value::Word,
        };
    }
    if is_wide && let Some(pointer) = move_pointer(operation, a, b) {
        return pointer;
    }
    if is_wide { wide(operation, a, b) } else { narrow(wide(operation, narrow(a), narrow(b))) }
}

/// The lower half.
const fn narrow(value: Value) -> Value {
    match value {
        Value::Constant(number) => Value::Constant(number & WORD),
        _ => Value::Word,
    }
}

/// A pointer plus or minus a number.
fn move_pointer(operation: u8, a: Value, b: Value) -> Option<Value> {
    let (pointer, number, minus) = match operation {
        code::ADD if b.is_number() => (a, b, false),
        code::ADD => (b, a, false),
        code::SUB if b.is_number() => (a, b, true),
        _ => return None,
    };
    let step = match number {
        Value::Constant(number) => {
            i32::try_from(number.cast_signed()).ok().map(|step| if minus { -step } else { step })
        }
        _ => None,
    };
    match pointer {
        Value::Stack(at) => Some(step.map_or(Value::StackVariable, |step| Value::Stack(at + step))),
        Value::StackVariable => Some(Value::StackVariable),
        Value::InMap { map, offset } => {
            let offset = offset.zip(step).map(|(offset, step)| offset + step);
            Some(Value::InMap { map, offset })
        }
        Value::Packet => Some(Value::Packet),
        _ => None,
    }
}

fn wide(operation: u8, a: Value, b: Value) -> Value {
    if let (Value::Constant(a), Value::Constant(b)) = (a, b)
        && let Some(result) = constant(operation, a, b)
    {
        return Value::Constant(result);
    }
    let word = match operation {
        // No more ones than in either.
        code::AND => a.is_word() || b.is_word(),
        code::OR | code::XOR => a.is_word() && b.is_word(),
        code::RSH => a.is_word() || matches!(b, Value::Constant(32..64)),
        code::DIV | code::MOD => a.is_word(),
        _ => false,
    };
    if word { Value::Word } else { Value::Number }
}

fn constant(operation: u8, a: u64, b: u64) -> Option<u64> {
    Some(match operation {
        code::ADD => a.wrapping_add(b),
        code::SUB => a.wrapping_sub(b),
        code::MUL => a.wrapping_mul(b),
        code::OR => a | b,
        code::AND => a & b,
        code::XOR => a ^ b,
        code::LSH => a.checked_shl(u32::try_from(b).ok()?)?,
        code::RSH => a.checked_shr(u32::try_from(b).ok()?)?,
        _ => return None,
    })
}
