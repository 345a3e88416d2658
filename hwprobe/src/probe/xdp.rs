//! XDP on the host: what the driver claims, and whether a program can be attached.

use sluice_kernel::XdpMode;
use sluice_kernel::linux::trial::SetAside;
use sluice_profile::{Answer, Capability, Evidence, Finding, Verdict, XdpFeature};

use super::Link;
use crate::ask::netdev::{self, bit};
use crate::record::{Record, answer, answered, finding};

/// Drivers that stop nothing when a native program is attached: they are in software.
const CALM: &[&str] = &["veth", "netdevsim", "tun", "bond", "netkit"];

/// The XDP hook of the link, while it is probed.
pub(super) struct Hook<'l> {
    /// Why no program of the host may be attached: generic and native ones exclude each other.
    pub(super) on_host: Option<String>,
    /// Why none may be attached on the card. A program of the host is not in its way.
    pub(super) on_card: Option<String>,
    /// There is a native program, so that the card is tried beside one.
    pub(super) beside_native: bool,
    _aside: Option<SetAside<'l>>,
}

impl<'l> Hook<'l> {
    /// Looks who is there; with `--disruptive` takes him away until the end.
    pub(super) fn take(link: &'l Link) -> Self {
        let none = Self { on_host: None, on_card: None, beside_native: false, _aside: None };
        let programs = match link.trials.xdp_programs() {
            Ok(programs) => programs,
            Err(error) => {
                let why = Some(error.to_string());
                return Self { on_host: why.clone(), on_card: why, ..none };
            }
        };
        if programs.is_empty() {
            return none;
        }
        let mut refusal = String::new();
        if link.options.disruptive {
            match link.trials.set_aside() {
                Ok(aside) => return Self { _aside: Some(aside), ..none },
                Err(refused) => refusal = format!("; {}", answer(&refused)),
            }
        }
        let in_use = |on_card: bool| {
            let is_there = |mode: XdpMode| (mode == XdpMode::Hardware) == on_card;
            let program = programs.iter().find(|program| is_there(program.mode))?;
            Some(format!(
                "the hook is in use by program {} (id {}, {} mode){refusal}",
                program.name, program.id, program.mode
            ))
        };
        let beside_native = programs.iter().any(|program| program.mode == XdpMode::Native);
        Self { on_host: in_use(false), on_card: in_use(true), beside_native, _aside: None }
    }
}

pub(super) fn probe(link: &Link, hook: &Hook<'_>, record: &mut Record) {
    generic(link, hook, record);
    native(link, hook, record);
    let bits = [
        (XdpFeature::Redirect, bit::REDIRECT),
        (XdpFeature::RedirectTarget, bit::REDIRECT_TARGET),
        (XdpFeature::ZeroCopy, bit::ZERO_COPY),
        (XdpFeature::MultiBuffer, bit::MULTI_BUFFER),
        (XdpFeature::RedirectTargetMultiBuffer, bit::REDIRECT_TARGET_MULTI_BUFFER),
    ];
    for (feature, bit) in bits {
        let (claimed, evidence) = claim(link, bit);
        let verdict = match claimed {
            Some(true) => Verdict::Claimed,
            Some(false) => Verdict::No,
            None => Verdict::Unknown("the driver's claim could not be read".to_owned()),
        };
        record.line(Capability::Xdp(feature), verdict, evidence);
    }
}

/// Whether the driver claims a bit of xdp-features.
pub(super) fn claim(link: &Link, bit: u64) -> (Option<bool>, Evidence) {
    match &link.xdp {
        Ok(bits) => {
            let answer = Answer::result(format!("{bits:#x}"));
            (Some(bits & bit != 0), answered(netdev::ASKED, answer))
        }
        Err(why) => (None, answered(netdev::ASKED, Answer::result(why.to_string()))),
    }
}

fn generic(link: &Link, hook: &Hook<'_>, record: &mut Record) {
    let asked = "attach a program that passes everything, generic mode";
    let capability = Capability::Xdp(XdpFeature::Generic);
    let joins = ["rx-lro", "rx-gro-hw"]
        .iter()
        .find(|name| link.feature(name).0.is_some_and(|feature| feature.active));
    if let Some(why) = &hook.on_host {
        record.skipped(capability, asked, why);
    } else if let Some(name) = joins.filter(|_| !link.options.disruptive) {
        // generic_xdp_install switches them off, and nobody switches them on again.
        record.skipped(capability, asked, &format!("it would switch {name} off"));
    } else {
        record.tried(capability, asked, &link.trials.attach_xdp(XdpMode::Generic, false));
    }
}

fn native(link: &Link, hook: &Hook<'_>, record: &mut Record) {
    let asked = "attach a program that passes everything, native mode";
    let capability = Capability::Xdp(XdpFeature::Native);
    let (claimed, claim) = claim(link, bit::BASIC);
    if let Some(why) = &hook.on_host {
        record.skipped(capability, asked, why);
        if let Some(line) = record.lines.get_mut(&capability) {
            line.evidence.push(claim);
        }
    } else if claimed != Some(false) && !calm(link) && !link.options.disruptive {
        let why = "attaching a native program makes many drivers stop their queues for a moment";
        let verdict =
            if claimed == Some(true) { Verdict::Claimed } else { Verdict::Unknown(why.to_owned()) };
        let mut line = Finding::new(verdict, claim);
        line.evidence.push(answered(asked, Answer::result(format!("not tried: {why}"))));
        let remedy = format!("hwprobe {} --disruptive", link.name());
        record.put(capability, line.with_remedy(remedy));
    } else {
        let mut line = finding(asked, &link.trials.attach_xdp(XdpMode::Native, false));
        line.evidence.push(claim);
        record.put(capability, line);
    }
}

/// Whether nothing stops when a native program is attached.
pub(super) fn calm(link: &Link) -> bool {
    let name = link.driver.as_ref().or(link.about.kind.as_ref());
    !link.about.up || name.is_some_and(|name| CALM.contains(&name.as_str()))
}
