//! A probe of a veth link on the kernel of this machine.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sluice_hwprobe::{Options, Probed, probe};
use sluice_kernel::XdpMode;
use sluice_kernel::linux::trial::Trials;
use sluice_profile::{
    Answer, Capability, Evidence, Finding, Hook, MapKind, Occupant, Origin, Profile,
    ProgramFeature, Verdict, XdpFeature, difference,
};

const LINK: &str = "probe0";
/// The tests look for objects by their name: one at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// A network namespace for the thread of the test, with a pair of links.
struct Place {
    _alone: MutexGuard<'static, ()>,
}

fn place() -> Option<Place> {
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: needs root");
        return None;
    }
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    // The test's thread ends with the test, and the namespace with the thread.
    if let Err(errno) = nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET) {
        println!("skipped: cannot make a network namespace: {errno}");
        return None;
    }
    ip(&format!("link add {LINK} type veth peer name probe1"));
    ip(&format!("link set {LINK} up"));
    ip("link set probe1 up");
    Some(Place { _alone: alone })
}

fn run(program: &str, arguments: &str) -> String {
    let output = Command::new(program).args(arguments.split_whitespace()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn ip(arguments: &str) -> String {
    run("ip", arguments)
}

fn probed() -> Profile {
    let Probed { profile, leftovers } = probe(LINK, Options::default()).unwrap();
    assert_eq!(leftovers, Vec::<String>::new());
    profile
}

/// What the kernel answered first.
fn answer(finding: &Finding) -> &Answer {
    match finding.evidence.first() {
        Some(Evidence::Kernel { answer, .. }) => answer,
        other => panic!("{other:?}"),
    }
}

/// Everything that carries the name of a probe.
fn left() -> Vec<String> {
    let mut found = Vec::new();
    for kind in ["prog", "map"] {
        let shown = run("bpftool", &format!("{kind} show"));
        let named = shown.lines().filter(|line| line.contains("sluice_probe"));
        found.extend(named.map(|line| format!("{kind} {line}")));
    }
    let qdiscs = run("tc", &format!("qdisc show dev {LINK}"));
    found.extend(qdiscs.lines().filter(|line| line.contains("clsact")).map(str::to_owned));
    if ip(&format!("link show dev {LINK}")).contains("prog/xdp") {
        found.push("an XDP program".to_owned());
    }
    if std::path::Path::new("/sys/fs/bpf/sluice-probe").exists() {
        found.push("/sys/fs/bpf/sluice-probe".to_owned());
    }
    found
}

/// The kernel frees programs and maps a little later than their last user goes.
fn assert_nothing_left() {
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        let left = left();
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < until, "left behind: {left:#?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_veth_link_runs_xdp_and_takes_nothing_onto_a_card() {
    let Some(_place) = place() else { return };
    let profile = probed();
    assert!(matches!(profile.origin, Origin::Probed { disruptive: false, .. }));
    assert_eq!(profile.identity.driver.value.as_deref(), Some("veth"));
    assert_eq!(profile.identity.mtu.value, Some(1500));
    for line in profile.lines() {
        assert!(!line.evidence.is_empty(), "{} rests on nothing", line.name);
    }
    let finding = |capability| profile.finding(capability);
    for feature in [XdpFeature::Native, XdpFeature::Generic] {
        let line = finding(Capability::Xdp(feature));
        assert_eq!(line.verdict, Verdict::Yes, "{line:?}");
    }
    let redirect = finding(Capability::Xdp(XdpFeature::Redirect));
    assert_eq!(redirect.verdict, Verdict::Claimed, "nobody tried it: {redirect:?}");
    for hook in [Hook::Xdp, Hook::ClsBpf] {
        let offload = profile.program_offload(hook);
        assert_eq!(offload.verdict, Verdict::No, "{offload:?}");
        let load = finding(Capability::Offload(hook, ProgramFeature::Load));
        assert_eq!(answer(&load).errno.as_deref(), Some("EINVAL"));
    }
    for kind in MapKind::ALL {
        assert_eq!(finding(Capability::Map(*kind)).verdict, Verdict::No, "{kind:?}");
    }
    let exclusion = profile.excludes(Occupant::XdpNative, Occupant::XdpGeneric);
    assert_eq!(exclusion.verdict, Verdict::Yes);
    let words = "Native and generic XDP can't be active at the same time";
    assert_eq!(answer(&exclusion).extack.as_deref(), Some(words));
    assert_nothing_left();
}

#[test]
fn a_second_probe_answers_the_same() {
    let Some(_place) = place() else { return };
    assert_eq!(difference(&probed(), &probed()), []);
}

#[test]
fn a_hook_in_use_is_left_alone_and_the_reason_is_told() {
    let Some(_place) = place() else { return };
    // A program of somebody who lives: a bpf_link holds it.
    let trials = Trials::open(LINK).unwrap();
    let held = trials.attach_xdp(XdpMode::Native, false).unwrap();
    let before = trials.xdp_programs().unwrap();
    let profile = probed();
    assert_eq!(trials.xdp_programs().unwrap(), before, "the program is still there");
    for feature in [XdpFeature::Native, XdpFeature::Generic] {
        let line = profile.finding(Capability::Xdp(feature));
        let why = format!("the hook is in use by program sluice_probe (id {}", before[0].id);
        match &line.verdict {
            Verdict::Unknown(told) => assert!(told.starts_with(&why), "{told}"),
            other => panic!("{other:?}"),
        }
    }
    // Not even with the permission to disturb: its owner would never get it back.
    let disruptive =
        probe(LINK, Options { disruptive: true, ..Options::default() }).unwrap().profile;
    let line = disruptive.finding(Capability::Xdp(XdpFeature::Native));
    assert!(line.because().contains("cannot be put back"), "{line:?}");
    assert_eq!(trials.xdp_programs().unwrap(), before);
    drop(held);
    assert_nothing_left();
}

#[test]
fn a_probe_that_is_killed_at_any_moment_leaves_nothing_after_the_next() {
    let Some(_place) = place() else { return };
    let mut killed = 0;
    for round in 0..40u64 {
        let mut child = Command::new(env!("CARGO_BIN_EXE_hwprobe"))
            .arg(LINK)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Spread over the run of a probe, and no multiple of anything in it.
        std::thread::sleep(Duration::from_micros(1_000 + round * 2_711));
        child.kill().unwrap();
        killed += u32::from(!child.wait().unwrap().success());
    }
    assert!(killed > 10, "only {killed} of 40 were killed before their end");
    let Probed { profile, .. } = probe(LINK, Options::default()).unwrap();
    assert_eq!(profile.finding(Capability::Xdp(XdpFeature::Native)).verdict, Verdict::Yes);
    assert_nothing_left();
}

#[test]
fn a_qdisc_of_somebody_else_stays() {
    let Some(_place) = place() else { return };
    run("tc", &format!("qdisc add dev {LINK} clsact"));
    let before = run("tc", &format!("qdisc show dev {LINK}"));
    probed();
    assert_eq!(run("tc", &format!("qdisc show dev {LINK}")), before);
}
