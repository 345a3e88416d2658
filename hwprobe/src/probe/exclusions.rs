//! What excludes what: where each of two can be had alone, one is held while the other is tried.

use sluice_kernel::XdpMode;
use sluice_kernel::linux::trial::{
    Code, FlowerTrial, HeldAssociation, HeldFilter, HeldXdp, Ingress, SecurityTrial, TrialAction,
    TrialHook, TrialMatch, Tried,
};
use sluice_profile::{
    Answer, Capability, FlowerMatch, Hook, LinkFeature, Occupant, ProgramFeature, TcFeature,
    Verdict, XdpFeature,
};

use super::{Link, programs, xdp};
use crate::record::{Record, answer, answered};

/// What is held while another is tried.
#[allow(dead_code, reason = "held for what dropping it does")]
enum Held<'i> {
    Xdp(HeldXdp),
    Filter(HeldFilter<'i>),
    Association(HeldAssociation),
}

pub(super) fn probe(link: &Link, hook: &xdp::Hook<'_>, record: &mut Record) {
    let ingress = link.trials.ingress().ok();
    for (one, other) in Occupant::pairs() {
        if !alone(record, hook, one) || !alone(record, hook, other) || both_ipsec(one, other) {
            continue;
        }
        let Ok(_held) = occupy(link, ingress.as_ref(), one) else { continue };
        let asked = format!("{} while there is {}", other.name(), one.name());
        let (verdict, answer) = match occupy(link, ingress.as_ref(), other) {
            Ok(_) => (Verdict::No, Answer::result("accepted")),
            Err(refused) => (Verdict::Yes, answer(&refused)),
        };
        record.line(Capability::exclusion(one, other), verdict, answered(&asked, answer));
    }
}

/// Two trials of IPsec would be the same association.
fn both_ipsec(one: Occupant, other: Occupant) -> bool {
    one == Occupant::IpsecCrypto && other == Occupant::IpsecPacket
}

/// Whether it was tried alone, with success.
fn alone(record: &Record, hook: &xdp::Hook<'_>, occupant: Occupant) -> bool {
    let free = hook.on_host.is_none();
    match occupant {
        Occupant::XdpGeneric => free && record.holds(Capability::Xdp(XdpFeature::Generic)),
        Occupant::XdpNative => free && record.holds(Capability::Xdp(XdpFeature::Native)),
        Occupant::XdpHardware => {
            let attach = Capability::Offload(Hook::Xdp, ProgramFeature::Attach);
            hook.on_card.is_none() && record.holds(attach)
        }
        Occupant::TcClsBpf => record.holds(Capability::Tc(TcFeature::ClsBpfSkipSw)),
        // The rule that is held.
        Occupant::TcFlower => record.holds(Capability::FlowerMatch(FlowerMatch::EtherType)),
        Occupant::IpsecCrypto => record.holds(Capability::Link(LinkFeature::IpsecCrypto)),
        Occupant::IpsecPacket => record.holds(Capability::Link(LinkFeature::IpsecPacket)),
        // Switching a feature of the link would be a change that a killed probe leaves behind.
        Occupant::ReceiveJoin => false,
    }
}

fn occupy<'i>(
    link: &Link,
    ingress: Option<&'i Ingress<'_>>,
    occupant: Occupant,
) -> Tried<Held<'i>> {
    let trials = &link.trials;
    let ingress = ingress.ok_or(sluice_kernel::Errno::EOPNOTSUPP);
    let association = |packet| trials.association(SecurityTrial { packet, key_bits: 128 });
    match occupant {
        Occupant::XdpGeneric => trials.attach_xdp(XdpMode::Generic, false).map(Held::Xdp),
        Occupant::XdpNative => trials.attach_xdp(XdpMode::Native, false).map(Held::Xdp),
        Occupant::XdpHardware => {
            let program = trials.load(TrialHook::Xdp, &Code::verdict(programs::pass(Hook::Xdp)))?;
            trials.attach_hardware(&program).map(Held::Xdp)
        }
        Occupant::TcClsBpf => {
            let code = Code::verdict(programs::pass(Hook::ClsBpf));
            let program = trials.load(TrialHook::ClsBpf, &code)?;
            ingress?.cls_bpf(&program).map(Held::Filter)
        }
        Occupant::TcFlower => {
            let trial = FlowerTrial { field: TrialMatch::EtherType, action: TrialAction::Drop };
            ingress?.flower(trial).map(Held::Filter)
        }
        Occupant::IpsecCrypto => association(false).map(Held::Association),
        Occupant::IpsecPacket => association(true).map(Held::Association),
        Occupant::ReceiveJoin => Err(sluice_kernel::Errno::EOPNOTSUPP.into()),
    }
}
