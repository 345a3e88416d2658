//! Follows every way through a program, as the kernel's verifier does, and asks the driver's rules at each step.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use super::live::{live, successors};
use super::program::{Instruction, Kind, Map, Program, code};
use super::rules::{Refusal, Rule};
use super::value::{Memory, Value, compute};

/// `BPF_MAP_TYPE_HASH` and `BPF_MAP_TYPE_ARRAY`.
const HASH: u32 = 1;
const ARRAY: u32 = 2;
/// The helpers that the driver takes, by their numbers.
mod helper {
    pub(super) const LOOKUP: i32 = 1;
    pub(super) const UPDATE: i32 = 2;
    pub(super) const DELETE: i32 = 3;
    pub(super) const RANDOM: i32 = 7;
    pub(super) const TAIL_CALL: i32 = 12;
    pub(super) const EVENT: i32 = 25;
    pub(super) const ADJUST_HEAD: i32 = 44;
    pub(super) const ADJUST_TAIL: i32 = 65;
}

const ENTRY_BYTES: u32 = 64;
const STACK_BYTES: u32 = 512;
const INSTRUCTIONS: usize = 4096;
/// Steps after which a program counts as too complex. The kernel's verifier goes on for a million, but keeps less of each.
const STEPS: usize = 100_000;

/// Figures of a program that a card would take.
#[derive(Debug)]
pub(crate) struct Accepted {
    instructions: usize,
    stack: u32,
    maps: usize,
}

impl fmt::Display for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { instructions, stack, maps } = self;
        write!(f, "{instructions} instructions, {stack} bytes of stack, {maps} maps")
    }
}

/// Whether a card would take the program.
pub(crate) fn check(program: &Program) -> Result<Accepted, Refusal> {
    let whole = |rule, found: String| Err(Refusal { rule, at: None, found });
    if program.kind == Kind::Other {
        return whole(Rule::ProgramType, "another type of program".into());
    }
    if program.instructions.len() > INSTRUCTIONS {
        return whole(Rule::Length, format!("{} instructions", program.instructions.len()));
    }
    for map in &program.maps {
        map_fits(map)?;
    }
    let mut walk = Walk {
        program,
        live: live(&program.instructions),
        memory: HashMap::new(),
        places: HashMap::new(),
        uses: HashMap::new(),
        stack: 0,
    };
    walk.all()?;
    Ok(Accepted {
        instructions: program.instructions.len(),
        stack: walk.stack,
        maps: program.maps.len(),
    })
}

fn map_fits(map: &Map) -> Result<(), Refusal> {
    let refuse = |rule, found| Err(Refusal { rule, at: None, found });
    if map.is_data {
        return refuse(Rule::GlobalData, format!("{}, {} bytes", map.name, map.value));
    }
    if !matches!(map.kind, HASH | ARRAY) {
        return refuse(Rule::MapKind, format!("{}, a map of type {}", map.name, map.kind));
    }
    if map.flags != 0 {
        return refuse(Rule::MapFlags, format!("{} with flags {:#x}", map.name, map.flags));
    }
    let bytes = map.key.next_multiple_of(8) + map.value.next_multiple_of(8);
    if bytes > ENTRY_BYTES {
        let Map { name, key, value, .. } = map;
        return refuse(Rule::MapEntry, format!("{name}, a key of {key} and a value of {value}"));
    }
    Ok(())
}

/// What is known at one instruction on one way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    registers: [Value; 11],
    /// What was stored, by its place: how many bytes, and what.
    stack: BTreeMap<i32, (u32, Value)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    Read,
    Added,
}

struct Walk<'p> {
    program: &'p Program,
    live: Vec<u16>,
    /// What memory each instruction was seen to reach.
    memory: HashMap<usize, Memory>,
    /// Which place of the stack each instruction was seen to reach.
    places: HashMap<usize, i32>,
    /// How each word of each map's value is used.
    uses: HashMap<(u32, u32), Use>,
    stack: u32,
}

/// A rule and what was found against it.
type Broken = (Rule, String);

