//! `hwprobe` on a simulated NIC: what it finds is the shipped profile of this kernel, it says what a refusing card says, and it
//! leaves nothing behind.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it fails")]

use std::time::Duration;

use sluice_hwprobe::{Extent, Options, probe};
use sluice_kernel::linux::object_ids;
use sluice_netdevsim::{DeviceKnob, PortKnob};
use sluice_profile::{
    Capability, Finding, Hook, MapKind, Occupant, Profile, ProgramFeature, TcFeature, Verdict,
    XdpFeature, shipped,
};
use sluice_vm_tests::{Nic, Pins, Program, command, expectations, in_guest};

const LINK: &str = "probe0";

fn nic() -> Option<Nic> {
    if !in_guest() {
        return None;
    }
    let nic = Nic::create(LINK);
    let _ = command(&format!("ethtool -K {LINK} hw-tc-offload on")).ok();
    Some(nic)
}

fn probed() -> Profile {
    let probed = probe(LINK, Options::default()).unwrap();
    assert_eq!(probed.leftovers, Vec::<String>::new());
    probed.profile
}

fn line(profile: &Profile, capability: Capability) -> Finding {
    profile.finding(capability)
}

const LOAD: Capability = Capability::Offload(Hook::Xdp, ProgramFeature::Load);
const ATTACH: Capability = Capability::Offload(Hook::Xdp, ProgramFeature::Attach);
const CLS_BPF: Capability = Capability::Tc(TcFeature::ClsBpfSkipSw);

#[test]
fn the_shipped_profile_is_what_a_probe_finds() {
    let Some(_nic) = nic() else { return };
    let found = probed();
    let name = format!("netdevsim-{}", expectations().series);
    let shipped = shipped::profile(&name).unwrap().unwrap();
    if !shipped.probed() {
        println!("skipped: {name} is not recorded yet; CONTRIBUTING.md says how");
        return;
    }
    let mut differ = Vec::new();
    for capability in Capability::all() {
        let (ours, theirs) = (found.lines.get(&capability), shipped.lines.get(&capability));
        let verdict = |line: Option<&Finding>| line.map(|line| line.verdict.to_string());
        if verdict(ours) != verdict(theirs) {
            differ.push(format!(
                "{capability}: {:?}, shipped {:?}",
                verdict(ours),
                verdict(theirs)
            ));
        }
    }
    assert!(differ.is_empty(), "record {name} anew: {differ:#?}");
    assert_eq!(found.identity.driver.value.as_deref(), Some("netdevsim"));
}

#[test]
fn a_simulated_card_takes_programs_with_two_entries() {
    let Some(nic) = nic() else { return };
    let profile = probed();
    let offload = profile.program_offload(Hook::Xdp);
    let limits = offload.limits().unwrap_or_else(|| panic!("{offload:?}"));
    for kind in [MapKind::Array, MapKind::Hash] {
        assert_eq!(limits.max_entries(kind, 4, 8), Some(2), "{kind:?}");
    }
    let full = line(&profile, Capability::Map(MapKind::Hash));
    let asked = full.evidence.iter().any(|evidence| {
        let text = evidence.to_string();
        text.contains("3 entries") && text.contains("ENOMEM")
    });
    assert!(asked, "{full:?}");
    assert!(!limits.maps.contains_key(&MapKind::LpmTrie) && !limits.global_data);
    let exclusion = profile.excludes(Occupant::XdpHardware, Occupant::TcClsBpf);
    assert_eq!(exclusion.verdict, Verdict::Yes, "{exclusion:?}");
    let both = profile.excludes(Occupant::XdpNative, Occupant::XdpHardware);
    assert_eq!(both.verdict, Verdict::No, "{both:?}");
    nic.assert_unbound();
}

#[test]
fn what_a_card_refuses_is_told_in_its_words() {
    let Some(nic) = nic() else { return };
    nic.set_device(DeviceKnob::Verify, false);
    let load = line(&probed(), LOAD);
    assert_eq!(load.verdict, Verdict::No, "{load:?}");
    nic.set_device(DeviceKnob::Verify, true);

    nic.set(PortKnob::XdpOffload, false);
    let profile = probed();
    assert!(line(&profile, LOAD).holds());
    let attach = line(&profile, ATTACH);
    assert_eq!(attach.verdict, Verdict::No);
    assert!(attach.because().contains("XDP offload disabled in DebugFS"), "{attach:?}");
    nic.set(PortKnob::XdpOffload, true);

    nic.set(PortKnob::Map, false);
    let profile = probed();
    assert_eq!(line(&profile, Capability::Map(MapKind::Hash)).verdict, Verdict::No);
    assert!(line(&profile, LOAD).holds());
    nic.set(PortKnob::Map, true);

    nic.set(PortKnob::Tc, false);
    let refused = line(&probed(), CLS_BPF);
    assert_eq!(refused.verdict, Verdict::No, "{refused:?}");
    nic.set(PortKnob::Tc, true);

    let _ = command(&format!("ethtool -K {LINK} hw-tc-offload off")).ok();
    let off = line(&probed(), CLS_BPF);
    assert!(matches!(&off.verdict, Verdict::Unknown(why) if why == "tc offload is off"), "{off:?}");
    assert!(off.because().contains("TC offload is disabled on net device"), "{off:?}");
    assert_eq!(off.remedy.as_deref(), Some("ethtool -K LINK hw-tc-offload on"));
    let _ = command(&format!("ethtool -K {LINK} hw-tc-offload on")).ok();
    assert!(line(&probed(), CLS_BPF).holds() && line(&probed(), ATTACH).holds());
    nic.assert_unbound();
}

#[test]
fn a_card_in_use_is_left_alone() {
    let Some(nic) = nic() else { return };
    let pins = Pins::create();
    let program = Program::xdp(&pins, "somebody", nic.ifindex);
    let _ = nic.attach_xdp("xdpoffload", &program).ok();
    let before = nic.offloaded();
    let profile = probed();
    let attach = line(&profile, ATTACH);
    assert!(
        matches!(&attach.verdict, Verdict::Unknown(why) if why.contains("in use")),
        "{attach:?}"
    );
    assert_eq!(nic.offloaded(), before);
}

#[test]
fn a_program_of_the_host_is_not_in_the_way_of_the_card() {
    let Some(nic) = nic() else { return };
    let pins = Pins::create();
    let program = Program::xdp(&pins, "on_host", 0);
    let _ = nic.attach_xdp("xdpdrv", &program).ok();
    let options = Options { extent: Extent::Programs, ..Options::default() };
    let profile = probe(LINK, options).unwrap().profile;
    let attach = line(&profile, ATTACH);
    assert!(attach.holds() && line(&profile, CLS_BPF).holds(), "{attach:?}");
    let both = profile.excludes(Occupant::XdpNative, Occupant::XdpHardware);
    assert_eq!(both.verdict, Verdict::No, "{both:?}");
    let native = line(&profile, Capability::Xdp(XdpFeature::Native));
    assert!(
        matches!(&native.verdict, Verdict::Unknown(why) if why.contains("on_host")),
        "{native:?}"
    );
    assert!(profile.promises_programs());
    nic.assert_unbound();
    assert_eq!(nic.offloaded(), 0);
}

#[test]
fn a_probe_of_a_card_leaves_no_object() {
    let Some(nic) = nic() else { return };
    let before = object_ids().unwrap();
    probed();
    nic.assert_unbound();
    let mut after = object_ids().unwrap();
    for _ in 0..100 {
        if after == before {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
        after = object_ids().unwrap();
    }
    panic!("before {before:?}, after {after:?}");
}
