use super::{Command, Kernel, Sys, address, bpf, bpf_fd, name_text, object_name, raw};
use crate::ProgramStats;
use aya_obj::{Function, generated::bpf_insn};
use nix::errno::Errno;
use std::{
    ffi::CStr,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

const TYPE_CLASSIFIER: u32 = 3;
const TYPE_XDP: u32 = 6;
const ATTACH_XDP: u32 = 37;
const F_XDP_HAS_FRAGS: u32 = 1 << 5;
/// Buffer for the verifier's log: enough for any program of ours that fails.
const LOG_BYTES: usize = 8 << 20;

/// An XDP program to be loaded.
pub(in crate::linux) struct ProgramSpec<'a> {
    pub(in crate::linux) name: &'a str,
    pub(in crate::linux) license: &'a CStr,
    pub(in crate::linux) function: &'a Function,
    pub(in crate::linux) frags: bool,
    pub(in crate::linux) btf: Option<BorrowedFd<'a>>,
}

/// Begin of `struct bpf_prog_info`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(in crate::linux) struct ProgramInfo {
    pub(in crate::linux) kind: u32,
    pub(in crate::linux) id: u32,
    tag: [u8; 8],
    jited_bytes: u32,
    translated_bytes: u32,
    jited: u64,
    translated: u64,
    load_time: u64,
    uid: u32,
    map_count: u32,
    map_ids: u64,
    name: [u8; 16],
    /// The link of the card that it is bound to.
    pub(in crate::linux) card: u32,
    flags: u32,
    net_namespace: [u64; 2],
    skipped: [u64; 11],
    runs: [u64; 3],
    verified_instructions: u32,
    pad: u32,
}

const _: () = assert!(std::mem::offset_of!(ProgramInfo, verified_instructions) == 216);

impl ProgramInfo {
    pub(in crate::linux) fn name(&self) -> String {
        name_text(&self.name)
    }

    pub(in crate::linux) fn stats(&self) -> ProgramStats {
        ProgramStats {
            verified_instructions: self.verified_instructions,
            translated_bytes: self.translated_bytes,
            jited_bytes: self.jited_bytes,
        }
    }

    /// The type in words.
    pub(in crate::linux) fn kind(&self) -> String {
        match self.kind {
            TYPE_CLASSIFIER => "sched_cls".into(),
            TYPE_XDP => "xdp".into(),
            other => format!("number {other}"),
        }
    }
}

/// One run of a program over a packet. Buffers are the caller's, so that a million runs allocate nothing.
pub(in crate::linux) struct TestRun<'a> {
    pub(in crate::linux) packet: &'a [u8],
    pub(in crate::linux) out: &'a mut [u8],
    /// The link that the packet pretends to come from; zero for none.
    pub(in crate::linux) ingress_ifindex: u32,
}

/// `struct xdp_md`.
#[repr(C)]
#[derive(Default)]
struct XdpContext {
    data: u32,
    data_end: u32,
    data_meta: u32,
    ingress_ifindex: u32,
    rx_queue_index: u32,
    egress_ifindex: u32,
}

impl Kernel {
    /// Loads a program; on refusal the number and the verifier's log.
    pub(in crate::linux) fn program_load(
        &self,
        spec: &ProgramSpec<'_>,
    ) -> Result<OwnedFd, (Errno, String)> {
        self.check("program_load").map_err(|errno| (errno, String::new()))?;
        let errno = match self.load(spec, &mut []) {
            Ok(fd) => return Ok(fd),
            Err(errno) => errno,
        };
        let mut log = vec![0u8; LOG_BYTES];
        match self.load(spec, &mut log) {
            Ok(fd) => Ok(fd),
            Err(_) => {
                let length = log.iter().position(|byte| *byte == 0).unwrap_or(log.len());
                Err((errno, String::from_utf8_lossy(&log[..length]).into_owned()))
            }
        }
    }

