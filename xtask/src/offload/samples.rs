//! For each rule a small program that it, and no other, refuses.
#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

use super::program::{Instruction, Kind, Map, Program, code};
use super::rules::Rule;
use super::walk::check;

const fn new(code: u8, to: u8, from: u8, offset: i16, immediate: i32) -> Instruction {
    Instruction { code, to, from, offset, immediate }
}

const EXIT: Instruction = new(0x95, 0, 0, 0, 0);

/// `r = number`
const fn set(to: u8, number: i32) -> Instruction {
    new(code::ALU64 | code::MOV, to, 0, 0, number)
}

/// `r = other`
const fn copy(to: u8, from: u8) -> Instruction {
    new(code::ALU64 | code::MOV | code::REGISTER, to, from, 0, 0)
}

/// `r += number`
const fn add(to: u8, number: i32) -> Instruction {
    new(code::ALU64 | code::ADD, to, 0, 0, number)
}

/// `r = *(other + offset)`, 4 bytes
const fn load(to: u8, from: u8, offset: i16) -> Instruction {
    new(code::LDX | code::MEM, to, from, offset, 0)
}

/// `*(r + offset) = other`, 4 bytes
const fn store(to: u8, offset: i16, from: u8) -> Instruction {
    new(code::STX | code::MEM, to, from, offset, 0)
}

const fn call(helper: i32) -> Instruction {
    new(0x85, 0, 0, 0, helper)
}

/// Skips so many instructions if `r == number`.
const fn skip_if(to: u8, number: i32, count: i16) -> Instruction {
    new(code::JMP | code::JEQ, to, 0, count, number)
}

const fn map(number: i32) -> [Instruction; 2] {
    [new(code::LOAD_64, 1, 1, 0, number), new(0, 0, 0, 0, 0)]
}

/// Looks up key zero at the top of the stack in map 0: the value is in r0, or the program ends.
fn found() -> Vec<Instruction> {
    let mut program = vec![set(1, 0), store(10, -4, 1), copy(2, 10), add(2, -4)];
    program.extend(map(0));
    program.extend([call(1), new(code::JMP | code::JNE, 0, 0, 2, 0), set(0, 2), EXIT]);
    program
}

/// r3 is a number of 32 bits that is not known beforehand: the first word of the packet's memory address space that the
/// program may read, behind the check of its length.
fn number() -> Vec<Instruction> {
    vec![
        load(2, 1, 0),
        load(4, 1, 4),
        copy(5, 2),
        add(5, 4),
        new(code::JMP | 0x20 | code::REGISTER, 5, 4, 2, 0),
        load(3, 2, 0),
        new(code::JMP, 0, 0, 2, 0),
        set(0, 2),
        EXIT,
    ]
}

const PASS: [Instruction; 2] = [set(0, 2), EXIT];

fn array() -> Map {
    Map { name: "TABLE".into(), kind: 2, key: 4, value: 16, flags: 0, is_data: false }
}

fn xdp(parts: &[&[Instruction]]) -> Program {
    Program {
        name: "sample".into(),
        kind: Kind::Xdp,
        maps: vec![array()],
        instructions: parts.concat(),
    }
}

fn with_map(map: Map) -> Program {
    Program { maps: vec![map], ..xdp(&[&PASS]) }
}

fn with_kind(kind: Kind, program: Program) -> Program {
    Program { kind, ..program }
}

