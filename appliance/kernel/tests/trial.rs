//! Trials leave a link as it was, also when the process that makes them is killed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it fails")]

mod support;

use sluice_kernel::{
    Errno, XdpMode,
    linux::trial::{Code, MapTrial, SecurityTrial, TrialHook, TrialMapKind, Trials},
};
use std::{path::Path, process::Command};
use support::{foreign, ip, place, veth};

fn qdiscs() -> String {
    let output = Command::new("tc").args(["qdisc", "show", "dev", "a0"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_trial_ends_with_its_value() {
    let Some(_place) = place() else { return };
    let link = veth("a0");
    let trials = Trials::open("a0").unwrap();
    for mode in [XdpMode::Native, XdpMode::Generic] {
        let held = trials.attach_xdp(mode, false).unwrap();
        assert_eq!(foreign::on(link).len(), 1, "{mode}");
        drop(held);
        assert_eq!(foreign::on(link), [], "{mode}");
    }
    let ingress = trials.ingress().unwrap();
    assert!(ingress.made() && qdiscs().contains("clsact"));
    assert_eq!(ingress.offloaded().unwrap(), []);
    drop(ingress);
    assert!(!qdiscs().contains("clsact"));
}

#[test]
fn refusals_carry_the_kernels_words() {
    let Some(_place) = place() else { return };
    veth("a0");
    let trials = Trials::open("a0").unwrap();
    let _native = trials.attach_xdp(XdpMode::Native, false).unwrap();
    let refused = trials.attach_xdp(XdpMode::Generic, false).unwrap_err();
    assert_eq!(refused.errno, Some(Errno::EEXIST));
    let words = "Native and generic XDP can't be active at the same time";
    assert_eq!(refused.extack.as_deref(), Some(words));

    let refused = trials.load(TrialHook::Xdp, &Code::verdict(2)).unwrap_err();
    assert_eq!(refused.errno, Some(Errno::EINVAL), "veth runs no programs on a card");
    let hash = MapTrial {
        kind: TrialMapKind::Hash,
        key_bytes: 8,
        value_bytes: 8,
        entries: 1,
        constant: false,
    };
    assert_eq!(trials.map(&hash).unwrap_err().errno, Some(Errno::EINVAL));
    assert!(trials.map_on_host(&hash).is_ok());
    // Whatever this kernel knows of IPsec: no veth link encrypts.
    for packet in [false, true] {
        trials.association(SecurityTrial { packet, key_bits: 128 }).unwrap_err();
    }
}

#[test]
fn a_program_that_was_set_aside_comes_back() {
    let Some(_place) = place() else { return };
    let link = veth("a0");
    let other = foreign::Foreign::load("somebody");
    for mode in [XdpMode::Native, XdpMode::Generic] {
        let _held = other.attach(link, false, mode);
        let trials = Trials::open("a0").unwrap();
        let aside = trials.set_aside().unwrap();
        assert_eq!(foreign::on(link), []);
        drop(trials.attach_xdp(XdpMode::Native, false).unwrap());
        drop(aside);
        assert_eq!(foreign::on(link), [(mode, other.id)]);

        // The process is killed: nothing is dropped.
        std::mem::forget(trials.set_aside().unwrap());
        assert_eq!(foreign::on(link), []);
        let later = Trials::open("a0").unwrap();
        assert_eq!(later.remove_leftovers().unwrap(), ["1 programs of others, put back"]);
        assert_eq!(foreign::on(link), [(mode, other.id)]);
        assert_eq!(later.remove_leftovers().unwrap(), Vec::<String>::new());
        assert!(!Path::new("/sys/fs/bpf/sluice-probe").exists());
        let off = if mode == XdpMode::Native { "xdpdrv" } else { "xdpgeneric" };
        ip(&format!("link set dev a0 {off} off"));
    }
    let _held = other.attach(link, true, XdpMode::Native);
    let refused = Trials::open("a0").unwrap().set_aside().err().unwrap();
    assert!(refused.read_back.unwrap().contains("cannot be put back"));
    assert_eq!(foreign::on(link), [(XdpMode::Native, other.id)]);
}

#[test]
fn leftovers_of_a_killed_trial_are_removed_and_nothing_else() {
    let Some(_place) = place() else { return };
    let link = veth("a0");
    let trials = Trials::open("a0").unwrap();
    assert_eq!(trials.remove_leftovers().unwrap(), Vec::<String>::new());

    let (ours, other) =
        (foreign::Foreign::load("sluice_probe"), foreign::Foreign::load("somebody"));
    let _held = ours.attach(link, false, XdpMode::Native);
    std::mem::forget(trials.ingress().unwrap());
    let removed = trials.remove_leftovers().unwrap();
    assert_eq!(removed.len(), 2, "{removed:?}");
    assert!(foreign::on(link).is_empty() && !qdiscs().contains("clsact"));

    let _held = other.attach(link, false, XdpMode::Native);
    support::run("tc", "qdisc add dev a0 clsact");
    assert_eq!(trials.remove_leftovers().unwrap(), Vec::<String>::new());
    assert_eq!(foreign::on(link), [(XdpMode::Native, other.id)]);
    assert!(qdiscs().contains("clsact"));
}
