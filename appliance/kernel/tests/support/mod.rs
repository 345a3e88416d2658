//! A place of its own for each test: a network namespace for its thread, and a pin directory.
#![allow(clippy::unwrap_used, reason = "only tests call this")]
#![allow(dead_code, unreachable_pub, reason = "each test uses a part")]

pub mod foreign;
pub mod objects;
pub mod service;

use sluice_datapath::abi::{Settings, Table};
use sluice_kernel::{
    AttachMode, AttachRequest, Datapath as _, Sizes,
    chaos::Faults,
    linux::{Datapath, Options, detach_all},
};
use std::{
    collections::BTreeSet,
    fs,
    net::UdpSocket,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

static NEXT: AtomicU32 = AtomicU32::new(0);
/// Tests that count the kernel's objects must not see those of others.
static ALONE: Mutex<()> = Mutex::new(());

/// A network namespace for the calling thread, and a pin directory that is emptied at the end.
pub struct Place {
    pub pins: PathBuf,
    _alone: MutexGuard<'static, ()>,
}

/// Why tests with the real kernel cannot run here.
fn obstacle() -> Option<&'static str> {
    if !nix::unistd::geteuid().is_root() {
        return Some("needs root");
    }
    if !Path::new("/sys/fs/bpf").is_dir() {
        return Some("this kernel has no BPF file system");
    }
    None
}

/// The place of this test, or `None` after saying why the test cannot run.
pub fn place() -> Option<Place> {
    if let Some(why) = obstacle() {
        println!("skipped: {why}");
        return None;
    }
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    // The test's thread ends with the test, and the namespace with the thread.
    if let Err(errno) = nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET) {
        println!("skipped: cannot make a network namespace: {errno}");
        return None;
    }
    ip("link set lo up");
    mount_bpf();
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("sluice-kernel-test-{}-{number}", std::process::id());
    Some(Place { pins: Path::new("/sys/fs/bpf").join(name), _alone: alone })
}

/// Programs of others are pinned before a datapath that would mount it is opened.
fn mount_bpf() {
    let place = "/sys/fs/bpf";
    if nix::sys::statfs::statfs(place).unwrap().filesystem_type() != nix::sys::statfs::BPF_FS_MAGIC
    {
        let flags = nix::mount::MsFlags::empty();
        nix::mount::mount(Some("bpf"), place, Some("bpf"), flags, None::<&str>).unwrap();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Err(error) = detach_all(&self.pins) {
            eprintln!("{error}");
        }
    }
}

impl Place {
    pub fn options(&self) -> Options {
        Options::new(sizes()).pinned_in(&self.pins)
    }

    pub fn open(&self) -> Datapath {
        Datapath::open(&self.options()).unwrap().0
    }

    pub fn open_with(&self, faults: &Faults) -> Datapath {
        Datapath::open(&self.options().with_faults(faults.clone())).unwrap().0
    }

    /// The names under the pin directory, directories first.
    pub fn pinned(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        let mut directories = vec![self.pins.clone()];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
                let path = entry.path();
                names.insert(path.strip_prefix(&self.pins).unwrap().display().to_string());
                if entry.file_type().unwrap().is_dir() {
                    directories.push(path);
                }
            }
        }
        names
    }
}

/// Small tables.
pub fn sizes() -> Sizes {
    Sizes::smallest()
        .with(Table::Services, 4)
        .with(Table::ServiceCounts, 4)
        .with(Table::Slots, 8)
        .with(Table::Moves, 8)
        .with(Table::Backends, 16)
        .with(Table::BackendCounts, 16)
        .with(Table::Remembered, 4)
        .with(Table::Fragments, 4)
        .with(Table::PrefilterHits, 4)
}

/// A pair of links: packets that are sent out of `NAME-peer` arrive at `NAME`. Returns the index of `NAME`.
///
/// The peer has the address 10.9.0.2 and knows 10.9.0.1 as the neighbour behind it.
pub fn veth(name: &str) -> u32 {
    let peer = format!("{name}-peer");
    ip(&format!("link add {name} type veth peer name {peer}"));
    for link in [name, &peer] {
        let quiet = format!("/proc/sys/net/ipv6/conf/{link}/disable_ipv6");
        fs::write(quiet, "1").unwrap();
        ip(&format!("link set {link} up"));
    }
    ip(&format!("address add 10.9.0.2/24 dev {peer}"));
    ip(&format!("neighbour replace 10.9.0.1 lladdr 02:00:00:00:00:01 dev {peer}"));
    index(name)
}

pub fn index(name: &str) -> u32 {
    nix::net::if_::if_nametoindex(name).unwrap()
}

/// Sends UDP packets of one flow out of the peer, towards the link.
pub fn send(packets: usize) {
    let socket = UdpSocket::bind("10.9.0.2:0").unwrap();
    for _ in 0..packets {
        socket.send_to(b"hello", "10.9.0.1:9").unwrap();
    }
}

/// Sends packets, each of another flow, until it is dropped.
pub struct Traffic {
    stop: Arc<AtomicBool>,
    sender: Option<JoinHandle<u64>>,
}

impl Traffic {
    pub fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let until = stop.clone();
        // A new thread is in the network namespace of the one that made it.
        let sender = std::thread::spawn(move || {
            let mut packets = 0;
            while !until.load(Ordering::Relaxed) {
                send(1);
                packets += 1;
                std::thread::sleep(Duration::from_micros(50));
            }
            packets
        });
        Self { stop, sender: Some(sender) }
    }

    /// How many packets were sent.
    pub fn stop(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.sender.take().unwrap().join().unwrap()
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(sender) = self.sender.take() {
            let _ = sender.join();
        }
    }
}

pub fn ip(arguments: &str) {
    run("ip", arguments);
}

pub fn run(program: &str, arguments: &str) {
    let output = Command::new(program).args(arguments.split_whitespace()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments}: {errors}");
}

/// An attachment with the smallest program.
pub fn request(ifindex: u32) -> AttachRequest {
    AttachRequest {
        settings: Settings { ifindex, ..Settings::default() },
        mode: AttachMode::Auto,
        replace_foreign: false,
    }
}

/// How many packets the programs of a datapath saw.
pub fn seen(datapath: &Datapath) -> u64 {
    datapath.counts().unwrap().iter().map(|count| count.packets).sum()
}

pub fn open_descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}
