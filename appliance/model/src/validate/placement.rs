//! What is wanted of the placements of a link's stages: nothing that contradicts itself, or the rest of the link.

use std::collections::HashMap;

use super::report::About;
use crate::gateway::{AttachMode, Link};
use crate::placement::{Offload, Pin, Placement, Policy};
use crate::position::FieldPath;
use crate::problem::Problem;

/// Checks the pins of a link; `path` leads to the link.
pub(super) fn check(link: &Link, path: &FieldPath, about: &mut About<'_>) {
    let mut seen = HashMap::new();
    let mut required = HashMap::new();
    for (index, pin) in link.placements.iter().enumerate() {
        let path = || path.clone().field("placements").index(index);
        if !pin.stage.placements().contains(&pin.placement) {
            let words: Vec<_> = pin.stage.placements().iter().map(|place| place.as_str()).collect();
            let problem =
                Problem::new(format!("the stage {} never runs in {}", pin.stage, pin.placement));
            let hint = format!("expected {}", words.join(", "));
            about.value(path().field("placement"), problem.with_hint(hint));
            continue;
        }
        if let Some(first) = seen.insert((pin.stage, pin.placement), index) {
            let problem = Problem::new(format!(
                "{} of the stage {} is listed twice, first as placements[{first}]",
                pin.placement, pin.stage
            ));
            about.value(path(), problem.with_hint("remove one of the two"));
            continue;
        }
        if pin.policy == Policy::Require
            && let Some((first, other)) = required.insert(pin.stage, (index, pin.placement))
        {
            let problem = Problem::new(format!(
                "the stage {} cannot be required in two places: placements[{first}] requires {other}",
                pin.stage
            ));
            about.value(path().field("policy"), problem.with_hint("say prefer for one of the two"));
        }
        if let Some(problem) = contradiction(link, pin) {
            about.value(path().field("policy"), problem);
        }
    }
}

/// What the rest of the link says against a pin.
fn contradiction(link: &Link, pin: &Pin) -> Option<Problem> {
    if pin.placement.is_on_card() {
        return (pin.policy == Policy::Require && link.offload == Offload::Off).then(|| {
            let problem = Problem::new(format!(
                "{} is required, but offload of {} is off",
                pin.placement, link.name
            ));
            problem.with_hint("say offload: auto, or remove the requirement")
        });
    }
    // The host's program runs all stages in one place, which `attach` chooses.
    let (own, other) = match pin.placement {
        Placement::HostXdp => (AttachMode::Native, AttachMode::Generic),
        _ => (AttachMode::Generic, AttachMode::Native),
    };
    let wanted = match pin.policy {
        Policy::Prefer => return None,
        Policy::Require => own,
        Policy::Forbid => other,
    };
    (link.attach != wanted).then(|| {
        let word = if wanted == AttachMode::Native { "native" } else { "generic" };
        let verb = if pin.policy == Policy::Require { "required" } else { "forbidden" };
        let problem = Problem::new(format!(
            "{} is {verb}, but attach of {} decides in which of the host's places its program runs",
            pin.placement, link.name
        ));
        problem.with_hint(format!("say attach: {word} as well"))
    })
}
