//! Whatever one or two things a card refuses, its program ends up at the best place that is left, the reason names what was
//! refused, and with the obstacles gone the best place is reached.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it fails")]

use sluice_kernel::linux::{CardOptions, Cards};
use sluice_kernel::{
    CardActual, CardHook, CardProgram, CardRequest, CardSizes, CardStep, Cards as _,
};
use sluice_netdevsim::{DeviceKnob, PortKnob};
use sluice_vm_tests::{Nic, Pins, command, in_guest};

/// Everything that bears on a program of ours.
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
                let _ = command(&format!("ethtool -K {} hw-tc-offload {word}", nic.name)).ok();
            }
        }
    }

    /// The point at which this knob stops a program on its way to a hook, if it does.
    fn stops(self, hook: CardHook) -> Option<Point> {
        match (self, hook) {
            (Knob::Map, _) => Some(Point::Table),
            (Knob::Bind, _) => Some(Point::Bind),
            (Knob::Verify, _) => Some(Point::Verify),
            (Knob::XdpOffload, CardHook::Xdp) | (Knob::Tc | Knob::Feature, CardHook::Tc) => {
                Some(Point::Hook)
            }
            _ => None,
        }
    }
}

/// The points of a program's way, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Point {
    Table,
    Bind,
    Verify,
    Hook,
}

fn point(step: &CardStep) -> Point {
    match step {
        CardStep::Table { .. } => Point::Table,
        CardStep::Bind => Point::Bind,
        CardStep::Verify => Point::Verify,
        CardStep::Hook(_) => Point::Hook,
        other => panic!("nothing here is refused {other}"),
    }
}

/// No knob, each alone, each pair.
fn combinations() -> Vec<Vec<Knob>> {
    let mut combinations = vec![Vec::new()];
    for (index, first) in KNOBS.into_iter().enumerate() {
        combinations.push(vec![first]);
        combinations.extend(KNOBS[index + 1..].iter().map(|second| vec![first, *second]));
    }
    combinations
}

/// Where the program may be under these knobs, the best first, and where else it is refused and at which point.
fn expected(refused: &[Knob]) -> (Option<CardHook>, Vec<(CardHook, Point)>) {
    let mut refusals = Vec::new();
    for hook in CardHook::ALL {
        match refused.iter().filter_map(|knob| knob.stops(hook)).min() {
            None => return (Some(hook), refusals),
            Some(point) => refusals.push((hook, point)),
        }
    }
    (None, refusals)
}

#[test]
fn every_pair_of_refusals_leaves_the_best_place_that_neither_forbids() {
    if !in_guest() {
        return;
    }
    let nic = Nic::create_for_tc("card0");
    let pins = Pins::create();
    let options = CardOptions::default().pinned_in(pins.folder());
    let (mut cards, _) = Cards::open(&options).unwrap();
    let request =
        |hook| CardRequest::new(nic.ifindex, hook, CardProgram::Prefilter, CardSizes::smallest());
    for refused in combinations() {
        for knob in &refused {
            knob.turn(&nic, false);
        }
        let mut placed = None;
        let mut refusals = Vec::new();
        for hook in CardHook::ALL {
            match cards.place(&request(hook)) {
                Ok(done) => {
                    assert_eq!(done.state.actual, CardActual::OnCard, "{refused:?}");
                    placed = Some(hook);
                    break;
                }
                Err(error) => {
                    let refusal = error.refusal().unwrap_or_else(|| panic!("{error}"));
                    refusals.push((hook, point(&refusal.step)));
                }
            }
        }
        assert_eq!((placed, refusals), expected(&refused), "with {refused:?} refused");
        assert_eq!(nic.offloaded() != 0, placed.is_some(), "{refused:?}");
        cards.remove(nic.ifindex).unwrap();
        for knob in &refused {
            knob.turn(&nic, true);
        }
        let best = cards.place(&request(CardHook::Xdp)).unwrap().state;
        assert_eq!(best.actual, CardActual::OnCard, "after {refused:?}");
        cards.remove(nic.ifindex).unwrap().unwrap();
    }
    nic.assert_unbound();
}

#[test]
fn the_expectations_tell_the_knobs_apart() {
    assert_eq!(expected(&[]), (Some(CardHook::Xdp), vec![]));
    let xdp = (CardHook::Xdp, Point::Hook);
    assert_eq!(expected(&[Knob::XdpOffload]), (Some(CardHook::Tc), vec![xdp]));
    let tc = (CardHook::Tc, Point::Hook);
    assert_eq!(expected(&[Knob::XdpOffload, Knob::Feature]), (None, vec![xdp, tc]));
    let verify = CardHook::ALL.map(|hook| (hook, Point::Verify)).to_vec();
    assert_eq!(expected(&[Knob::XdpOffload, Knob::Verify]), (None, verify));
    assert_eq!(combinations().len(), 1 + 7 + 21);
}