    fn load(&self, spec: &ProgramSpec<'_>, log: &mut [u8]) -> Sys<OwnedFd> {
        #[repr(C)]
        #[derive(Default)]
        struct Attributes {
            kind: u32,
            instruction_count: u32,
            instructions: u64,
            license: u64,
            log_level: u32,
            log_size: u32,
            log: u64,
            kernel_version: u32,
            flags: u32,
            name: [u8; 16],
            ifindex: u32,
            attach_type: u32,
            btf: u32,
            function_info_size: u32,
            function_info: u64,
            function_info_count: u32,
            line_info_size: u32,
            line_info: u64,
            line_info_count: u32,
            attach_btf_id: u32,
        }
        let function = spec.function;
        let instructions: &[bpf_insn] = &function.instructions;
        let function_info = function.func_info.func_info_bytes();
        let line_info = function.line_info.line_info_bytes();
        let mut attributes = Attributes {
            kind: TYPE_XDP,
            instruction_count: instructions.len() as u32,
            instructions: address(instructions),
            license: address(spec.license.as_ptr()),
            flags: if spec.frags { F_XDP_HAS_FRAGS } else { 0 },
            name: object_name(spec.name),
            attach_type: ATTACH_XDP,
            ..Attributes::default()
        };
        if let Some(btf) = spec.btf {
            attributes.btf = raw(btf);
            attributes.function_info_size = function.func_info_rec_size as u32;
            attributes.function_info = address(function_info.as_slice());
            attributes.function_info_count = function.func_info.len() as u32;
            attributes.line_info_size = function.line_info_rec_size as u32;
            attributes.line_info = address(line_info.as_slice());
            attributes.line_info_count = function.line_info.len() as u32;
        }
        if !log.is_empty() {
            attributes.log_level = 1;
            attributes.log_size = log.len() as u32;
            attributes.log = log.as_mut_ptr() as u64;
        }
        // The verifier gives up when a signal arrives; then it is asked again.
        for _ in 0..5 {
            // SAFETY: all addresses are of live slices of the given lengths.
            match unsafe { bpf_fd(Command::ProgramLoad, &mut attributes) } {
                Err(Errno::EAGAIN) => continue,
                result => return result,
            }
        }
        Err(Errno::EAGAIN)
    }

    /// Loads type information.
    pub(in crate::linux) fn btf_load(&self, btf: &[u8]) -> Sys<OwnedFd> {
        #[repr(C)]
        struct Attributes {
            btf: u64,
            log: u64,
            size: u32,
            log_size: u32,
            log_level: u32,
            pad: u32,
        }
        let mut attributes = Attributes {
            btf: address(btf),
            log: 0,
            size: btf.len() as u32,
            log_size: 0,
            log_level: 0,
            pad: 0,
        };
        // SAFETY: the type information is a live slice of that length.
        unsafe { bpf_fd(Command::BtfLoad, &mut attributes) }
    }

    pub(in crate::linux) fn program_info(&self, program: impl AsFd) -> Sys<ProgramInfo> {
        self.info(program.as_fd())
    }

    /// The ids of the maps that a program uses.
    pub(in crate::linux) fn program_maps(&self, program: impl AsFd) -> Sys<Vec<u32>> {
        let program = program.as_fd();
        let mut ids = vec![0u32; self.program_info(program)?.map_count as usize];
        let mut info = ProgramInfo {
            map_count: ids.len() as u32,
            map_ids: ids.as_mut_ptr() as u64,
            ..ProgramInfo::default()
        };
        self.info_into(program, &mut info)?;
        ids.truncate(info.map_count as usize);
        Ok(ids)
    }

    pub(in crate::linux) fn program_ids(&self) -> Sys<Vec<u32>> {
        self.ids(Command::ProgramNextId)
    }

    pub(in crate::linux) fn program_by_id(&self, id: u32) -> Sys<Option<OwnedFd>> {
        self.by_id(Command::ProgramById, id)
    }

    /// Runs an XDP program once; its return value and how many bytes of `out` the packet takes.
    pub(in crate::linux) fn test_run(
        &self,
        program: BorrowedFd<'_>,
        run: TestRun<'_>,
    ) -> Sys<(u32, usize)> {
        #[repr(C)]
        #[derive(Default)]
        struct Attributes {
            program: u32,
            result: u32,
            in_size: u32,
            out_size: u32,
            packet: u64,
            out: u64,
            repeat: u32,
            duration: u32,
            context_in_size: u32,
            context_out_size: u32,
            context_in: u64,
            context_out: u64,
        }
        self.check("test_run")?;
        let context = XdpContext {
            data_end: run.packet.len() as u32,
            ingress_ifindex: run.ingress_ifindex,
            ..XdpContext::default()
        };
        let mut attributes = Attributes {
            program: raw(program),
            in_size: run.packet.len() as u32,
            out_size: run.out.len() as u32,
            packet: address(run.packet),
            // A size of zero would mean that the buffer is large enough.
            out: if run.out.is_empty() { 0 } else { run.out.as_mut_ptr() as u64 },
            repeat: 1,
            ..Attributes::default()
        };
        if run.ingress_ifindex != 0 {
            attributes.context_in_size = size_of::<XdpContext>() as u32;
            attributes.context_in = address(&raw const context);
        }
        // SAFETY: all addresses are of live memory of the given lengths.
        unsafe { bpf(Command::ProgramTestRun, &mut attributes) }?;
        Ok((attributes.result, attributes.out_size as usize))
    }
}
