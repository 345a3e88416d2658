//! Attaching programs to links of the real kernel.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it fails")]

mod support;

use sluice_datapath::abi::Settings;
use sluice_kernel::{
    AttachMode, AttachRequest, Datapath, Errno, Error, XdpMode, chaos::Faults, linux::detach_all,
};
use support::{index, ip, objects::Objects, open_descriptors, place, request, seen, send, veth};

#[test]
fn packets_reach_an_attached_program() {
    let Some(place) = place() else { return };
    let link = veth("a0");
    let mut datapath = place.open();
    let attached = datapath.attach(&request(link)).unwrap();
    assert_eq!((attached.mode, &attached.why), (XdpMode::Native, &None));
    assert_eq!(attached.link.name, "a0");
    assert!(attached.stats.verified_instructions > 0 && attached.stats.translated_bytes > 0);
    send(10);
    assert_eq!(seen(&datapath), 10);

    let shown = &datapath.attached().unwrap()[0];
    assert_eq!((shown.program, shown.bpf_link), (attached.program, attached.bpf_link));
    assert_eq!(shown.settings, Some(request(link).settings));
    assert_eq!(shown.stats, attached.stats);
    assert!(shown.current);

    assert!(datapath.detach(link).unwrap());
    assert!(!datapath.detach(link).unwrap());
    assert!(datapath.attached().unwrap().is_empty());
    send(10);
    assert_eq!(seen(&datapath), 10);
}

#[test]
fn a_program_is_replaced_without_a_gap() {
    let Some(place) = place() else { return };
    let link = veth("a0");
    let mut datapath = place.open();
    let first = datapath.attach(&request(link)).unwrap();
    let settings = Settings { tick_shift: 9, ..request(link).settings };
    let second = datapath.attach(&AttachRequest { settings, ..request(link) }).unwrap();
    assert!(second.updated && !first.updated);
    assert_eq!(second.bpf_link, first.bpf_link, "the attachment is the same");
    assert_ne!(second.program, first.program);
    assert_eq!(datapath.attached().unwrap()[0].settings, Some(settings));
    send(5);
    assert_eq!(seen(&datapath), 5);
}

#[test]
fn a_refusing_driver_leads_to_generic_with_the_kernels_words() {
    let Some(place) = place() else { return };
    // A TUN device without Ethernet takes native programs only with these; loopback never does.
    let link = index("lo");
    let mut datapath = place.open();
    let native = AttachRequest { mode: AttachMode::Native, ..request(link) };
    let error = datapath.attach(&native).unwrap_err().to_string();
    for part in ["link lo", "native", "EOPNOTSUPP", "Underlying driver does not support XDP"] {
        assert!(error.contains(part), "{error}");
    }
    let attached = datapath.attach(&request(link)).unwrap();
    assert_eq!(attached.mode, XdpMode::Generic);
    let why = attached.why.unwrap();
    assert!(why.contains("Underlying driver does not support XDP"), "{why}");

    // A later process knows the reason too.
    drop(datapath);
    let datapath = place.open();
    assert_eq!(datapath.attached().unwrap()[0].why.as_ref(), Some(&why));
}

#[test]
fn the_mode_changes_on_demand() {
    let Some(place) = place() else { return };
    let link = veth("a0");
    let mut datapath = place.open();
    for (mode, is) in [
        (AttachMode::Auto, XdpMode::Native),
        (AttachMode::Generic, XdpMode::Generic),
        (AttachMode::Auto, XdpMode::Generic),
        (AttachMode::Native, XdpMode::Native),
    ] {
        let attached = datapath.attach(&AttachRequest { mode, ..request(link) }).unwrap();
        assert_eq!(attached.mode, is, "{mode:?}");
        let before = seen(&datapath);
        send(3);
        assert_eq!(seen(&datapath) - before, 3, "{mode:?}");
    }
}