impl Walk<'_> {
    fn all(&mut self) -> Result<(), Refusal> {
        let mut start = State { registers: [Value::Unset; 11], stack: BTreeMap::new() };
        start.registers[1] = Value::Context;
        start.registers[10] = Value::Stack(0);
        let mut ways = vec![(0, start)];
        let mut seen = HashSet::new();
        let mut steps = 0;
        while let Some((mut at, mut state)) = ways.pop() {
            loop {
                self.forget_the_dead(at, &mut state);
                if !seen.insert((at, state.clone())) {
                    break;
                }
                steps += 1;
                let next = if steps > STEPS {
                    Err((Rule::Complexity, format!("more than {STEPS} steps")))
                } else {
                    self.step(at, state)
                };
                let mut next = next.map_err(|(rule, found)| {
                    let text = self.program.instructions.get(at).map(ToString::to_string);
                    Refusal { rule, at: Some((at, text.unwrap_or_default())), found }
                })?;
                match next.pop() {
                    Some(first) => (at, state) = first,
                    None => break,
                }
                ways.extend(next);
            }
        }
        Ok(())
    }

    fn forget_the_dead(&self, at: usize, state: &mut State) {
        let live = self.live.get(at).copied().unwrap_or(0);
        for (number, register) in state.registers.iter_mut().enumerate().take(10) {
            if live & 1 << number == 0 {
                *register = Value::Unset;
            }
        }
    }

    /// Checks an instruction and says where the program goes on, with what.
    fn step(&mut self, at: usize, mut state: State) -> Result<Vec<(usize, State)>, Broken> {
        let Some(&instruction) = self.program.instructions.get(at) else {
            return Err((Rule::Complexity, "the program runs beyond its end".into()));
        };
        if !is_known(instruction) {
            let found = format!("operation {:#04x}", instruction.code);
            return Err((Rule::Instruction, found));
        }
        let signed = matches!(instruction.operation(), code::MOV | code::DIV | code::MOD);
        if instruction.is_alu() && signed && instruction.offset != 0 {
            return Err((Rule::Variant, format!("offset {}", instruction.offset)));
        }
        if instruction.is_exit() {
            return self.exit(&state).map(|()| Vec::new());
        }
        if instruction.is_call() {
            self.call(at, instruction, &mut state)?;
        } else if instruction.is_jump() {
            return Ok(self.jump(at, instruction, state));
        } else if instruction.is_alu() {
            alu(instruction, &mut state)?;
        } else {
            self.access(at, instruction, &mut state)?;
        }
        Ok(successors(&self.program.instructions, at).map(|next| (next, state.clone())).collect())
    }

    fn exit(&self, state: &State) -> Result<(), Broken> {
        let returned = state.registers[0];
        match (self.program.kind, returned) {
            (Kind::Xdp, Value::Constant(0..=3)) => Ok(()),
            (Kind::Xdp, Value::Constant(other)) => Err((Rule::Verdict, format!("verdict {other}"))),
            (Kind::Xdp, other) => {
                Err((Rule::Verdict, format!("{}, not known beforehand", other.describe())))
            }
            (_, Value::Constant(2 | 4 | 5 | 8..)) => Ok(()),
            (_, Value::Constant(other)) => Err((Rule::Decision, format!("decision {other}"))),
            (_, other) => {
                Err((Rule::Decision, format!("{}, not known beforehand", other.describe())))
            }
        }
    }

    fn call(
        &mut self,
        at: usize,
        instruction: Instruction,
        state: &mut State,
    ) -> Result<(), Broken> {
        match instruction.from {
            0 => {}
            1 => return Err((Rule::FunctionCall, "a call of a function of the object".into())),
            _ => return Err((Rule::KernelFunction, format!("function {}", instruction.immediate))),
        }
        let mut returned = Value::Number;
        match instruction.immediate {
            helper::LOOKUP | helper::DELETE | helper::UPDATE => {
                self.argument(state.registers[2])?;
                if instruction.immediate == helper::UPDATE {
                    self.argument(state.registers[3])?;
                }
                if instruction.immediate == helper::LOOKUP
                    && let Value::Map(map) = state.registers[1]
                {
                    returned = Value::Found { map, at };
                }
            }
            helper::ADJUST_HEAD | helper::ADJUST_TAIL => state.lose_packet(),
            helper::RANDOM => returned = Value::Word,
            helper::EVENT => {
                let current = u64::from(u32::MAX);
                match state.registers[3] {
                    Value::Constant(flags) if flags & current == current => {}
                    other => {
                        return Err((Rule::EventCpu, format!("{} as flags", other.describe())));
                    }
                }
            }
            helper::TAIL_CALL => return Err((Rule::TailCall, "a tail call".into())),
            other => return Err((Rule::Helper, format!("helper {other}"))),
        }
        state.registers[1..=5].fill(Value::Unset);
        state.registers[0] = returned;
        Ok(())
    }

    /// A key or a value that is passed to a helper.
    fn argument(&mut self, pointer: Value) -> Result<(), Broken> {
        match pointer {
            Value::Stack(place) if place % 4 != 0 => {
                Err((Rule::KeyAlignment, format!("it stands at {place}")))
            }
            Value::Stack(place) => self.deepen(place),
            Value::StackVariable => {
                Err((Rule::KeyVariable, "its place depends on the packet".into()))
            }
            other => Err((Rule::KeyPointer, other.describe().into())),
        }
    }

    fn deepen(&mut self, place: i32) -> Result<(), Broken> {
        self.stack = self.stack.max(place.unsigned_abs().next_multiple_of(8));
        if place >= 0 || self.stack > STACK_BYTES {
            return Err((Rule::StackDepth, format!("{place} from its top")));
        }
        Ok(())
    }

    /// Loads, stores and atomic operations.
    fn access(
        &mut self,
        at: usize,
        instruction: Instruction,
        state: &mut State,
    ) -> Result<(), Broken> {
        let class = instruction.class();
        if class == code::LD {
            self.load_constant(at, instruction, state);
            return Ok(());
        }
        let is_load = class == code::LDX;
        let is_atomic = class == code::STX && instruction.mode() == code::ATOMIC;
        let pointer =
            state.registers[usize::from(if is_load { instruction.from } else { instruction.to })];
        if is_atomic {
            atomic(instruction, pointer, state)?;
        }
        let Some(memory) = pointer.memory() else {
            return Err((Rule::Pointer, format!("{} for a pointer", pointer.describe())));
        };
        match memory {
            Memory::Context if !is_load => {
                return Err((Rule::ContextStore, format!("offset {}", instruction.offset)));
            }
            Memory::MapValue if !is_load && !is_atomic => {
                return Err((Rule::MapWrite, "a store to a value".into()));
            }
            Memory::MapValue => self.map_value(instruction, pointer, is_atomic)?,
            Memory::Stack => self.stack_place(at, instruction, pointer)?,
            Memory::Context | Memory::Packet => {}
        }
        if class == code::ST && memory != Memory::Packet {
            return Err((Rule::StoreImmediate, format!("{} as its place", pointer.describe())));
        }
        if *self.memory.entry(at).or_insert(memory) != memory {
            let before = self.memory[&at];
            return Err((Rule::PointerChanged, format!("{before:?}, then {memory:?}")));
        }
        if is_load {
            let loaded = match (memory, pointer) {
                (Memory::Context, _) => self.context(instruction)?,
                (_, Value::Stack(place)) => {
                    state.load(place + i32::from(instruction.offset), instruction.size())
                }
                _ => of_size(instruction.size()),
            };
            state.registers[usize::from(instruction.to)] = loaded;
        } else if let Value::Stack(place) = pointer {
            let value = state.registers[usize::from(instruction.from)];
            state.store(place + i32::from(instruction.offset), instruction.size(), value);
        }
        Ok(())
    }

    fn load_constant(&self, at: usize, instruction: Instruction, state: &mut State) {
        // A map, or a place in the value of one: that map holds global data, which has been refused.
        let value = if instruction.code != code::LOAD_64 {
            Value::Word
        } else if instruction.from != 0 {
            Value::Map(instruction.immediate.cast_unsigned())
        } else {
            let upper = self.program.instructions.get(at + 1).map_or(0, |i| i.immediate);
            let [upper, lower] =
                [upper, instruction.immediate].map(|i| u64::from(i.cast_unsigned()));
            Value::Constant(upper << 32 | lower)
        };
        let to = if instruction.code == code::LOAD_64 { instruction.to } else { 0 };
        state.registers[usize::from(to)] = value;
    }

    /// What a word of the context is.
    fn context(&self, instruction: Instruction) -> Result<Value, Broken> {
        // `struct xdp_md` and `struct __sk_buff` of `linux/bpf.h`.
        let value = match (self.program.kind, instruction.offset) {
            (Kind::Xdp, 0) | (Kind::Classifier, 76) => Some(Value::Packet),
            (Kind::Xdp, 4) | (Kind::Classifier, 80) => Some(Value::PacketEnd),
            (Kind::Classifier, 0) => Some(Value::Word),
            _ => None,
        };
        match value {
            Some(value) if instruction.size() == 4 => Ok(value),
            _ => {
                let (size, offset) = (instruction.size(), instruction.offset);
                Err((Rule::ContextLoad, format!("{size} bytes at offset {offset}")))
            }
        }
    }

    fn map_value(
        &mut self,
        instruction: Instruction,
        pointer: Value,
        is_atomic: bool,
    ) -> Result<(), Broken> {
        let Value::InMap { map, offset } = pointer else { return Ok(()) };
        let Some(shape) = self.program.maps.get(map as usize) else { return Ok(()) };
        let Some(offset) = offset else {
            return Err((Rule::MapOffset, format!("in a value of {}", shape.name)));
        };
        let first = u32::try_from(offset + i32::from(instruction.offset));
        let Some(first) = first.ok().filter(|first| first + instruction.size() <= shape.value)
        else {
            return Err((Rule::MapBounds, format!("in a value of {}", shape.name)));
        };
        let now = if is_atomic { Use::Added } else { Use::Read };
        for word in first / 4..=(first + instruction.size() - 1) / 4 {
            if *self.uses.entry((map, word)).or_insert(now) != now {
                return Err((Rule::MapUse, format!("word {word} of a value of {}", shape.name)));
            }
        }
        Ok(())
    }

    fn stack_place(
        &mut self,
        at: usize,
        instruction: Instruction,
        pointer: Value,
    ) -> Result<(), Broken> {
        let Value::Stack(place) = pointer else {
            return Err((Rule::StackVariable, "it depends on the packet".into()));
        };
        self.deepen(place + i32::from(instruction.offset))?;
        let before = *self.places.entry(at).or_insert(place);
        if (before - place) % 4 != 0 {
            return Err((Rule::StackAlignment, format!("{before}, then {place}")));
        }
        Ok(())
    }

    /// Where a jump may lead.
    fn jump(&self, at: usize, instruction: Instruction, state: State) -> Vec<(usize, State)> {
        let next: Vec<usize> = successors(&self.program.instructions, at).collect();
        let [falls, target] = next[..] else {
            return next.into_iter().map(|next| (next, state.clone())).collect();
        };
        let a = state.registers[usize::from(instruction.to)];
        let b = operand(instruction, &state);
        let equal = instruction.operation() == code::JEQ;
        if !equal && instruction.operation() != code::JNE {
            return match decided(instruction, a, b) {
                Some(true) => vec![(target, state)],
                Some(false) => vec![(falls, state)],
                None => vec![(falls, state.clone()), (target, state)],
            };
        }
        let (same, other) = if equal { (target, falls) } else { (falls, target) };
        match (a, b) {
            (Value::Constant(a), Value::Constant(b)) => {
                let mask = if instruction.class() == code::JMP { u64::MAX } else { 0xffff_ffff };
                vec![(if a & mask == b & mask { same } else { other }, state)]
            }
            (Value::Found { map, .. }, Value::Constant(0)) => {
                let (mut there, mut gone) = (state.clone(), state);
                there.replace(a, Value::InMap { map, offset: Some(0) });
                gone.replace(a, Value::Constant(0));
                vec![(same, gone), (other, there)]
            }
            (Value::InMap { .. } | Value::Stack(_) | Value::Context, Value::Constant(0)) => {
                vec![(other, state)]
            }
            (a, Value::Constant(_))
                if a.is_word() || (a.is_number() && instruction.class() == code::JMP) =>
            {
                let mut equal = state.clone();
                equal.registers[usize::from(instruction.to)] = b;
                vec![(same, equal), (other, state)]
            }
            _ => vec![(same, state.clone()), (other, state)],
        }
    }
}

