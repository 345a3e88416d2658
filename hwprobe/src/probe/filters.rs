//! Traffic control on the card: programs and rules with skip_sw, read back as `in_hw`.

use sluice_kernel::linux::trial::{Code, FlowerTrial, Ingress, TrialAction, TrialHook, TrialMatch};
use sluice_profile::{
    Capability, FlowerAction, FlowerMatch, Hook, ProgramFeature, TcFeature, Verdict,
};

use super::{Extent, Link, programs, xdp};
use crate::record::{Record, answer, finding};

const CLS_BPF: Capability = Capability::Tc(TcFeature::ClsBpfSkipSw);
const FLOWER: Capability = Capability::Tc(TcFeature::FlowerSkipSw);
/// The smallest rule that means something: it matches an EtherType for experiments.
const PLAIN: FlowerTrial = FlowerTrial { field: TrialMatch::EtherType, action: TrialAction::Drop };

pub(super) fn probe(link: &Link, hook: &xdp::Hook<'_>, record: &mut Record) {
    let asked = "add a filter at ingress";
    let ingress = match link.trials.ingress() {
        Ok(ingress) => ingress,
        Err(refused) => {
            let why = format!("no ingress hook: {}", answer(&refused));
            for capability in [CLS_BPF, FLOWER] {
                record.skipped(capability, asked, &why);
            }
            return;
        }
    };
    cls_bpf(link, hook, &ingress, record);
    match link.options.extent {
        Extent::Everything => flower(&ingress, record),
        Extent::Programs => record.skipped(FLOWER, asked, "only programs were asked for"),
    }
    let switch = Capability::Tc(TcFeature::HwTcOffload);
    if (record.holds(CLS_BPF) || record.holds(FLOWER))
        && let Some(line) = record.lines.get_mut(&switch)
    {
        line.verdict = Verdict::Yes;
    }
}

/// Why no program may be put on the card by tc.
fn obstacle(link: &Link, hook: &xdp::Hook<'_>, ingress: &Ingress<'_>) -> Option<String> {
    if hook.on_card.is_some() {
        return hook.on_card.clone();
    }
    let offloaded = ingress.offloaded().ok()?;
    let program = offloaded.iter().find(|filter| filter.kind == "bpf")?;
    let why = format!(
        "a filter of somebody is on the card: {} pref {}",
        program.kind, program.preference
    );
    (!link.options.disruptive).then_some(why)
}

fn cls_bpf(link: &Link, hook: &xdp::Hook<'_>, ingress: &Ingress<'_>, record: &mut Record) {
    let asked = "add a cls_bpf filter with skip_sw at ingress, protocol all, and read it back";
    let attach = Capability::Offload(Hook::ClsBpf, ProgramFeature::Attach);
    if let Some(why) = obstacle(link, hook, ingress) {
        record.skipped(CLS_BPF, asked, &why);
        record.skipped(attach, asked, &why);
        return;
    }
    let load = Capability::Offload(Hook::ClsBpf, ProgramFeature::Load);
    if let Some(line) = record.lines.get(&load).filter(|line| !line.holds()).cloned() {
        // Without a program there is no filter, and for the same reason.
        record.put(CLS_BPF, line.clone());
        record.put(attach, line);
        return;
    }
    let pass = Code::verdict(programs::pass(Hook::ClsBpf));
    let tried = link
        .trials
        .load(TrialHook::ClsBpf, &pass)
        .and_then(|program| ingress.cls_bpf(&program).map(drop));
    record.tried(CLS_BPF, asked, &tried);
    record.tried(attach, asked, &tried);
}

fn flower(ingress: &Ingress<'_>, record: &mut Record) {
    let asked =
        "add a flower filter with skip_sw at ingress, EtherType 0x88b5, drop, and read it back";
    let plain = finding(asked, &ingress.flower(PLAIN));
    // A refusal that says nothing of the card is the same for every other rule.
    let hopeless = matches!(plain.verdict, Verdict::Unknown(_));
    record.put(FLOWER, plain.clone());
    let attempt = |asked: String, trial: FlowerTrial| match hopeless {
        true => plain.clone(),
        false => finding(&asked, &ingress.flower(trial)),
    };
    for field in FlowerMatch::ALL.iter().copied() {
        let asked =
            format!("add a flower filter with skip_sw that matches {} and drops", field.name());
        let line = attempt(asked, FlowerTrial { field: field_of(field), ..PLAIN });
        if line.holds() && !record.holds(FLOWER) {
            // The EtherType of the plain rule alone was refused.
            record.put(FLOWER, line.clone());
        }
        record.put(Capability::FlowerMatch(field), line);
    }
    for action in FlowerAction::ALL.iter().copied() {
        let capability = Capability::FlowerAction(action);
        let asked = format!("add a flower filter with skip_sw and the action {}", action.name());
        match action_of(action) {
            // Some actions change the IPv4 header.
            Some(action) => {
                let trial = FlowerTrial { field: TrialMatch::DestinationIpv4, action };
                record.put(capability, attempt(asked, trial));
            }
            None => record.skipped(capability, &asked, "there is no trial of it yet"),
        }
    }
}

fn field_of(field: FlowerMatch) -> TrialMatch {
    match field {
        FlowerMatch::EtherType => TrialMatch::EtherType,
        FlowerMatch::DestinationMac => TrialMatch::DestinationMac,
        FlowerMatch::SourceMac => TrialMatch::SourceMac,
        FlowerMatch::VlanId => TrialMatch::VlanId,
        FlowerMatch::IpProtocol => TrialMatch::IpProtocol,
        FlowerMatch::SourceIpv4 => TrialMatch::SourceIpv4,
        FlowerMatch::DestinationIpv4 => TrialMatch::DestinationIpv4,
        FlowerMatch::SourceIpv6 => TrialMatch::SourceIpv6,
        FlowerMatch::DestinationIpv6 => TrialMatch::DestinationIpv6,
        FlowerMatch::SourcePort => TrialMatch::SourcePort,
        FlowerMatch::DestinationPort => TrialMatch::DestinationPort,
        FlowerMatch::DestinationPortRange => TrialMatch::DestinationPortRange,
        FlowerMatch::TcpFlags => TrialMatch::TcpFlags,
        FlowerMatch::IpTosTtl => TrialMatch::IpTosTtl,
        FlowerMatch::Fragment => TrialMatch::Fragment,
        FlowerMatch::TunnelKey => TrialMatch::TunnelKey,
        FlowerMatch::ConntrackState => TrialMatch::ConntrackState,
    }
}

fn action_of(action: FlowerAction) -> Option<TrialAction> {
    Some(match action {
        FlowerAction::Drop => TrialAction::Drop,
        FlowerAction::Pass => TrialAction::Pass,
        FlowerAction::Trap => TrialAction::Trap,
        FlowerAction::Redirect => TrialAction::Redirect,
        FlowerAction::Mirror => TrialAction::Mirror,
        FlowerAction::Pedit => TrialAction::Pedit,
        FlowerAction::Checksum => TrialAction::Checksum,
        FlowerAction::Vlan => TrialAction::Vlan,
        FlowerAction::Conntrack => TrialAction::Conntrack,
        FlowerAction::ConntrackNat => TrialAction::ConntrackNat,
        FlowerAction::Tunnel => TrialAction::Tunnel,
        FlowerAction::Goto => TrialAction::Goto,
        FlowerAction::Police | FlowerAction::Sample => return None,
    })
}