/// The programs that are refused, by rule.
fn samples() -> Vec<(Rule, Program)> {
    let (found, number) = (found(), number());
    let atomic = |operation: i32, to: u8, from: u8| {
        new(code::STX | code::ATOMIC | 0x18, to, from, 0, operation)
    };
    let lookup = |key: &[Instruction]| {
        let mut program = vec![set(1, 0), store(10, -8, 1), store(10, -4, 1)];
        program.extend(key);
        program.extend(map(0));
        program.push(call(1));
        program.extend(PASS);
        xdp(&[&program])
    };
    vec![
        (Rule::ProgramType, with_kind(Kind::Other, xdp(&[&PASS]))),
        (Rule::Length, xdp(&[&[set(0, 2); 4096], &[EXIT]])),
        (Rule::MapKind, with_map(Map { kind: 9, ..array() })),
        (Rule::MapFlags, with_map(Map { flags: 1 << 10, ..array() })),
        (Rule::MapEntry, with_map(Map { value: 57, ..array() })),
        (Rule::GlobalData, with_map(Map { is_data: true, flags: 1 << 7, ..array() })),
        (Rule::Instruction, xdp(&[&[set(3, 7), new(code::ALU64 | code::MOD, 3, 0, 0, 5)], &PASS])),
        (
            Rule::Variant,
            xdp(&[&[set(3, 7), new(code::ALU64 | code::MOV | code::REGISTER, 3, 3, 8, 0)], &PASS]),
        ),
        (Rule::Helper, xdp(&[&[call(5)], &PASS])),
        (
            Rule::TailCall,
            xdp(&[&[copy(6, 1)], &map(0), &[copy(2, 1), copy(1, 6), set(3, 0), call(12)], &PASS]),
        ),
        (Rule::KernelFunction, xdp(&[&[new(0x85, 0, 2, 0, 7)], &PASS])),
        (Rule::FunctionCall, xdp(&[&[new(0x85, 0, 1, 0, 1), EXIT], &PASS])),
        (Rule::KeyPointer, {
            let mut program = number.clone();
            program.extend(map(0));
            program.push(call(1));
            xdp(&[&program, &PASS])
        }),
        (Rule::KeyVariable, {
            let mut program = number.clone();
            let and = new(code::ALU64 | code::AND, 3, 0, 0, 4);
            let plus = new(code::ALU64 | code::ADD | code::REGISTER, 2, 3, 0, 0);
            program.extend([and, copy(2, 10), add(2, -8), plus]);
            program.extend(map(0));
            program.push(call(1));
            xdp(&[&program, &PASS])
        }),
        (Rule::KeyAlignment, lookup(&[copy(2, 10), add(2, -6)])),
        (Rule::EventCpu, xdp(&[&[set(3, 0), call(25)], &PASS])),
        (Rule::Verdict, xdp(&[&[set(0, 4), EXIT]])),
        (Rule::Decision, with_kind(Kind::Classifier, xdp(&[&[set(0, 0), EXIT]]))),
        (Rule::Pointer, xdp(&[&[load(2, 1, 4), load(3, 2, 0)], &PASS])),
        (Rule::PointerChanged, {
            // The packet or the stack, by the packet's first word.
            let mut program = number.clone();
            program.extend([
                store(10, -8, 3),
                copy(4, 10),
                add(4, -8),
                skip_if(3, 0, 1),
                copy(4, 2),
                load(5, 4, 0),
            ]);
            xdp(&[&program, &PASS])
        }),
        (Rule::StackVariable, {
            let mut program = number.clone();
            let and = new(code::ALU64 | code::AND, 3, 0, 0, 4);
            let plus = new(code::ALU64 | code::ADD | code::REGISTER, 4, 3, 0, 0);
            program.extend([
                store(10, -8, 3),
                store(10, -4, 3),
                and,
                copy(4, 10),
                add(4, -8),
                plus,
                load(5, 4, 0),
            ]);
            xdp(&[&program, &PASS])
        }),
        (Rule::StackAlignment, {
            let byte = new(code::LDX | code::MEM | 0x10, 5, 4, 0, 0);
            let mut program = number.clone();
            program.extend([
                store(10, -8, 3),
                copy(4, 10),
                add(4, -8),
                skip_if(3, 0, 1),
                add(4, 1),
                byte,
            ]);
            xdp(&[&program, &PASS])
        }),
        (Rule::StackDepth, xdp(&[&[set(3, 0), store(10, -516, 3)], &PASS])),
        (Rule::StoreImmediate, xdp(&[&[new(code::ST | code::MEM, 10, 0, -4, 7)], &PASS])),
        (Rule::ContextLoad, xdp(&[&[load(2, 1, 12)], &PASS])),
        (Rule::ContextStore, xdp(&[&[set(2, 0), store(1, 16, 2)], &PASS])),
        (Rule::MapWrite, xdp(&[&found, &[set(1, 1), store(0, 0, 1)], &PASS])),
        (Rule::MapOffset, {
            let mut program = number.clone();
            program.extend([new(code::ALU64 | code::AND, 3, 0, 0, 4), copy(6, 3)]);
            program.extend(&found);
            program.push(new(code::ALU64 | code::ADD | code::REGISTER, 0, 6, 0, 0));
            program.push(load(1, 0, 0));
            xdp(&[&program, &PASS])
        }),
        (Rule::MapBounds, xdp(&[&found, &[load(1, 0, 16)], &PASS])),
        (Rule::MapUse, xdp(&[&found, &[load(1, 0, 0), atomic(0, 0, 1)], &PASS])),
        (Rule::AtomicOperation, xdp(&[&found, &[set(1, 1), atomic(1, 0, 1)], &PASS])),
        (Rule::AtomicTarget, xdp(&[&[set(1, 1), atomic(0, 10, 1)], &PASS])),
        (Rule::AtomicOperand, xdp(&[&found, &[atomic(0, 0, 10)], &PASS])),
        (Rule::Multiplication, {
            let wide = new(code::LDX | code::MEM | 0x18, 3, 0, 0, 0);
            xdp(&[&found, &[wide, new(code::ALU64 | code::MUL, 3, 0, 0, 3)], &PASS])
        }),
        (Rule::Division, {
            let mut program = number.clone();
            program.push(new(code::ALU | code::DIV | code::REGISTER, 3, 3, 0, 0));
            xdp(&[&program, &PASS])
        }),
        // Eighteen independent choices that are all remembered.
        (Rule::Complexity, {
            let mut program = number.clone();
            for place in 1..=18 {
                program.extend([set(4, 1), new(code::JMP | 0x20, 3, 0, 1, place), set(4, 2)]);
                program.push(store(10, -4 * place as i16, 4));
            }
            xdp(&[&program, &PASS])
        }),
    ]
}