impl State {
    /// A helper has moved the packet: pointers to it are worth nothing.
    fn lose_packet(&mut self) {
        let lost = |value: &mut Value| {
            if matches!(value, Value::Packet | Value::PacketEnd) {
                *value = Value::Unset;
            }
        };
        self.registers.iter_mut().for_each(lost);
        self.stack.values_mut().for_each(|(_, value)| lost(value));
    }

    fn replace(&mut self, old: Value, new: Value) {
        let exchange = |value: &mut Value| {
            if *value == old {
                *value = new;
            }
        };
        self.registers.iter_mut().for_each(exchange);
        self.stack.values_mut().for_each(|(_, value)| exchange(value));
    }

    fn store(&mut self, place: i32, size: u32, value: Value) {
        let end = place + size.cast_signed();
        self.stack
            .retain(|&other, (bytes, _)| other >= end || other + bytes.cast_signed() <= place);
        let kept = match value {
            Value::Constant(_) | Value::Word => size >= 4,
            Value::Number | Value::Unset => false,
            _ => size == 8,
        };
        if kept {
            self.stack.insert(place, (size, value));
        }
    }

    fn load(&self, place: i32, size: u32) -> Value {
        match self.stack.get(&place) {
            Some(&(bytes, value)) if bytes == size => match (size, value) {
                (4, Value::Constant(number)) => Value::Constant(number & 0xffff_ffff),
                _ => value,
            },
            _ => of_size(size),
        }
    }
}

