//! Filters of tc on the device.

use sluice_netdevsim::PortKnob;
use sluice_vm_tests::{Kind, Nic, Pins, Program, Verdict, command, expectations, in_guest};

#[test]
fn a_filter_that_skips_software_is_in_hardware() {
    if !in_guest() {
        return;
    }
    let nic = Nic::create_for_tc("card0");
    let pins = Pins::create();
    let program = Program::tc(&pins, "on_device", nic.ifindex);
    let _ = nic.add_filter("skip_sw", &program).ok();
    let shown = nic.filters();
    assert!(shown.contains("skip_sw") && shown.contains(" in_hw"), "{shown}");
    assert_eq!(nic.offloaded(), program.id);
    nic.remove_filters();
    assert_eq!(nic.offloaded(), 0);
}

/// A refused switch is remembered as a wish: the same command once more changes nothing, not even when the obstacle has
/// gone, until the wish was taken back.
#[test]
fn offload_must_be_switched_on_and_stays_on_while_used() {
    if !in_guest() {
        return;
    }
    let nic = Nic::create_for_tc("card0");
    let pins = Pins::create();
    let program = Program::tc(&pins, "on_device", nic.ifindex);
    let _ = command("ethtool -K card0 hw-tc-offload off").ok();
    nic.add_filter("skip_sw", &program).refused("TC offload is disabled on net device.");
    let _ = command("ethtool -K card0 hw-tc-offload on").ok();
    let _ = nic.add_filter("skip_sw", &program).ok();
    let said = command("ethtool -K card0 hw-tc-offload off");
    let features = command("ethtool -k card0").ok();
    assert!(features.contains("hw-tc-offload: on"), "in use: {said:?}");
    nic.remove_filters();
    let again = command("ethtool -K card0 hw-tc-offload off");
    assert!(!again.is_ok, "the kernel has that wish already: {again:?}");
    let _ = command("ethtool -K card0 hw-tc-offload on").ok();
    let _ = command("ethtool -K card0 hw-tc-offload off").ok();
}

#[test]
fn only_the_ingress_of_all_protocols_in_the_first_chain_is_offloaded() {
    if !in_guest() {
        return;
    }
    let nic = Nic::create_for_tc("card0");
    let pins = Pins::create();
    let program = Program::tc(&pins, "on_device", nic.ifindex);
    for (place, words) in [
        ("ingress protocol ip prio 1", "only ETH_P_ALL supported as filter protocol"),
        ("ingress prio 1 chain 3", "Driver supports only offload of chain 0."),
    ] {
        nic.add_filter_at(place, "skip_sw", &program).refused(words);
    }
    let said = nic.add_filter_at("egress prio 1", "skip_sw", &program);
    assert!(!said.is_ok, "the egress is not the device's");
    assert_eq!(nic.offloaded(), 0);
}

#[test]
fn without_skip_sw_a_refusal_is_silent() {
    if !in_guest() {
        return;
    }
    let nic = Nic::create_for_tc("card0");
    let pins = Pins::create();
    let host = Program::tc(&pins, "on_host", 0);
    let _ = nic.add_filter("", &host).ok();
    let shown = nic.filters();
    assert!(shown.contains("not_in_hw"), "{shown}");
    assert_eq!(nic.offloaded(), 0);
    nic.remove_filters();

    nic.set(PortKnob::TcUnbound, true);
    let _ = nic.add_filter("", &host).ok();
    let shown = nic.filters();
    assert!(shown.contains(" in_hw"), "{shown}");
    assert_eq!(nic.offloaded(), host.id);
    nic.remove_filters();
}

#[test]
fn one_program_is_on_the_device_at_a_time() {
    if !in_guest() {
        return;
    }
    let nic = Nic::create_for_tc("card0");
    let pins = Pins::create();
    let first = Program::tc(&pins, "first", nic.ifindex);
    let second = Program::tc(&pins, "second", nic.ifindex);
    let _ = nic.add_filter("skip_sw", &first).ok();
    nic.add_filter_at("ingress prio 2", "skip_sw", &second)
        .refused("driver and netdev offload states mismatch.");
    // The same place can be given another program in one step.
    let replace = format!(
        "tc filter replace dev card0 ingress prio 1 handle 1 bpf skip_sw direct-action object-pinned {}",
        second.pin()
    );
    let _ = command(&replace).ok();
    assert_eq!(nic.offloaded(), second.id);
    nic.remove_filters();
}

#[test]
fn flower_is_taken_as_this_kernel_does() {
    if !in_guest() {
        return;
    }
    let nic = Nic::create_for_tc("card0");
    let add = "tc filter add dev card0 ingress protocol ip prio 3 flower";
    let rule = "ip_proto tcp dst_port 80 action drop";
    let said = command(&format!("{add} skip_sw {rule}"));
    if expectations().flower_in_hardware {
        let _ = said.ok();
        assert!(nic.filters().contains(" in_hw"), "{}", nic.filters());
    } else {
        said.refused("only offload of BPF classifiers supported");
        let _ = command(&format!("{add} {rule}")).ok();
        assert!(nic.filters().contains("not_in_hw"), "{}", nic.filters());
    }
    nic.remove_filters();
}

#[test]
fn a_program_of_the_wrong_kind_is_refused() {
    if !in_guest() {
        return;
    }
    let nic = Nic::create_for_tc("card0");
    let pins = Pins::create();
    let xdp = Program::load(&pins, "xdp", Kind::Xdp, Verdict::Pass, nic.ifindex).unwrap();
    assert!(!nic.add_filter("skip_sw", &xdp).is_ok);
    assert_eq!(nic.offloaded(), 0);
}
