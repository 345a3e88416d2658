//! What veth does to frames that XDP sends, on the kernel at hand: the reasons for what the laboratory sets on its
//! links. With the setting a frame must arrive; a kernel on which it arrives without is no failure, and named.

#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

use std::fs::{self, File};
use std::net::UdpSocket;
use std::process::Command;
use std::time::Duration;

use aya::Ebpf;
use aya::programs::Xdp;
use aya::programs::xdp::XdpMode;
use nix::sched::{CloneFlags, setns};
use object::write::{Object, Symbol, SymbolSection};
use object::{
    Architecture, BinaryFormat, Endianness, SectionKind, SymbolFlags, SymbolKind, SymbolScope,
};

const PORT: u16 = 9000;
const PATIENCE: Duration = Duration::from_millis(300);

/// Sender, middle, receiver: three namespaces on a line. The first and the last share a subnet; in the middle an XDP
/// program treats every frame of the sender.
struct Line {
    names: [String; 3],
    // Dropping it detaches the program.
    _program: Ebpf,
}

const SENDER: usize = 0;
const MIDDLE: usize = 1;
const RECEIVER: usize = 2;

impl Line {
    /// With a middle that redirects frames to the receiver.
    fn build(test: &str) -> Self {
        Self::build_with(test, "redirect", redirecting_object)
    }

    /// With the program of an object that is made for the number of the link to the receiver.
    fn build_with(test: &str, program: &str, object: fn(u32) -> Vec<u8>) -> Self {
        let names = ["sender", "middle", "receiver"].map(|end| format!("sluice-veth-{test}-{end}"));
        for name in &names {
            // What an interrupted run left.
            let _ = Command::new("ip").args(["netns", "delete", name]).output();
            command("ip", &["netns", "add", name]);
            // Its neighbour discovery would be counted among the frames.
            inside(name, || {
                fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1").unwrap()
            });
        }
        let [sender, middle, receiver] = &names;
        for (near, far) in [("eth0", sender), ("eth1", receiver)] {
            let pair = [
                "link", "add", near, "netns", middle, "type", "veth", "peer", "name", "eth0",
                "netns", far,
            ];
            command("ip", &pair);
            command("ip", &["-n", middle, "link", "set", near, "up"]);
            command("ip", &["-n", far, "link", "set", "eth0", "up"]);
        }
        command("ip", &["-n", sender, "address", "add", "10.0.0.1/24", "dev", "eth0"]);
        command("ip", &["-n", receiver, "address", "add", "10.0.0.2/24", "dev", "eth0"]);
        let shown = command("ip", &["-n", receiver, "-brief", "link", "show", "eth0"]);
        let mac = shown.split_whitespace().nth(2).unwrap();
        let neighbour = ["neighbour", "add", "10.0.0.2", "lladdr", mac, "dev", "eth0"];
        command("ip", &[&["-n", sender.as_str()], neighbour.as_slice()].concat());
        let object = inside(middle, || object(nix::net::if_::if_nametoindex("eth1").unwrap()));
        let program = attach(middle, "eth0", program, &object);
        Line { names, _program: program }
    }

    fn offloads(&self, end: usize, link: &str, settings: &[&str]) {
        inside(&self.names[end], || command("ethtool", &[&["-K", link], settings].concat()));
    }

    /// Whether a datagram reaches the receiver's socket.
    fn delivers(&self) -> bool {
        let socket = inside(&self.names[RECEIVER], || UdpSocket::bind(("10.0.0.2", PORT)).unwrap());
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        self.send();
        socket.recv(&mut [0; 16]).is_ok()
    }

    /// Whether a datagram comes back to the sender's own link.
    fn returns(&self) -> bool {
        let before = self.received_frames();
        self.send();
        std::thread::sleep(PATIENCE);
        self.received_frames() > before
    }

    fn send(&self) {
        inside(&self.names[SENDER], || {
            UdpSocket::bind("10.0.0.1:0").unwrap().send_to(b"datagram", ("10.0.0.2", PORT)).unwrap()
        });
    }

