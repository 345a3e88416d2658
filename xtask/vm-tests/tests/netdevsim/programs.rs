//! Programs for the device.

use libbpf_rs::{ErrorKind, ProgramInput};
use nix::errno::Errno;
use sluice_vm_tests::{
    ENOTSUPP, Kind, Nic, Pins, Program, Verdict, command, errno, expectations, in_guest,
};

#[test]
fn a_program_is_verified_attached_and_listed() {
    if !in_guest() {
        return;
    }
    let nic = Nic::create("card0");
    let pins = Pins::create();
    let program = Program::xdp(&pins, "offloaded", nic.ifindex);
    let bound = nic.bound(program.id).expect("the device knows the program");
    assert_eq!((bound.state.as_str(), bound.is_loaded), ("xlated", false));
    assert_eq!(nic.offloaded(), 0, "not attached yet");
    let shown = command(&format!("bpftool prog show pinned {}", program.pin())).ok();
    assert!(shown.contains("offloaded_to card0"), "{shown}");

    let _ = nic.attach_xdp("xdpoffload", &program).ok();
    assert_eq!(nic.offloaded(), program.id);
    assert!(nic.bound(program.id).expect("still there").is_loaded);
    let shown = nic.shown();
    assert!(shown.contains(&format!("prog/xdp id {}", program.id)), "{shown}");
    let shown = command("bpftool net show").ok();
    assert!(shown.contains("card0") && shown.contains("offload"), "{shown}");

    let _ = nic.detach_xdp("xdpoffload").ok();
    assert_eq!(nic.offloaded(), 0);
}

#[test]
fn only_xdp_and_tc_programs_are_taken() {
    if !in_guest() {
        return;
    }
    let nic = Nic::create("card0");
    let pins = Pins::create();
    for (name, kind) in [("xdp", Kind::Xdp), ("tc", Kind::Tc)] {
        Program::load(&pins, name, kind, Verdict::Pass, nic.ifindex).expect(name);
    }
    let refused = Program::load(&pins, "socket", Kind::Socket, Verdict::Pass, nic.ifindex);
    let error = refused.expect_err("no device filters sockets");
    assert_eq!(errno(&error), Errno::EINVAL as i32, "{error:?}");
    Program::load(&pins, "socket", Kind::Socket, Verdict::Pass, 0).expect("the host does");
}

#[test]
fn an_offloaded_program_cannot_be_tried_with_a_packet() {
    if !in_guest() {
        return;
    }
    let nic = Nic::create("card0");
    let pins = Pins::create();
    let packet = [0; 64];
    let run = |mut program: Program| {
        let input = ProgramInput { data_in: Some(&packet), ..ProgramInput::default() };
        program.program().test_run(input).map(|output| output.return_value)
    };
    let error = run(Program::xdp(&pins, "offloaded", nic.ifindex)).expect_err("it is not here");
    assert_eq!(errno(&error), ENOTSUPP, "{error:?}");
    assert_eq!(run(Program::xdp(&pins, "host", 0)).ok(), Some(Verdict::Pass as u32));
}

#[test]
fn a_program_belongs_to_one_device() {
    if !in_guest() {
        return;
    }
    let (nic, other) = (Nic::create("card0"), Nic::create("card1"));
    let pins = Pins::create();
    let program = Program::xdp(&pins, "offloaded", nic.ifindex);
    other.attach_xdp("xdpoffload", &program).refused("bound to different device");
    let _ = nic.attach_xdp("xdpoffload", &program).ok();
}

#[test]
fn a_program_for_a_link_that_is_not_there_is_refused() {
    if !in_guest() {
        return;
    }
    let pins = Pins::create();
    let gone = Nic::create("card0").ifindex;
    let refused = Program::load(&pins, "offloaded", Kind::Xdp, Verdict::Pass, gone);
    let error = refused.expect_err("the link is gone");
    assert_ne!(error.kind(), ErrorKind::PermissionDenied, "{error:?}");
    assert_eq!(errno(&error), Errno::EINVAL as i32, "{error:?}");
}

/// Where tcx takes it, it must never run: who attaches has to look at what the program is bound to.
#[test]
fn tcx_treats_a_program_of_the_device_as_this_kernel_does() {
    if !in_guest() {
        return;
    }
    let nic = Nic::create("card0");
    // Nothing may pass while it is attached.
    let _ = command("ip link set dev card0 down").ok();
    let pins = Pins::create();
    let attach = |program: &Program| {
        command(&format!("bpftool net attach tcx_ingress pinned {} dev card0", program.pin()))
    };
    let detach = || command("bpftool net detach tcx_ingress dev card0").ok();
    let _ = attach(&Program::tc(&pins, "on_host", 0)).ok();
    let _ = detach();
    let said = attach(&Program::tc(&pins, "on_device", nic.ifindex));
    if expectations().tcx_takes_device_programs {
        let _ = said.ok();
        let _ = detach();
    } else {
        said.refused("Invalid argument");
    }
}
