//! The shipped profiles say what they say, and on what it rests.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use sluice_profile::{
    Capability, Evidence, FlowerAction, FlowerMatch, Helper, Hook, MapKind, Occupant, Origin,
    Profile, ProgramVerdict, Verdict, shipped,
};

fn profile(name: &str) -> Profile {
    shipped::profile(name).unwrap().unwrap()
}

#[test]
fn every_line_of_a_shipped_profile_carries_evidence() {
    assert!(shipped::names().count() >= 7);
    for name in shipped::names() {
        let profile = profile(name);
        assert_eq!(profile.name, name);
        assert!(profile.lines.len() > 20, "{name} has {} lines", profile.lines.len());
        for line in profile.lines() {
            assert!(!line.evidence.is_empty(), "{name}: {} rests on nothing", line.name);
        }
    }
}

#[test]
fn a_derived_profile_names_file_and_function_of_each_fact() {
    for name in ["nfp", "mlx5", "ice"] {
        let profile = profile(name);
        let Origin::Derived { kernel, .. } = &profile.origin else {
            panic!("{name} is not derived")
        };
        for (capability, finding) in &profile.lines {
            assert!(
                finding.evidence.iter().any(|evidence| matches!(evidence,
                    Evidence::Source { kernel: of, file, function, fact }
                        if of == kernel && file.contains('/') && !function.is_empty() && !fact.is_empty())),
                "{name}: {capability} names no fact of the sources"
            );
        }
    }
}

#[test]
fn nothing_that_was_not_recorded_says_so_in_silence() {
    for name in shipped::names() {
        let profile = profile(name);
        let asked = profile.lines.values().flat_map(|finding| &finding.evidence);
        let recorded = asked.filter(|evidence| matches!(evidence, Evidence::Kernel { .. })).count();
        assert_eq!(recorded > 0, profile.probed(), "{name}");
    }
}

#[test]
fn netdevsim_takes_programs_with_two_entries() {
    for name in ["netdevsim-6.12", "netdevsim-7.2"] {
        let profile = profile(name);
        let limits = profile.program_offload(Hook::Xdp);
        let limits = limits.limits().unwrap();
        assert_eq!(limits.max_entries(MapKind::Hash, 8, 16), Some(2), "{name}");
        assert_eq!(limits.max_entries(MapKind::LpmTrie, 8, 16), None, "{name}");
        assert!(!limits.global_data);
        assert_eq!(
            profile.excludes(Occupant::TcClsBpf, Occupant::XdpHardware).verdict,
            Verdict::Yes
        );
        assert_eq!(
            profile.excludes(Occupant::XdpHardware, Occupant::XdpNative).verdict,
            Verdict::No
        );
    }
}

#[test]
fn agilio_answers_with_tx_in_xdp_only_and_takes_small_entries() {
    let profile = profile("nfp");
    let xdp = profile.program_offload(Hook::Xdp);
    let xdp = xdp.limits().unwrap();
    assert!(xdp.verdicts.contains(&ProgramVerdict::Transmit));
    assert!(xdp.helpers.contains(&Helper::AdjustHead) && !xdp.helpers.contains(&Helper::Time));
    assert_eq!(xdp.max_entries(MapKind::Hash, 40, 24), Some(u32::MAX));
    assert_eq!(xdp.max_entries(MapKind::Hash, 41, 24), None);
    let tc = profile.program_offload(Hook::ClsBpf);
    let tc = tc.limits().unwrap();
    assert!(!tc.verdicts.contains(&ProgramVerdict::Transmit));
    assert!(tc.verdicts.contains(&ProgramVerdict::Drop));
    let flower = profile.flower(&[FlowerMatch::SourceIpv4], &[FlowerAction::Drop]);
    assert_eq!(flower.verdict, Verdict::No);
    assert!(flower.because().contains("only offload of BPF classifiers supported"));
}

#[test]
fn cards_without_programs_say_why_and_take_flower_rules() {
    for name in ["mlx5", "ice"] {
        let profile = profile(name);
        for hook in [Hook::Xdp, Hook::ClsBpf] {
            let finding = profile.program_offload(hook);
            assert_eq!(finding.verdict, Verdict::No, "{name}");
            assert!(finding.because().contains("EINVAL"), "{}", finding.because());
        }
        let drop = profile.flower(&[FlowerMatch::SourceIpv6], &[FlowerAction::Drop]);
        assert!(drop.holds(), "{name}: {drop:?}");
        let range = profile.flower(&[FlowerMatch::DestinationPortRange], &[FlowerAction::Drop]);
        assert_eq!(range.verdict, Verdict::No, "{name}");
    }
    let exclusion = profile("mlx5").excludes(Occupant::IpsecPacket, Occupant::TcFlower);
    assert_eq!(exclusion.verdict, Verdict::Yes);
}

#[test]
fn what_nobody_asked_for_is_unknown() {
    let profile = profile("veth");
    let finding = profile.finding(Capability::exclusion(Occupant::TcFlower, Occupant::TcClsBpf));
    assert!(matches!(finding.verdict, Verdict::Unknown(why) if why.contains("veth")));
}
