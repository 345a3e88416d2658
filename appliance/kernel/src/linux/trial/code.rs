//! The programs on trial, instruction by instruction: each does one thing more than ending.

use std::os::fd::{AsRawFd, BorrowedFd};

const R0: u8 = 0;
const R1: u8 = 1;
const R2: u8 = 2;
const R3: u8 = 3;
const R4: u8 = 4;
const R5: u8 = 5;
const R6: u8 = 6;
const R10: u8 = 10;
/// The pseudo source register that makes an immediate a map.
const PSEUDO_MAP: u8 = 1;

/// A program in the making: instructions as `struct bpf_insn` has them on machines of little endian.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Code(pub(super) Vec<u64>);

/// A helper by its number in `enum bpf_func_id`, for programs on trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum TrialHelper {
    /// Read an entry.
    MapLookup = 1,
    /// Write an entry.
    MapUpdate = 2,
    /// Remove an entry.
    MapDelete = 3,
    /// The time.
    Time = 5,
    /// A random number.
    Random = 7,
    /// Go on in another program.
    TailCall = 12,
    /// Send elsewhere.
    Redirect = 23,
    /// Tell of an event.
    PerfEvent = 25,
    /// Difference of two checksums.
    ChecksumDifference = 28,
    /// Move the start of the packet.
    AdjustHead = 44,
    /// Move the end of the packet.
    AdjustTail = 65,
}

impl Code {
    /// Ends with a value.
    pub fn verdict(value: i32) -> Self {
        Self::default().end(value)
    }

    /// So many instructions, all of them needed, that end with a value. At least three.
    pub fn long(instructions: usize, value: i32) -> Self {
        let mut code = Self::default();
        code.op(0xb7, R1, 0, 0, 1);
        while code.0.len() + 2 < instructions {
            code.op(0x07, R1, 0, 0, 1);
        }
        code.end(value)
    }

    /// Writes the word that is so deep in the stack.
    pub fn stack(bytes: i16, value: i32) -> Self {
        let mut code = Self::default();
        code.op(0x62, R10, 0, -bytes, 0);
        code.end(value)
    }

    /// Reads the byte of the packet that is just before this depth. The context begins with the packet's start and end;
    /// where depends on the type of the program.
    pub fn packet(bytes: i32, start: i16, end: i16, value: i32) -> Self {
        let mut code = Self::default();
        code.op(0x61, R2, R1, start, 0);
        code.op(0x61, R3, R1, end, 0);
        code.op(0xbf, R4, R2, 0, 0);
        code.op(0x07, R4, 0, 0, bytes);
        code.op(0x2d, R4, R3, 1, 0);
        code.op(0x71, R5, R4, -1, 0);
        code.end(value)
    }

    /// Calls a helper; `map` is for those that take one. Keys and values are eight bytes of zeros on the stack.
    pub fn helper(helper: TrialHelper, map: Option<BorrowedFd<'_>>, value: i32) -> Self {
        let mut code = Self::default();
        code.op(0xbf, R6, R1, 0, 0);
        code.op(0x7a, R10, 0, -8, 0);
        match helper {
            TrialHelper::MapLookup | TrialHelper::MapUpdate | TrialHelper::MapDelete => {
                code.map(R1, map);
                code.stack_address(R2, -8);
                code.stack_address(R3, -8);
                code.op(0xb7, R4, 0, 0, 0);
            }
            TrialHelper::Time | TrialHelper::Random => {}
            TrialHelper::TailCall => {
                code.map(R2, map);
                code.op(0xb7, R3, 0, 0, 0);
            }
            TrialHelper::Redirect => {
                code.op(0xb7, R1, 0, 0, 1);
                code.op(0xb7, R2, 0, 0, 0);
            }
            TrialHelper::PerfEvent => {
                code.map(R2, map);
                // BPF_F_CURRENT_CPU: the low half of the flags.
                code.op(0x18, R3, 0, 0, -1);
                code.op(0, 0, 0, 0, 0);
                code.stack_address(R4, -8);
                code.op(0xb7, R5, 0, 0, 8);
            }
            TrialHelper::ChecksumDifference => {
                code.stack_address(R1, -8);
                code.op(0xb7, R2, 0, 0, 4);
                code.stack_address(R3, -8);
                code.op(0xb7, R4, 0, 0, 4);
                code.op(0xb7, R5, 0, 0, 0);
            }
            TrialHelper::AdjustHead => code.op(0xb7, R2, 0, 0, -20),
            TrialHelper::AdjustTail => code.op(0xb7, R2, 0, 0, -4),
        }
        code.op(0x85, 0, 0, 0, helper as i32);
        code.end(value)
    }

    /// Adds one atomically to the first eight bytes of an entry.
    pub fn atomic_add(map: BorrowedFd<'_>, value: i32) -> Self {
        let mut code = Self::default();
        code.op(0x7a, R10, 0, -8, 0);
        code.map(R1, Some(map));
        code.stack_address(R2, -8);
        code.op(0x85, 0, 0, 0, TrialHelper::MapLookup as i32);
        code.op(0x15, R0, 0, 2, 0);
        code.op(0xb7, R1, 0, 0, 1);
        code.op(0xdb, R0, R1, 0, 0);
        code.end(value)
    }

    fn op(&mut self, code: u8, to: u8, from: u8, offset: i16, immediate: i32) {
        let registers = u64::from(to) | u64::from(from) << 4;
        let offset = u64::from(offset as u16);
        let immediate = u64::from(immediate as u32);
        self.0.push(u64::from(code) | registers << 8 | offset << 16 | immediate << 32);
    }

    fn map(&mut self, to: u8, map: Option<BorrowedFd<'_>>) {
        self.op(0x18, to, PSEUDO_MAP, 0, map.map_or(-1, |map| map.as_raw_fd()));
        self.op(0, 0, 0, 0, 0);
    }

    fn stack_address(&mut self, to: u8, offset: i32) {
        self.op(0xbf, to, R10, 0, 0);
        self.op(0x07, to, 0, 0, offset);
    }

    fn end(mut self, value: i32) -> Self {
        self.op(0xb7, R0, 0, 0, value);
        self.op(0x95, 0, 0, 0, 0);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_as_long_as_wanted() {
        for wanted in [3, 4, 100, 4096] {
            assert_eq!(Code::long(wanted, 2).0.len(), wanted);
        }
    }

    #[test]
    fn instructions_have_the_kernels_layout() {
        // r0 = 2; exit
        assert_eq!(Code::verdict(2).0, [0x0000_0002_0000_00b7, 0x95]);
        // *(u32 *)(r10 - 8) = 0
        assert_eq!(Code::stack(8, 2).0[0], 0x0000_0000_fff8_0a62);
    }
}