#[test]
fn each_rule_refuses_its_program() {
    let samples = samples();
    for (rule, program) in &samples {
        match check(program) {
            Err(refusal) => assert_eq!(refusal.rule, *rule, "{refusal}"),
            Ok(accepted) => panic!("{}: {accepted}", rule.name()),
        }
    }
    let rules: Vec<Rule> = samples.iter().map(|(rule, _)| *rule).collect();
    assert_eq!(rules, Rule::ALL, "a program for each rule, in their order");
}

/// The same programs without what was wrong: the rules refuse nothing else in them.
#[test]
fn what_is_right_is_accepted() {
    let (found, number) = (found(), number());
    let counter = new(code::STX | code::ATOMIC | 0x18, 0, 1, 8, 0);
    let programs = [
        xdp(&[&PASS]),
        xdp(&[&number, &PASS]),
        xdp(&[&found, &[load(1, 0, 0), counter], &PASS]),
        xdp(&[&[set(3, 0), store(10, -512, 3)], &PASS]),
        with_map(Map { value: 56, ..array() }),
        with_kind(Kind::Classifier, xdp(&[&[set(0, 2), EXIT]])),
        with_kind(Kind::Classifier, xdp(&[&[set(0, -1), EXIT]])),
        xdp(&[&number, &[new(code::ALU | code::MUL, 3, 0, 0, -5)], &PASS]),
        xdp(&[&number, &[new(code::ALU | code::DIV, 3, 0, 0, 5)], &PASS]),
    ];
    for program in programs {
        if let Err(refusal) = check(&program) {
            panic!("{refusal}\nof {:?}", program.instructions);
        }
    }
}

#[test]
fn a_refusal_names_instruction_rule_and_source() {
    let text = check(&xdp(&[&[call(5)], &PASS])).unwrap_err().to_string();
    assert!(text.contains("instruction 0: call 5"), "{text}");
    assert!(text.contains("rule helper: ") && text.contains("nfp_bpf_check_helper_call"), "{text}");
}