/// A number of this many bytes.
const fn of_size(bytes: u32) -> Value {
    if bytes == 8 { Value::Number } else { Value::Word }
}

fn operand(instruction: Instruction, state: &State) -> Value {
    if instruction.uses_register() && instruction.operation() != code::END {
        return state.registers[usize::from(instruction.from)];
    }
    Value::Constant(i64::from(instruction.immediate).cast_unsigned())
}

/// Whether a comparison of two constants without signs is true.
fn decided(instruction: Instruction, a: Value, b: Value) -> Option<bool> {
    let (Value::Constant(a), Value::Constant(b)) = (a, b) else { return None };
    let mask = if instruction.class() == code::JMP { u64::MAX } else { 0xffff_ffff };
    let (a, b) = (a & mask, b & mask);
    Some(match instruction.operation() {
        0x20 => a > b,
        0x30 => a >= b,
        0x40 => a & b != 0,
        0xa0 => a < b,
        0xb0 => a <= b,
        _ => return None,
    })
}

fn alu(instruction: Instruction, state: &mut State) -> Result<(), Broken> {
    let a = state.registers[usize::from(instruction.to)];
    let b = operand(instruction, state);
    let negative = !instruction.uses_register() && instruction.immediate < 0;
    match instruction.operation() {
        code::MUL => {
            let by_register = instruction.uses_register();
            if !a.is_word() || (by_register && !b.is_word()) {
                let wrong = if a.is_word() { b } else { a };
                let found = format!("{} of 64 bits as a factor", wrong.describe());
                return Err((Rule::Multiplication, found));
            }
            if negative && instruction.class() == code::ALU64 {
                let found = format!("{}, extended to 64 bits", instruction.immediate);
                return Err((Rule::Multiplication, found));
            }
        }
        code::DIV => {
            if !a.is_word() {
                return Err((Rule::Division, "64 bits to divide".into()));
            }
            if negative
                || (instruction.uses_register() && !matches!(b, Value::Constant(1..=0xffff_ffff)))
            {
                return Err((Rule::Division, format!("{} to divide by", b.describe())));
            }
        }
        _ => {}
    }
    state.registers[usize::from(instruction.to)] = compute(instruction, a, b);
    Ok(())
}