    /// What the sender's link received.
    fn received_frames(&self) -> u64 {
        let text = inside(&self.names[SENDER], || {
            fs::read_to_string("/proc/thread-self/net/dev").unwrap()
        });
        let counters = text.lines().find_map(|line| line.trim().strip_prefix("eth0:")).unwrap();
        counters.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// How many datagrams the receiver refused for their checksum.
    fn bad_checksums(&self) -> u64 {
        let text = inside(&self.names[RECEIVER], || {
            fs::read_to_string("/proc/thread-self/net/snmp").unwrap()
        });
        let mut lines = text.lines().filter_map(|line| line.strip_prefix("Udp: "));
        let index =
            lines.next().unwrap().split(' ').position(|name| name == "InCsumErrors").unwrap();
        lines.next().unwrap().split(' ').nth(index).unwrap().parse().unwrap()
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        for name in &self.names {
            let _ = Command::new("ip").args(["netns", "delete", name]).output();
        }
    }
}

#[test]
fn redirected_frames_need_napi_at_the_far_end() {
    if !may_run() {
        return;
    }
    let line = Line::build("napi");
    line.offloads(SENDER, "eth0", &["tx", "off"]);
    line.offloads(RECEIVER, "eth0", &["gro", "off"]);
    note(line.delivers(), "redirected frames arrive without GRO");
    line.offloads(RECEIVER, "eth0", &["gro", "on"]);
    assert!(line.delivers(), "GRO switches NAPI on");
}

#[test]
fn redirected_frames_need_checksums_of_the_sender() {
    if !may_run() {
        return;
    }
    let line = Line::build("checksum");
    line.offloads(RECEIVER, "eth0", &["gro", "on"]);
    line.offloads(SENDER, "eth0", &["tx", "on"]);
    note(
        line.delivers(),
        "redirected frames have a checksum although the sender left it to its link",
    );
    let bad = line.bad_checksums();
    line.offloads(SENDER, "eth0", &["tx", "off"]);
    assert!(line.delivers(), "the sender computed the checksum itself");
    assert_eq!(line.bad_checksums(), bad);
}

#[test]
fn returned_frames_need_a_program_at_the_far_end() {
    if !may_run() {
        return;
    }
    let line = Line::build_with("return", "send_back", |_| returning_object("send_back", XDP_TX));
    line.offloads(SENDER, "eth0", &["tx", "off", "gro", "on"]);
    // NAPI is on, but veth wakes it after XDP_TX only for a peer with a program: the frame waits.
    note(line.returns(), "frames returned by XDP_TX arrive where GRO alone switched NAPI on");
    let _passing = attach(&line.names[SENDER], "eth0", "pass", &returning_object("pass", XDP_PASS));
    assert!(line.returns(), "a program at the far end switches NAPI on and lets veth wake it");
}

#[test]
fn passed_frames_keep_their_unfinished_checksum() {
    if !may_run() {
        return;
    }
    let line = Line::build("pass");
    // To the middle itself: its program is on another link than the one that receives here.
    command("ip", &["-n", &line.names[MIDDLE], "address", "add", "10.0.0.3/24", "dev", "eth1"]);
    let socket = inside(&line.names[MIDDLE], || UdpSocket::bind(("10.0.0.3", PORT)).unwrap());
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    line.offloads(RECEIVER, "eth0", &["tx", "on"]);
    let _passing = attach(&line.names[MIDDLE], "eth1", "pass", &returning_object("pass", XDP_PASS));
    inside(&line.names[RECEIVER], || {
        UdpSocket::bind("10.0.0.2:0").unwrap().send_to(b"datagram", ("10.0.0.3", PORT)).unwrap()
    });
    assert!(
        socket.recv(&mut [0; 16]).is_ok(),
        "XDP_PASS leaves the kernel's knowledge of the checksum alone"
    );
}

/// Whether namespaces and programs can be made here; says so when not.
fn may_run() -> bool {
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: network namespaces and XDP need root");
        return false;
    }
    for program in ["ip", "ethtool"] {
        if Command::new(program).arg("--version").output().is_err() {
            println!("skipped: {program} is not installed");
            return false;
        }
    }
    true
}

fn command(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {complaint}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Says that a kernel is kinder than the one that the laboratory was made for.
fn note(kinder: bool, what: &str) {
    if kinder {
        println!("on this kernel {what}");
    }
}

/// Loads a program and attaches it to a link's driver; dropping the result detaches it.
fn attach(namespace: &str, link: &str, name: &str, object: &[u8]) -> Ebpf {
    inside(namespace, || {
        let mut loaded = Ebpf::load(object).unwrap();
        let program: &mut Xdp = loaded.program_mut(name).unwrap().try_into().unwrap();
        program.load().unwrap();
        program.attach(link, XdpMode::Driver).unwrap();
        loaded
    })
}

/// Calls `work` in a thread inside the namespace.
fn inside<T: Send>(name: &str, work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let namespace = File::open(format!("/run/netns/{name}")).unwrap();
            setns(&namespace, CloneFlags::CLONE_NEWNET).unwrap();
            work()
        });
        thread.join().unwrap()
    })
}

/// `return bpf_redirect(TARGET, 0);`
fn redirecting_object(target: u32) -> Vec<u8> {
    let mut load_target = [0xb7, 1, 0, 0, 0, 0, 0, 0];
    load_target[4..].copy_from_slice(&target.to_le_bytes());
    let no_flags = [0xb7, 2, 0, 0, 0, 0, 0, 0];
    let redirect = [0x85, 0, 0, 0, 23, 0, 0, 0];
    program_object("redirect", &[load_target, no_flags, redirect, EXIT].concat())
}

/// `return VERDICT;`
fn returning_object(name: &str, verdict: u8) -> Vec<u8> {
    program_object(name, &[[0xb7, 0, 0, 0, verdict, 0, 0, 0], EXIT].concat())
}

const XDP_PASS: u8 = 2;
const XDP_TX: u8 = 3;
const EXIT: [u8; 8] = [0x95, 0, 0, 0, 0, 0, 0, 0];

/// An ELF object with one XDP program.
fn program_object(name: &str, code: &[u8]) -> Vec<u8> {
    let mut object = Object::new(BinaryFormat::Elf, Architecture::Bpf, Endianness::Little);
    let license = object.add_section(Vec::new(), b"license".to_vec(), SectionKind::Data);
    object.append_section_data(license, b"Dual MIT/GPL\0", 1);
    let section = object.add_section(Vec::new(), b"xdp".to_vec(), SectionKind::Text);
    object.append_section_data(section, code, 8);
    object.add_symbol(Symbol {
        name: name.as_bytes().to_vec(),
        value: 0,
        size: code.len() as u64,
        kind: SymbolKind::Text,
        scope: SymbolScope::Linkage,
        weak: false,
        section: SymbolSection::Section(section),
        flags: SymbolFlags::None,
    });
    object.write().unwrap()
}
