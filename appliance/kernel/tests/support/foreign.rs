//! A program that is not ours, attached in the ways that others use.
#![allow(unsafe_code)]

use super::ip;
use sluice_kernel::XdpMode;
use std::{
    ffi::CString,
    fs,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    process::Command,
};

/// A loaded XDP program that lets every packet pass.
pub struct Foreign {
    pub id: u32,
    program: OwnedFd,
    pin: String,
}

/// Keeps the program attached.
pub struct Held(#[allow(dead_code)] Option<OwnedFd>);

fn bpf<T>(command: i32, mut attributes: T) -> i32 {
    // SAFETY: the tests below pass live addresses.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut attributes, size_of::<T>()) };
    assert!(result >= 0, "bpf command {command}: {}", std::io::Error::last_os_error());
    result as i32
}

impl Foreign {
    pub fn load(name: &str) -> Self {
        #[repr(C)]
        #[derive(Default)]
        struct Load {
            kind: u32,
            count: u32,
            instructions: u64,
            license: u64,
            skipped: [u32; 6],
            name: [u8; 16],
            ifindex: u32,
            attach_type: u32,
        }
        // r0 = XDP_PASS; exit
        let instructions = [0xb7u64 | 2 << 32, 0x95];
        let mut load = Load {
            kind: 6,
            count: 2,
            instructions: instructions.as_ptr() as u64,
            license: c"GPL".as_ptr() as u64,
            attach_type: 37,
            ..Load::default()
        };
        load.name[..name.len()].copy_from_slice(name.as_bytes());
        // SAFETY: the command returns a new descriptor.
        let program = unsafe { OwnedFd::from_raw_fd(bpf(5, load)) };
        let info =
            fs::read_to_string(format!("/proc/self/fdinfo/{}", program.as_raw_fd())).unwrap();
        let id = info.lines().find_map(|line| line.strip_prefix("prog_id:")).unwrap();
        let id = id.trim().parse().unwrap();
        let pin = format!("/sys/fs/bpf/sluice-kernel-test-foreign-{}-{id}", std::process::id());
        let path = CString::new(pin.as_str()).unwrap();
        bpf(6, (path.as_ptr() as u64, program.as_raw_fd(), 0u32));
        Self { id, program, pin }
    }

    /// Attaches the program, by a bpf_link or by netlink.
    pub fn attach(&self, ifindex: u32, by_link: bool, mode: XdpMode) -> Held {
        let native = mode == XdpMode::Native;
        if by_link {
            let flags = if native { 1u32 << 2 } else { 1 << 1 };
            let link = bpf(28, [self.program.as_raw_fd() as u32, ifindex, 37, flags]);
            // SAFETY: the command returns a new descriptor.
            return Held(Some(unsafe { OwnedFd::from_raw_fd(link) }));
        }
        let name = nix::net::if_::if_indextoname(ifindex).unwrap().into_string().unwrap();
        let kind = if native { "xdpdrv" } else { "xdpgeneric" };
        ip(&format!("link set dev {name} {kind} pinned {}", self.pin));
        Held(None)
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.pin);
    }
}

/// Takes the program of a bpf_link off its link, as `bpftool link detach` does.
pub fn tear_off(bpf_link: u32) {
    // SAFETY: the command returns a new descriptor.
    let link = unsafe { OwnedFd::from_raw_fd(bpf(30, [bpf_link, 0, 0])) };
    bpf(34, [link.as_raw_fd()]);
}

/// The XDP programs on a link, as `ip` shows them.
pub fn on(ifindex: u32) -> Vec<(XdpMode, u32)> {
    let name = nix::net::if_::if_indextoname(ifindex).unwrap().into_string().unwrap();
    let output = Command::new("ip").args(["-o", "link", "show", "dev", &name]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let words: Vec<&str> = text.split_whitespace().collect();
    let mode = words.iter().find_map(|word| match *word {
        "xdp" => Some(XdpMode::Native),
        "xdpgeneric" => Some(XdpMode::Generic),
        _ => None,
    });
    let id = words.iter().position(|word| *word == "prog/xdp").map(|at| words[at + 2]);
    mode.into_iter().zip(id.map(|id| id.parse().unwrap())).collect()
}
