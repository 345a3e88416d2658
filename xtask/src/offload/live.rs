//! Which registers are still read after an instruction. What a dead register holds makes no difference, so ways through
//! the program that differ in nothing else are one.

use super::program::{Instruction, code};

/// Registers as bits.
type Set = u16;

/// For each instruction the registers that it or a later one reads.
pub(super) fn live(instructions: &[Instruction]) -> Vec<Set> {
    let mut live = vec![0; instructions.len()];
    loop {
        let mut changed = false;
        for at in (0..instructions.len()).rev() {
            let after = successors(instructions, at)
                .filter_map(|next| live.get(next))
                .fold(0, |all, set| all | set);
            let (read, written) = effect(instructions[at]);
            let before = read | (after & !written);
            if live[at] != before {
                live[at] = before;
                changed = true;
            }
        }
        if !changed {
            return live;
        }
    }
}

/// Where the program may go on.
pub(super) fn successors(instructions: &[Instruction], at: usize) -> impl Iterator<Item = usize> {
    let instruction = instructions[at];
    let next = at + if instruction.code == code::LOAD_64 { 2 } else { 1 };
    let is_jump = instruction.is_jump() && !instruction.is_call() && !instruction.is_exit();
    let always = is_jump && instruction.operation() == code::JA;
    let target = is_jump.then(|| next.wrapping_add_signed(isize::from(instruction.offset)));
    let falls = (!instruction.is_exit() && !always).then_some(next);
    falls.into_iter().chain(target)
}

/// What an instruction reads and writes.
fn effect(instruction: Instruction) -> (Set, Set) {
    let (to, from) = (1 << (instruction.to & 15), 1 << (instruction.from & 15));
    match instruction.class() {
        code::LD => (0, to),
        code::LDX => (from, to),
        code::ST => (to, 0),
        code::STX => (to | from, 0),
        code::ALU | code::ALU64 => {
            let operand = if instruction.uses_register() { from } else { 0 };
            let target = if instruction.operation() == code::MOV { 0 } else { to };
            (operand | target, to)
        }
        _ if instruction.is_call() => (0b11_1110, 0b11_1111),
        _ if instruction.is_exit() => (1, 0),
        _ if instruction.operation() == code::JA => (0, 0),
        _ => (to | if instruction.uses_register() { from } else { 0 }, 0),
    }
}
