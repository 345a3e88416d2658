//! Whatever one or two things a card refuses, the daemon puts the stage at the best place that is left, says what was
//! refused with the kernel's words, and reaches the plan when the obstacles are gone.

use serde_json::{Value, json};
use sluice_netdevsim::{DeviceKnob, PortKnob};
use sluice_vm_tests::{Nic, command};

use crate::daemon::Daemon;
use crate::scene::{DENY, Scene, configuration, gateway};

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

/// A refusal as the status tells it: the sentence, and words of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Refusal {
    /// The point of a program's way, counted from its begin.
    point: u8,
    reason: &'static str,
    words: &'static str,
}

const fn refusal(point: u8, reason: &'static str, words: &'static str) -> Option<Refusal> {
    Some(Refusal { point, reason, words })
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
        let run = "the card refused to run the program";
        match (self, place) {
            (Knob::Map, _) => refusal(0, "the card refused a table", "EOPNOTSUPP"),
            (Knob::Bind, _) => {
                refusal(1, "the card refused to be bound to the program", "EOPNOTSUPP")
            }
            (Knob::Verify, _) => {
                refusal(2, "the card refused the program's instructions", "netdevsim")
            }
            (Knob::XdpOffload, "nic-xdp") => refusal(4, run, "XDP offload disabled in DebugFS"),
            (Knob::Tc, "nic-tc") => {
                refusal(4, run, "netdevsim configured to reject BPF TC offload")
            }
            // The core looks at the feature before it asks the driver.
            (Knob::Feature, "nic-tc") => refusal(3, run, "TC offload is disabled on net device"),
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

/// Each knob alone and each pair.
fn combinations() -> Vec<Vec<Knob>> {
    let mut combinations: Vec<Vec<Knob>> = KNOBS.iter().map(|knob| vec![*knob]).collect();
    for (index, first) in KNOBS.into_iter().enumerate() {
        combinations.extend(KNOBS[index + 1..].iter().map(|second| vec![first, *second]));
    }
    combinations
}

fn says(status: &Value, place: &str, refusal: Refusal) -> bool {
    let others = status["notChosen"].as_array().cloned().unwrap_or_default();
    others.iter().any(|other| {
        other["placement"] == place
            && other["reason"] == refusal.reason
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
    let condition = daemon.offloaded();
    let word = if place == "nic-xdp" { "AsPlanned" } else { "CardRefused" };
    assert_eq!(condition["reason"], word, "{refused:?}: {condition}");
    for (_, refusal) in refusals {
        let message = condition["message"].as_str().unwrap_or_default();
        assert!(message.contains(refusal.words), "{refused:?}: {condition}");
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
    for refused in combinations() {
        let before = daemon.events("card-refused").len();
        daemon.apply(&gateway(", offload: off"));
        assert_eq!(nic.offloaded(), 0, "{refused:?}");
        for knob in &refused {
            knob.turn(nic, false);
        }
        daemon.apply(&gateway(""));
        assert_falls_back(&daemon, nic, &refused);
        let told = daemon.events("card-refused").len() - before;
        assert!(told >= expected(&refused).1.len(), "{refused:?}: {told} events");
        for knob in &refused {
            knob.turn(nic, true);
        }
        assert_reached(&daemon, nic, &refused);
    }
}