fn atomic(instruction: Instruction, pointer: Value, state: &State) -> Result<(), Broken> {
    if instruction.immediate != i32::from(code::ADD) {
        return Err((Rule::AtomicOperation, format!("operation {:#x}", instruction.immediate)));
    }
    if pointer.memory() != Some(Memory::MapValue) {
        return Err((Rule::AtomicTarget, pointer.describe().into()));
    }
    let added = state.registers[usize::from(instruction.from)];
    if !added.is_number() {
        return Err((Rule::AtomicOperand, added.describe().into()));
    }
    Ok(())
}

/// Whether the driver translates the operation: its table `instr_cb`.
fn is_known(instruction: Instruction) -> bool {
    let Instruction { code: number, .. } = instruction;
    let (operation, mode) = (instruction.operation(), instruction.mode());
    let compares = matches!(operation, 0x10..=0x70 | 0xa0..=0xd0);
    match instruction.class() {
        code::LD => matches!(number, code::LOAD_64 | 0x20 | 0x28 | 0x30 | 0x40 | 0x48 | 0x50),
        code::LDX | code::ST => mode == code::MEM,
        code::STX => mode == code::MEM || (mode == code::ATOMIC && instruction.size() >= 4),
        code::ALU if operation == code::END => instruction.uses_register(),
        code::ALU | code::ALU64 if operation == code::NEG => !instruction.uses_register(),
        code::ALU | code::ALU64 => matches!(
            operation,
            code::MOV
                | code::XOR
                | code::AND
                | code::OR
                | code::ADD
                | code::SUB
                | code::MUL
                | code::DIV
                | code::LSH
                | code::RSH
                | code::ARSH
        ),
        code::JMP => compares || matches!(number, 0x05 | 0x85 | 0x95),
        _ => compares,
    }
}
