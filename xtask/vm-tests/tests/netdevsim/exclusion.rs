//! What excludes what on one link.

use sluice_vm_tests::{Nic, Pins, Program, command, in_guest};

#[test]
fn with_xdp_on_the_device_tc_is_refused() {
    if !in_guest() {
        return;
    }
    let nic = Nic::create_for_tc("card0");
    let pins = Pins::create();
    let (xdp, tc) =
        (Program::xdp(&pins, "xdp", nic.ifindex), Program::tc(&pins, "tc", nic.ifindex));
    let _ = nic.attach_xdp("xdpoffload", &xdp).ok();
    nic.add_filter("skip_sw", &tc).refused("driver and netdev offload states mismatch.");
    assert_eq!(nic.offloaded(), xdp.id, "the first stays");
    let _ = nic.detach_xdp("xdpoffload").ok();
    let _ = nic.add_filter("skip_sw", &tc).ok();
    assert_eq!(nic.offloaded(), tc.id, "the obstacle is gone");
    nic.remove_filters();
}

#[test]
fn with_tc_on_the_device_xdp_is_refused() {
    if !in_guest() {
        return;
    }
    let nic = Nic::create_for_tc("card0");
    let pins = Pins::create();
    let (xdp, tc) =
        (Program::xdp(&pins, "xdp", nic.ifindex), Program::tc(&pins, "tc", nic.ifindex));
    let _ = nic.add_filter("skip_sw", &tc).ok();
    nic.attach_xdp("xdpoffload", &xdp).refused("TC program is already loaded.");
    assert_eq!(nic.offloaded(), tc.id, "the first stays");
    nic.remove_filters();
    let _ = nic.attach_xdp("xdpoffload", &xdp).ok();
    assert_eq!(nic.offloaded(), xdp.id, "the obstacle is gone");
    let _ = nic.detach_xdp("xdpoffload").ok();
}

#[test]
fn device_and_driver_run_xdp_side_by_side() {
    if !in_guest() {
        return;
    }
    let nic = Nic::create("card0");
    let pins = Pins::create();
    let device = Program::xdp(&pins, "on_device", nic.ifindex);
    let driver = Program::xdp(&pins, "in_driver", 0);
    let _ = nic.attach_xdp("xdpdrv", &driver).ok();
    let _ = nic.attach_xdp("xdpoffload", &device).ok();
    let shown = nic.shown();
    assert!(shown.contains("xdpmulti"), "{shown}");
    for program in [&device, &driver] {
        assert!(shown.contains(&format!("id {}", program.id)), "{shown}");
    }
    let _ = nic.detach_xdp("xdpoffload").ok();
    let _ = nic.detach_xdp("xdpdrv").ok();
}

#[test]
fn generic_and_driver_xdp_exclude_each_other() {
    if !in_guest() {
        return;
    }
    let nic = Nic::create("card0");
    let pins = Pins::create();
    let program = Program::xdp(&pins, "on_host", 0);
    let words = "Native and generic XDP can't be active at the same time";
    let _ = nic.attach_xdp("xdpdrv", &program).ok();
    nic.attach_xdp("xdpgeneric", &program).refused(words);
    let _ = nic.detach_xdp("xdpdrv").ok();
    let _ = nic.attach_xdp("xdpgeneric", &program).ok();
    nic.attach_xdp("xdpdrv", &program).refused(words);
    let _ = nic.detach_xdp("xdpgeneric").ok();
}

#[test]
fn programs_stay_where_they_were_loaded_for() {
    if !in_guest() {
        return;
    }
    let nic = Nic::create("card0");
    let pins = Pins::create();
    let host = Program::xdp(&pins, "on_host", 0);
    nic.attach_xdp("xdpoffload", &host).refused("xdpoffload of non-bound program");
    let device = Program::xdp(&pins, "on_device", nic.ifindex);
    nic.attach_xdp("xdpdrv", &device)
        .refused("Using offloaded program without HW_MODE flag is not supported");
}

#[test]
fn large_frames_and_driver_xdp_exclude_each_other() {
    if !in_guest() {
        return;
    }
    let nic = Nic::create("card0");
    let pins = Pins::create();
    let host = Program::xdp(&pins, "on_host", 0);
    let _ = command("ip link set dev card0 mtu 9000").ok();
    nic.attach_xdp("xdpdrv", &host).refused("MTU too large w/ XDP enabled");
    let _ = command("ip link set dev card0 mtu 1500").ok();
    let _ = nic.attach_xdp("xdpdrv", &host).ok();
    assert!(!command("ip link set dev card0 mtu 9000").is_ok);
    let _ = nic.detach_xdp("xdpdrv").ok();
}