#[test]
fn a_mode_that_cannot_be_had_leaves_the_old_one() {
    let Some(place) = place() else { return };
    let link = index("lo");
    let mut datapath = place.open();
    let before = datapath.attach(&request(link)).unwrap();
    let native = AttachRequest { mode: AttachMode::Native, ..request(link) };
    datapath.attach(&native).unwrap_err();
    let after = &datapath.attached().unwrap()[0];
    assert_eq!((after.mode, after.program), (XdpMode::Generic, before.program));
    assert_eq!(after.why, before.why);
}

#[test]
fn a_foreign_program_is_named_and_kept_or_replaced_on_request() {
    let Some(place) = place() else { return };
    let link = veth("a0");
    let other = support::foreign::Foreign::load("somebody");
    let mut datapath = place.open();
    for (held_by_link, mode) in
        [(true, XdpMode::Native), (false, XdpMode::Native), (false, XdpMode::Generic)]
    {
        let held = other.attach(link, held_by_link, mode);
        let error = datapath.attach(&request(link)).unwrap_err();
        let Error::Foreign { program, .. } = &error else { panic!("{error}") };
        assert_eq!((program.id, program.mode), (other.id, mode));
        assert_eq!(program.bpf_link.is_some(), held_by_link);
        let text = error.to_string();
        let removal = program.removal("a0");
        for part in ["link a0", "somebody", &format!("id {}", other.id), "type xdp", &removal] {
            assert!(text.contains(part), "{text}");
        }
        assert_eq!(support::foreign::on(link), [(mode, other.id)], "it is still there");

        let attached =
            datapath.attach(&AttachRequest { replace_foreign: true, ..request(link) }).unwrap();
        assert_eq!(attached.replaced.as_ref(), Some(&**program));
        assert_eq!(support::foreign::on(link), [(attached.mode, attached.program)]);
        assert!(datapath.detach(link).unwrap());
        drop(held);
    }
}

#[test]
fn a_foreign_program_is_put_back_if_ours_cannot_be_attached() {
    let Some(place) = place() else { return };
    let link = veth("a0");
    let other = support::foreign::Foreign::load("somebody");
    let _held = other.attach(link, false, XdpMode::Native);
    let faults = Faults::none();
    let mut datapath = place.open_with(&faults);
    faults.fail_call("link_create", 1, Errno::EBUSY);
    let error =
        datapath.attach(&AttachRequest { replace_foreign: true, ..request(link) }).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::EBUSY), "{error}");
    assert_eq!(support::foreign::on(link), [(XdpMode::Native, other.id)]);
}

#[test]
fn a_link_that_is_gone_is_named() {
    let Some(place) = place() else { return };
    let mut datapath = place.open();
    let error = datapath.attach(&request(4711)).unwrap_err().to_string();
    assert!(error.contains("#4711") && error.contains("no such link"), "{error}");
    assert!(!datapath.detach(4711).unwrap());
}

#[test]
fn a_link_that_was_deleted_and_made_again_is_attached_anew() {
    let Some(place) = place() else { return };
    let link = veth("a0");
    let mut datapath = place.open();
    datapath.attach(&request(link)).unwrap();
    ip("link delete a0");
    assert!(datapath.attached().unwrap().is_empty());
    let again = veth("a0");
    let attached = datapath.attach(&request(again)).unwrap();
    assert!(!attached.updated);
    send(4);
    assert_eq!(seen(&datapath), 4);
    drop(datapath);

    // The dead attachment of the first is forgotten with it.
    assert_eq!(
        place.pinned().iter().any(|name| name.starts_with(&format!("links/{link}"))),
        again == link
    );
    let (_, opened) = sluice_kernel::linux::Datapath::open(&place.options()).unwrap();
    assert_eq!(opened.attached.len(), 1);

    // A link that goes while nobody looks leaves a dead attachment for the next process.
    ip("link delete a0");
    let (_, opened) = sluice_kernel::linux::Datapath::open(&place.options()).unwrap();
    assert!(opened.notes[0].contains(&format!("index {again}")), "{:?}", opened.notes);
    assert!(!place.pinned().iter().any(|name| name.starts_with("links/")));

    // The same index, but another link.
    let link = veth("a0");
    let mut datapath = place.open();
    datapath.attach(&request(link)).unwrap();
    ip("link delete a0");
    ip(&format!("link add a0 index {link} type veth peer name a0-peer"));
    assert!(datapath.attached().unwrap().is_empty());
    assert!(!datapath.attach(&request(link)).unwrap().updated);
}

