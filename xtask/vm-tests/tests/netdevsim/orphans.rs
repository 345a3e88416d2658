//! What is left of a device's objects when the device goes.

use std::os::fd::AsFd as _;

use libbpf_rs::{MapCore as _, MapFlags, MapType};
use nix::errno::Errno;
use sluice_vm_tests::{Nic, Pins, Program, command, errno, in_guest, table};

#[test]
fn a_pinned_program_outlives_its_device_and_its_tables_do_not() {
    if !in_guest() {
        return;
    }
    let nic = Nic::create("card0");
    let pins = Pins::create();
    let mut hash = table(MapType::Hash, 2, 0, nic.ifindex).unwrap();
    hash.pin(pins.path("hash")).unwrap();
    let key = 1_u32.to_le_bytes();
    hash.update(&key, &key, MapFlags::ANY).unwrap();
    let program = Program::load_with_table(&pins, "orphan", hash.as_fd(), nic.ifindex).unwrap();
    let _ = nic.attach_xdp("xdpoffload", &program).ok();
    nic.device.remove().unwrap();

    let error = hash.lookup(&key, MapFlags::ANY).expect_err("the device is gone");
    assert_eq!(errno(&error), Errno::ENODEV as i32, "{error:?}");
    let error = hash.update(&key, &key, MapFlags::ANY).expect_err("the device is gone");
    assert_eq!(errno(&error), Errno::ENODEV as i32, "{error:?}");
    // Its id is given back at once, so that listings skip it: only who holds it can see it.
    let shown = command(&format!("bpftool prog show pinned {}", program.pin()));
    assert!(!shown.is_ok || !shown.text.contains("offloaded_to"), "{shown:?}");
    let again = Nic::create("card0");
    assert!(!again.attach_xdp("xdpoffload", &program).is_ok, "it belonged to the device that went");
    assert_eq!(again.offloaded(), 0);
}

#[test]
fn what_is_attached_by_tc_goes_with_the_device() {
    if !in_guest() {
        return;
    }
    let nic = Nic::create_for_tc("card0");
    let pins = Pins::create();
    let program = Program::tc(&pins, "on_device", nic.ifindex);
    let _ = nic.add_filter("skip_sw", &program).ok();
    nic.device.remove().unwrap();
    let again = Nic::create_for_tc("card0");
    assert_eq!(again.filters().trim(), "");
    again.assert_unbound();
}
