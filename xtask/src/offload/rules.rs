//! What nfp refuses, and where its source says so.

use std::fmt;

macro_rules! rules {
    ($($rule:ident $name:literal $source:literal $why:literal;)+) => {
        /// A rule of the driver. The sources are files of `drivers/net/ethernet/netronome/nfp/bpf/` in Linux 6.12 where
        /// no other folder is named.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Rule {
            $($rule,)+
        }

        impl Rule {
            #[cfg(test)]
            pub(crate) const ALL: &[Self] = &[$(Self::$rule,)+];

            pub(crate) const fn name(self) -> &'static str {
                match self { $(Self::$rule => $name,)+ }
            }

            pub(crate) const fn source(self) -> &'static str {
                match self { $(Self::$rule => $source,)+ }
            }

            pub(crate) const fn why(self) -> &'static str {
                match self { $(Self::$rule => $why,)+ }
            }
        }
    };
}

rules! {
    ProgramType "program-type" "kernel/bpf/offload.c bpf_prog_dev_bound_init"
        "only XDP programs and classifiers run on cards";
    Length "length" "jit.c nfp_prog_push"
        "a program of more than 4096 instructions does not fit into the card's store";
    MapKind "map-kind" "kernel/bpf/offload.c bpf_map_offload_map_alloc"
        "only arrays and hashes live on cards";
    MapFlags "map-flags" "offload.c nfp_bpf_map_alloc"
        "a map on a card has no flags";
    MapEntry "map-entry" "offload.c nfp_bpf_map_alloc"
        "key and value, each rounded up to 8 bytes, are at most 64 bytes together";
    GlobalData "global-data" "offload.c nfp_bpf_map_alloc"
        "constants and global variables live in maps with flags, and a card's map has none";
    Instruction "instruction" "verifier.c nfp_verify_insn, jit.c instr_cb"
        "the card has no such instruction";
    Variant "variant" "jit.c instr_cb"
        "the translation looks at the operation alone and would lose the sign extension";
    Helper "helper" "verifier.c nfp_bpf_check_helper_call"
        "the card has lookup, update, delete, adjust_head, adjust_tail, get_prandom_u32 and perf_event_output";
    TailCall "tail-call" "verifier.c nfp_bpf_check_helper_call"
        "a card runs one program, there is no other to go on in";
    KernelFunction "kernel-function" "kernel/bpf/verifier.c add_kfunc_call"
        "functions of the kernel cannot be called from a card";
    FunctionCall "function-call" "verifier.c nfp_bpf_get_stack_usage"
        "a call of a function puts the return address and four registers on the card's small stack; inline it";
    KeyPointer "key-pointer" "verifier.c nfp_bpf_stack_arg_ok"
        "keys and values that are passed to helpers stand on the stack";
    KeyVariable "key-variable" "verifier.c nfp_bpf_stack_arg_ok"
        "keys and values stand at a place of the stack that is known beforehand";
    KeyAlignment "key-alignment" "verifier.c nfp_bpf_stack_arg_ok"
        "keys and values stand at a multiple of 4 bytes";
    EventCpu "event-cpu" "verifier.c nfp_bpf_check_helper_call"
        "events go to the current CPU (BPF_F_CURRENT_CPU)";
    Verdict "verdict" "jit.c nfp_outro_xdp"
        "ABORTED, DROP, PASS and TX are known, and anything else drops the packet";
    Decision "decision" "verifier.c nfp_bpf_check_exit"
        "a classifier returns a constant: TC_ACT_SHOT, TC_ACT_STOLEN, TC_ACT_QUEUED or, to pass, TC_ACT_UNSPEC";
    Pointer "pointer" "verifier.c nfp_bpf_check_ptr"
        "memory is reached by pointers to context, stack, values of maps and packet";
    PointerChanged "pointer-changed" "verifier.c nfp_bpf_check_ptr"
        "one instruction reaches one kind of memory, whichever way the program came there";
    StackVariable "stack-variable" "verifier.c nfp_bpf_check_stack_access"
        "places on the stack are known beforehand";
    StackAlignment "stack-alignment" "verifier.c nfp_bpf_check_stack_access"
        "where one instruction reaches several places of the stack, they are a multiple of 4 bytes apart";
    StackDepth "stack-depth" "verifier.c nfp_bpf_finalize"
        "the stack has 512 bytes at most";
    StoreImmediate "store-immediate" "jit.c mem_st"
        "a constant is stored to the packet only; elsewhere it goes through a register";
    ContextLoad "context-load" "jit.c mem_ldx_xdp, mem_ldx_skb"
        "of the context there are data and data_end (and the length, for classifiers), as words of 4 bytes";
    ContextStore "context-store" "verifier.c nfp_bpf_check_store"
        "the context cannot be written";
    MapWrite "map-write" "verifier.c nfp_bpf_check_ptr"
        "values of maps are only read and added to";
    MapOffset "map-offset" "verifier.c nfp_bpf_map_mark_used"
        "the place in a value is known beforehand";
    MapBounds "map-bounds" "verifier.c nfp_bpf_map_mark_used"
        "the place is outside of the value";
    MapUse "map-use" "verifier.c nfp_bpf_map_mark_used_one"
        "a word of a value is read or added to, not both: the card keeps counters in the other byte order";
    AtomicOperation "atomic-operation" "verifier.c nfp_bpf_check_atomic"
        "the only atomic operation is an addition that returns nothing";
    AtomicTarget "atomic-target" "verifier.c nfp_bpf_check_atomic"
        "atomic additions go to values of maps";
    AtomicOperand "atomic-operand" "verifier.c nfp_bpf_check_atomic"
        "what is added is a number";
    Multiplication "multiplication" "verifier.c nfp_bpf_check_alu"
        "both factors fit into 32 bits";
    Division "division" "verifier.c nfp_bpf_check_alu"
        "a number of 32 bits is divided by a positive constant";
    Complexity "complexity" "kernel/bpf/verifier.c do_check"
        "too many ways through the program to follow";
}

/// Why a program is refused.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) rule: Rule,
    /// The instruction, by number and text; none if it is about the whole.
    pub(crate) at: Option<(usize, String)>,
    /// What was found.
    pub(crate) found: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((number, text)) = &self.at {
            writeln!(f, "  instruction {number}: {text}")?;
        }
        writeln!(f, "  found: {}", self.found)?;
        write!(f, "  rule {}: {} ({})", self.rule.name(), self.rule.why(), self.rule.source())
    }
}