#[test]
fn a_torn_off_program_is_seen_and_attached_again() {
    let Some(place) = place() else { return };
    let link = veth("a0");
    let mut datapath = place.open();
    let attached = datapath.attach(&request(link)).unwrap();
    support::foreign::tear_off(attached.bpf_link);
    assert!(datapath.attached().unwrap().is_empty());
    assert!(!datapath.attach(&request(link)).unwrap().updated);
}

#[test]
fn detach_all_leaves_nothing_and_touches_nothing_else() {
    let Some(place) = place() else { return };
    let (link, kept) = (veth("a0"), index("lo"));
    let mut objects = Objects::default();
    let mut datapath = place.open();
    let attached = datapath.attach(&request(link)).unwrap();
    objects.note();
    let other = support::foreign::Foreign::load("somebody");
    let _held = other.attach(kept, true, XdpMode::Generic);
    objects.add("program", attached.program);
    objects.add("link", attached.bpf_link);
    assert!(objects.count() > 30);
    let busy = detach_all(&place.pins).unwrap_err().to_string();
    assert!(busy.contains("in use by another process"), "{busy}");
    drop(datapath);

    let detached = detach_all(&place.pins).unwrap();
    assert_eq!(detached.links, 1);
    assert!(!place.pins.exists());
    objects.assert_gone();
    assert_eq!(support::foreign::on(kept), [(XdpMode::Generic, other.id)]);
    assert_eq!(detach_all(&place.pins).unwrap().pins, 0, "a second time there is nothing to do");
}

#[test]
fn every_failure_while_attaching_leaves_the_link_as_it_was() {
    let Some(place) = place() else { return };
    let link = veth("a0");
    let faults = Faults::none();
    let mut datapath = place.open_with(&faults);
    faults.clear();
    datapath.attach(&request(link)).unwrap();
    let calls = faults.calls().len();
    datapath.detach(link).unwrap();
    let (descriptors, pins) = (open_descriptors(), place.pinned());
    for nth in 1..=calls {
        faults.clear();
        faults.fail_nth(nth, Errno::ENOSPC);
        // Some calls may fail: a note that cannot be written, or a native mode that leads to generic.
        if datapath.attach(&request(link)).is_ok() {
            datapath.detach(link).unwrap();
        }
        faults.clear();
        assert!(datapath.attached().unwrap().is_empty());
        assert_eq!(place.pinned(), pins, "after the failure of call {nth}");
        assert_eq!(open_descriptors(), descriptors, "after the failure of call {nth}");
        assert_eq!(support::foreign::on(link), [], "after the failure of call {nth}");
    }
    assert!(calls > 10);
}

#[test]
fn two_hundred_cycles_leave_no_descriptor_and_no_object() {
    let Some(place) = place() else { return };
    let link = veth("a0");
    // What is made once per process.
    drop(place.open());
    detach_all(&place.pins).unwrap();
    let (mut objects, descriptors) = (Objects::default(), open_descriptors());
    for _ in 0..200 {
        let mut datapath = place.open();
        let attached = datapath.attach(&request(link)).unwrap();
        objects.note();
        objects.add("program", attached.program);
        objects.add("link", attached.bpf_link);
        datapath.detach(link).unwrap();
        drop(datapath);
        detach_all(&place.pins).unwrap();
    }
    assert!(objects.count() > 200 * 30);
    objects.assert_gone();
    assert_eq!(open_descriptors(), descriptors);
}
