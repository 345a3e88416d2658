//! Where each stage runs on each link, and why there.

use sluice_datapath::abi::Features;
use sluice_model::{
    AttachMode,
    status::{NotChosen, Placement, StageStatus},
};

use crate::{facts::LinkFacts, plan::LinkPlacement, settings::Configured};

/// The stages in the order of the packet's way, with the features any of which makes them run, and what is missing
/// where they don't.
const STAGES: [(&str, u32, &str); 4] = [
    ("parse", Features::ALL, "nothing is configured"),
    ("prefilter", Features::PREFILTER4 | Features::PREFILTER6, "no Prefilter has a prefix"),
    ("service", Features::SERVICE, "no Service is configured"),
    ("nat", Features::NAT, "no Service has mode nat"),
];

/// All stages of all links of the configuration.
pub(crate) fn placements(configured: &Configured) -> Vec<LinkPlacement> {
    let features = configured.features();
    let links = configured.gateway.links.iter();
    let of_link = |link: &sluice_model::Link| {
        let facts = configured.facts.links.get(link.name.as_str());
        let (placement, reason) = place(link.attach, facts);
        let stages = STAGES.map(|(stage, needs, missing)| {
            let is_used = features.has(needs);
            StageStatus {
                stage: stage.to_owned(),
                placement: placement.filter(|_| is_used),
                reason: if is_used { reason.clone() } else { missing.to_owned() },
                ..StageStatus::default()
            }
        });
        LinkPlacement { link: link.name.to_string(), stages: stages.to_vec() }
    };
    links.map(of_link).collect()
}

/// The program of a link holds all its stages, so they run in one place.
fn place(mode: AttachMode, link: Option<&LinkFacts>) -> (Option<Placement>, String) {
    let Some(link) = link else { return (None, "the link does not exist".to_owned()) };
    if let Some(program) = link.program
        && (mode == AttachMode::Auto || program.is_native == (mode == AttachMode::Native))
    {
        let placement =
            if program.is_native { Placement::HostXdp } else { Placement::HostXdpGeneric };
        return (Some(placement), reason(mode, program.is_native, link));
    }
    match (mode, &link.native_refused) {
        (AttachMode::Generic, _) => (Some(Placement::HostXdpGeneric), reason(mode, false, link)),
        (AttachMode::Native, Some(refusal)) => {
            (None, format!("attach is native, and the driver refused: {refusal}"))
        }
        (AttachMode::Auto, Some(_)) => (Some(Placement::HostXdpGeneric), reason(mode, false, link)),
        (_, None) => (Some(Placement::HostXdp), reason(mode, true, link)),
    }
}

/// Why the host's program does not run in the other of its two places.
pub(crate) fn other_place(
    mode: AttachMode,
    chosen: Placement,
    link: Option<&LinkFacts>,
) -> NotChosen {
    let refused = link.and_then(|link| link.native_refused.clone());
    let attach = |mode: &str| Some(format!("attach: {mode}"));
    let (placement, reason, evidence, change) = match (chosen, mode) {
        (Placement::HostXdp, AttachMode::Native) => {
            (Placement::HostXdpGeneric, "attach is native", None, attach("generic"))
        }
        (Placement::HostXdp, _) => {
            let reason =
                "the driver takes the program, which costs less than a packet in the stack";
            (Placement::HostXdpGeneric, reason, None, attach("generic"))
        }
        (_, AttachMode::Generic) => (Placement::HostXdp, "attach is generic", None, attach("auto")),
        _ => {
            let change = Some("a driver with native XDP".to_owned());
            (Placement::HostXdp, "the driver refused the program", refused, change)
        }
    };
    NotChosen { placement, reason: reason.to_owned(), evidence, change }
}

fn reason(mode: AttachMode, is_native: bool, link: &LinkFacts) -> String {
    match (mode, is_native, &link.native_refused) {
        (AttachMode::Native, ..) => "attach is native".to_owned(),
        (AttachMode::Generic, ..) => "attach is generic".to_owned(),
        (AttachMode::Auto, true, _) => {
            "attach is auto, and the driver takes the program".to_owned()
        }
        (AttachMode::Auto, false, Some(why)) => {
            format!("attach is auto, and the driver refused: {why}")
        }
        (AttachMode::Auto, false, None) => "attach is auto, and the program runs there".to_owned(),
    }
}
