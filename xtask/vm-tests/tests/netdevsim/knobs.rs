//! What the device can be made to refuse: each knob refuses what it is for, with its words, and no more; turned back, it is
//! as if nothing had been.

use std::time::{Duration, Instant};

use libbpf_rs::MapType;
use nix::errno::Errno;
use sluice_netdevsim::{DeviceKnob, PortKnob};
use sluice_vm_tests::{Kind, Nic, Pins, Program, Verdict, errno, in_guest, table};

fn load(nic: &Nic, pins: &Pins, name: &str) -> libbpf_rs::Result<Program> {
    Program::load(pins, name, Kind::Xdp, Verdict::Pass, nic.ifindex)
}

#[test]
fn loading_is_refused() {
    if !in_guest() {
        return;
    }
    let nic = Nic::create("card0");
    for knob in DeviceKnob::ALL {
        let pins = Pins::create();
        nic.set_device(knob, false);
        let error = load(&nic, &pins, "refused").map(drop).expect_err(knob.file());
        assert_eq!(errno(&error), Errno::EOPNOTSUPP as i32, "{}: {error:?}", knob.file());
        table(MapType::Hash, 2, 0, nic.ifindex).expect("tables are another matter");
        let _host = Program::xdp(&pins, "host", 0);
        nic.set_device(knob, true);
        load(&nic, &pins, "accepted").unwrap();
    }
    nic.assert_unbound();
}

#[test]
fn tables_are_refused() {
    if !in_guest() {
        return;
    }
    let nic = Nic::create("card0");
    nic.set(PortKnob::Map, false);
    let error = table(MapType::Hash, 2, 0, nic.ifindex).map(drop).expect_err("tables");
    assert_eq!(errno(&error), Errno::EOPNOTSUPP as i32, "{error:?}");
    let pins = Pins::create();
    load(&nic, &pins, "accepted").expect("programs are another matter");
    nic.set(PortKnob::Map, true);
    table(MapType::Hash, 2, 0, nic.ifindex).expect("as before");
}

#[test]
fn attaching_xdp_is_refused() {
    if !in_guest() {
        return;
    }
    let nic = Nic::create("card0");
    let pins = Pins::create();
    let device = Program::xdp(&pins, "on_device", nic.ifindex);
    let host = Program::xdp(&pins, "on_host", 0);
    for (knob, mode, program, words) in [
        (PortKnob::XdpOffload, "xdpoffload", &device, "XDP offload disabled in DebugFS"),
        (PortKnob::XdpDriver, "xdpdrv", &host, "driver XDP disabled in DebugFS"),
    ] {
        nic.set(knob, false);
        nic.attach_xdp(mode, program).refused(words);
        nic.set(knob, true);
        let _ = nic.attach_xdp(mode, program).ok();
        let _ = nic.detach_xdp(mode).ok();
    }
}

/// `xdp` without a mode falls back to generic nowhere by itself: the caller has to.
#[test]
fn a_driver_that_refuses_leaves_generic() {
    if !in_guest() {
        return;
    }
    let nic = Nic::create("card0");
    let pins = Pins::create();
    let host = Program::xdp(&pins, "on_host", 0);
    nic.set(PortKnob::XdpDriver, false);
    nic.attach_xdp("xdpdrv", &host).refused("driver XDP disabled in DebugFS");
    let _ = nic.attach_xdp("xdpgeneric", &host).ok();
    assert!(nic.shown().contains("xdpgeneric"), "{}", nic.shown());
    let _ = nic.detach_xdp("xdpgeneric").ok();
}

#[test]
fn attaching_tc_is_refused() {
    if !in_guest() {
        return;
    }
    let nic = Nic::create_for_tc("card0");
    let pins = Pins::create();
    let program = Program::tc(&pins, "on_device", nic.ifindex);
    nic.set(PortKnob::Tc, false);
    nic.add_filter("skip_sw", &program).refused("netdevsim configured to reject BPF TC offload");
    nic.set(PortKnob::Tc, true);
    let _ = nic.add_filter("skip_sw", &program).ok();
    nic.remove_filters();
}

#[test]
fn verification_takes_as_long_as_said() {
    if !in_guest() {
        return;
    }
    let nic = Nic::create("card0");
    let pins = Pins::create();
    let delay = Duration::from_millis(1500);
    nic.device.delay_verification(1500).unwrap();
    let started = Instant::now();
    load(&nic, &pins, "slow").unwrap();
    assert!(started.elapsed() >= delay, "{:?}", started.elapsed());
    nic.device.delay_verification(0).unwrap();
    let started = Instant::now();
    load(&nic, &pins, "quick").unwrap();
    assert!(started.elapsed() < delay, "{:?}", started.elapsed());
}
