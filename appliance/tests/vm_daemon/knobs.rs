//! Whatever one or two things a card refuses, the daemon puts the stage at the best place that is left, says what was
//! refused with the kernel's words, and reaches the plan when the obstacles are gone.

use serde_json::{Value, json};
use sluice_netdevsim::{DeviceKnob, PortKnob};
use sluice_vm_tests::{Nic, command};

use crate::daemon::Daemon;
use crate::scene::{DENY, Scene, configuration, gateway, is_long};

/// Everything that bears on a program of the daemon's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Knob {
    Map,
    Bind,
    Verify,
    XdpOffload,
    XdpDriver,
    Tc,
    /// The feature `hw-tc-offload`.
    Feature,
}

const KNOBS: [Knob; 7] = [
    Knob::Map,
    Knob::Bind,
    Knob::Verify,
    Knob::XdpOffload,
    Knob::XdpDriver,
    Knob::Tc,
    Knob::Feature,
];

/// A refusal: how far a program comes, and the kernel's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Refusal {
    /// The point of a program's way, counted from its begin.
    point: u8,
    words: &'static str,
}

const fn refusal(point: u8, words: &'static str) -> Option<Refusal> {
    Some(Refusal { point, words })
}

impl Knob {
    fn turn(self, nic: &Nic, accept: bool) {
        match self {
            Knob::Map => nic.set(PortKnob::Map, accept),
            Knob::Bind => nic.set_device(DeviceKnob::Bind, accept),
            Knob::Verify => nic.set_device(DeviceKnob::Verify, accept),
            Knob::XdpOffload => nic.set(PortKnob::XdpOffload, accept),
            Knob::XdpDriver => nic.set(PortKnob::XdpDriver, accept),
            Knob::Tc => nic.set(PortKnob::Tc, accept),
            Knob::Feature => {
                let word = if accept { "on" } else { "off" };
                let _ = command(&format!("ethtool -K card0 hw-tc-offload {word}")).ok();
            }
        }
    }

    /// What it stops on the way to a place.
    fn refuses(self, place: &str) -> Option<Refusal> {
        match (self, place) {
            (Knob::Map, _) => refusal(0, "EOPNOTSUPP"),
            (Knob::Bind, _) => refusal(1, "EOPNOTSUPP"),
            (Knob::Verify, _) => refusal(2, "netdevsim"),
            (Knob::XdpOffload, "nic-xdp") => refusal(4, "XDP offload disabled in DebugFS"),
            (Knob::Tc, "nic-tc") => refusal(4, "netdevsim configured to reject BPF TC offload"),
            // The core looks at the feature before it asks the driver.
            (Knob::Feature, "nic-tc") => refusal(3, "TC offload is disabled on net device"),
            _ => None,
        }
    }
}

const PLACES: [&str; 2] = ["nic-xdp", "nic-tc"];

/// Where the stage is under these knobs, and for each place before that the refusal.
fn expected(refused: &[Knob]) -> (&'static str, Vec<(&'static str, Refusal)>) {
    let mut refusals = Vec::new();
    for place in PLACES {
        let first = refused.iter().filter_map(|knob| knob.refuses(place));
        match first.min_by_key(|refusal| refusal.point) {
            None => return (place, refusals),
            Some(refusal) => refusals.push((place, refusal)),
        }
    }
    ("host-xdp", refusals)
}

/// Each knob alone and each pair; or one for each place that is left.
fn combinations(all: bool) -> Vec<Vec<Knob>> {
    if !all {
        return vec![vec![Knob::XdpOffload], vec![Knob::Map], vec![Knob::XdpOffload, Knob::Tc]];
    }
    let mut combinations: Vec<Vec<Knob>> = KNOBS.iter().map(|knob| vec![*knob]).collect();
    for (index, first) in KNOBS.into_iter().enumerate() {
        combinations.extend(KNOBS[index + 1..].iter().map(|second| vec![first, *second]));
    }
    combinations
}

/// Whether the card is said to have refused with these words, by itself or when it was probed.
fn says(status: &Value, place: &str, refusal: Refusal) -> bool {
    let others = status["notChosen"].as_array().cloned().unwrap_or_default();
    others.iter().any(|other| {
        other["placement"] == place
            && other["evidence"].as_str().is_some_and(|words| words.contains(refusal.words))
    })
}

fn assert_falls_back(daemon: &Daemon, nic: &Nic, refused: &[Knob]) {
    let (place, refusals) = expected(refused);
    let status = daemon.until(&format!("{place} and {refusals:?} with {refused:?}"), |daemon| {
        let status = daemon.stage("prefilter");
        let is_told = refusals.iter().all(|(place, refusal)| says(&status, place, *refusal));
        (status["placement"] == place && is_told).then_some(status)
    });
    assert_eq!(status["requested"], "nic-xdp", "{refused:?}: {status}");
    assert_eq!(nic.offloaded() != 0, place != "host-xdp", "{refused:?}");
    let word = if place == "nic-xdp" { "AsPlanned" } else { "CardRefused" };
    let condition = daemon.until(&format!("{word} with {refused:?}"), |daemon| {
        let condition = daemon.offloaded();
        (condition["reason"] == word).then_some(condition)
    });
    if let Some((_, first)) = refusals.first() {
        let message = condition["message"].as_str().unwrap_or_default();
        assert!(message.contains(first.words), "{refused:?}: {condition}");
    }
}

fn assert_reached(daemon: &Daemon, nic: &Nic, after: &[Knob]) {
    let status = daemon.until(&format!("nic-xdp after {after:?}"), |daemon| {
        let status = daemon.stage("prefilter");
        let is_over = daemon.offloaded()["reason"] == "AsPlanned";
        (status["placement"] == "nic-xdp" && is_over).then_some(status)
    });
    assert_eq!(status["behind"], json!("host-xdp"), "{after:?}: {status}");
    nic.assert_bound(&[nic.offloaded()]);
}

#[test]
fn the_daemon_lives_with_each_pair_of_refusals_and_reaches_its_plan_when_they_are_over() {
    let Some(scene) = Scene::new() else { return };
    let nic = &scene.nic;
    let daemon = scene.home.start();
    daemon.apply(&configuration(&[DENY]));
    assert_reached(&daemon, nic, &[]);
    for refused in combinations(is_long()) {
        let before = daemon.events("card-refused").len();
        daemon.apply(&gateway(", offload: off"));
        assert_eq!(nic.offloaded(), 0, "{refused:?}");
        for knob in &refused {
            knob.turn(nic, false);
        }
        daemon.apply(&gateway(""));
        assert_falls_back(&daemon, nic, &refused);
        let told = daemon.events("card-refused").len() - before;
        let is_refused = !expected(&refused).1.is_empty();
        assert!(told > 0 || !is_refused, "{refused:?}: no event");
        for knob in &refused {
            knob.turn(nic, true);
        }
        assert_reached(&daemon, nic, &refused);
    }
}
