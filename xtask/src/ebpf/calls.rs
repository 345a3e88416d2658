//! The calls in BPF machine code: which function calls which.

/// One instruction is eight bytes: opcode, registers, offset, immediate.
pub(crate) const INSTRUCTION_BYTES: usize = 8;
/// `call`; the source register says what is called.
const CALL: u8 = 0x85;
/// The immediate is the distance to a function of the same object, counted in instructions from the next one.
const CALL_FUNCTION: u8 = 1;
/// Loads a 64-bit constant and takes the room of two instructions.
const LOAD_64: u8 = 0x18;

/// A call of a function in the same object.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Call {
    /// Where the instruction is, in bytes from the section's start.
    pub(crate) offset: u64,
    /// The immediate: for a call within the section, the distance.
    pub(crate) immediate: i32,
}

impl Call {
    /// Where the callee begins when no relocation says otherwise: the linker resolved calls within a section.
    pub(crate) fn target(&self) -> Option<u64> {
        let next = i64::try_from(self.offset).ok()? + INSTRUCTION_BYTES as i64;
        u64::try_from(next + i64::from(self.immediate) * INSTRUCTION_BYTES as i64).ok()
    }

    /// Where the callee begins in the section whose symbol the relocation names: LLVM stores the distance less one.
    pub(crate) fn target_in_section(&self) -> Option<u64> {
        u64::try_from((i64::from(self.immediate) + 1) * INSTRUCTION_BYTES as i64).ok()
    }
}

/// Every call of a function, in the order of the code.
pub(crate) fn calls(code: &[u8]) -> Vec<Call> {
    let mut found = Vec::new();
    let mut instructions = code.chunks_exact(INSTRUCTION_BYTES).enumerate();
    while let Some((index, instruction)) = instructions.next() {
        let &[opcode, registers, _, _, a, b, c, d] = instruction else { break };
        if opcode == LOAD_64 {
            instructions.next();
        } else if opcode == CALL && registers >> 4 == CALL_FUNCTION {
            let offset = (index * INSTRUCTION_BYTES) as u64;
            found.push(Call { offset, immediate: i32::from_le_bytes([a, b, c, d]) });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXIT: [u8; 8] = [0x95, 0, 0, 0, 0, 0, 0, 0];
    const HELPER: [u8; 8] = [CALL, 0, 0, 0, 23, 0, 0, 0];

    fn call(distance: i32) -> [u8; 8] {
        let [a, b, c, d] = distance.to_le_bytes();
        [CALL, CALL_FUNCTION << 4, 0, 0, a, b, c, d]
    }

    #[test]
    fn calls_of_functions_are_found_and_helpers_are_not() {
        let code = [HELPER, call(1), EXIT, EXIT].concat();
        let found = calls(&code);
        assert_eq!(found, [Call { offset: 8, immediate: 1 }]);
        assert_eq!(found[0].target(), Some(24));
    }

    #[test]
    fn the_second_half_of_a_wide_load_is_no_instruction() {
        let mut wide = [LOAD_64, 1, 0, 0, 0, 0, 0, 0].to_vec();
        wide.extend(call(5));
        wide.extend(EXIT);
        assert_eq!(calls(&wide), []);
    }

    #[test]
    fn a_call_backwards_has_a_target_too() {
        let code = [EXIT, call(-2)].concat();
        assert_eq!(calls(&code)[0].target(), Some(0));
        assert_eq!(Call { offset: 0, immediate: -1 }.target_in_section(), Some(0));
        assert_eq!(Call { offset: 0, immediate: -2 }.target(), None);
    }
}
