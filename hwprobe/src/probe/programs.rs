//! Programs on the card, per hook: does the device take one at all, and what may be in it?

use std::os::fd::AsFd;

use sluice_kernel::linux::trial::{
    Code, DeviceMap, MapTrial, TrialHelper, TrialHook, TrialMapKind, Tried,
};
use sluice_profile::{
    Answer, Capability, Finding, Helper, Hook, Limits, MapKind, Occupant, ProgramFeature,
    ProgramVerdict, Verdict, XdpFeature,
};

use super::{Extent, Link, maps, xdp};
use crate::ask::netdev::bit;
use crate::record::{Record, answer, answered, finding};

/// No program of ours is longer, and the verifier walks through all of it.
const MOST_INSTRUCTIONS: u32 = 1 << 16;
/// What our programs could need: the verifier takes seconds for the others on a slow processor.
const ENOUGH_INSTRUCTIONS: u32 = 1 << 12;

pub(super) fn hook_of(hook: Hook) -> TrialHook {
    match hook {
        Hook::Xdp => TrialHook::Xdp,
        Hook::ClsBpf => TrialHook::ClsBpf,
    }
}

/// What lets a packet pass at a hook: `XDP_PASS`, `TC_ACT_UNSPEC`.
pub(super) fn pass(hook: Hook) -> i32 {
    match hook {
        Hook::Xdp => 2,
        Hook::ClsBpf => -1,
    }
}

pub(super) fn probe(link: &Link, in_use: &xdp::Hook<'_>, record: &mut Record) {
    for hook in Hook::ALL.iter().copied() {
        let asked = format!("load a program for the device, {}", hook.name());
        let tried = link.trials.load(hook_of(hook), &Code::verdict(pass(hook))).map(drop);
        record.tried(Capability::Offload(hook, ProgramFeature::Load), &asked, &tried);
        if tried.is_err() {
            // What cannot be loaded cannot be attached, and for the same reason.
            record.tried(Capability::Offload(hook, ProgramFeature::Attach), &asked, &tried);
            continue;
        }
        let trial = Trial { link, hook };
        trial.sizes(record);
        trial.verdicts(record);
        trial.helpers(record);
        trial.memory(record);
    }
    hardware(link, in_use, record);
}

/// Attaching in the card: the XDP side; the other is a filter.
fn hardware(link: &Link, in_use: &xdp::Hook<'_>, record: &mut Record) {
    let load = Capability::Offload(Hook::Xdp, ProgramFeature::Load);
    let attach = Capability::Offload(Hook::Xdp, ProgramFeature::Attach);
    let asked = "attach a program for the device, hardware mode";
    if record.holds(load) {
        match &in_use.on_card {
            Some(why) => record.skipped(attach, asked, why),
            None => {
                let program = link.trials.load(TrialHook::Xdp, &Code::verdict(pass(Hook::Xdp)));
                let tried = program.and_then(|program| link.trials.attach_hardware(&program));
                record.tried(attach, asked, &tried);
                if in_use.beside_native && tried.is_ok() {
                    let both = Capability::exclusion(Occupant::XdpNative, Occupant::XdpHardware);
                    let asked = "attach a program for the device beside the native one";
                    let accepted = answered(asked, Answer::result("accepted"));
                    record.line(both, Verdict::No, accepted);
                }
            }
        }
    }
    let (_, claim) = xdp::claim(link, bit::HARDWARE);
    if let Some(line) = record.lines.get(&attach) {
        let mut line: Finding = line.clone();
        line.evidence.push(claim);
        record.put(Capability::Xdp(XdpFeature::Hardware), line);
    }
}

/// Trials at one hook.
struct Trial<'l> {
    link: &'l Link,
    hook: Hook,
}

impl Trial<'_> {
    fn load(&self, code: &Code) -> Tried {
        self.link.trials.load(hook_of(self.hook), code).map(drop)
    }

    fn capability(&self, feature: ProgramFeature) -> Capability {
        Capability::Offload(self.hook, feature)
    }

    fn asked(&self, words: &str) -> String {
        format!("load a program for the device, {}, {words}", self.hook.name())
    }

    fn sizes(&self, record: &mut Record) {
        let end = pass(self.hook);
        let most = match self.link.options.extent {
            Extent::Everything => MOST_INSTRUCTIONS,
            Extent::Programs => ENOUGH_INSTRUCTIONS,
        };
        let long = maps::largest(64, most, 64, |size| self.load(&Code::long(size as usize, end)));
        self.count(record, ProgramFeature::Instructions, "instructions", &long);
        let deep = maps::largest(8, 512, 8, |size| self.load(&Code::stack(size as i16, end)));
        self.count(record, ProgramFeature::StackBytes, "bytes of stack", &deep);
        // Where the packet begins and ends: in struct xdp_md, in struct __sk_buff.
        let (start, stop) = match self.hook {
            Hook::Xdp => (0, 4),
            Hook::ClsBpf => (76, 80),
        };
        let header = maps::largest(14, 14 << 8, 1, |size| {
            self.load(&Code::packet(size as i32, start, stop, end))
        });
        self.count(record, ProgramFeature::HeaderBytes, "bytes of the packet", &header);
    }

    fn count(
        &self,
        record: &mut Record,
        feature: ProgramFeature,
        words: &str,
        largest: &maps::Largest,
    ) {
        let accepted = largest.accepted;
        let asked = self.asked(&format!("{accepted} {words}"));
        let limits = Limits::at_most(u64::from(accepted));
        let evidence = answered(&asked, Answer::result("accepted"));
        let mut line = Finding::new(Verdict::Partly(limits), evidence);
        match &largest.refusal {
            Some((size, answer)) => {
                let asked = self.asked(&format!("{size} {words}"));
                // The refusal is what sets the limit.
                line.evidence.insert(0, answered(&asked, answer.clone()));
            }
            None => line.evidence.push(answered(&asked, Answer::result("more was not tried"))),
        }
        record.put(self.capability(feature), line);
    }

    fn verdicts(&self, record: &mut Record) {
        let values: &[(ProgramVerdict, i32)] = match self.hook {
            Hook::Xdp => &[
                (ProgramVerdict::Aborted, 0),
                (ProgramVerdict::Drop, 1),
                (ProgramVerdict::Pass, 2),
                (ProgramVerdict::Transmit, 3),
                (ProgramVerdict::Redirect, 4),
            ],
            Hook::ClsBpf => &[
                (ProgramVerdict::Drop, 2),
                (ProgramVerdict::Pass, 0),
                (ProgramVerdict::Redirect, 7),
            ],
        };
        for (verdict, value) in values {
            let asked = self.asked(&format!("that ends with {value}"));
            let tried = self.load(&Code::verdict(*value));
            let mut line = finding(&asked, &tried);
            match (*verdict, &tried) {
                // A card may take the program and do something else.
                (ProgramVerdict::Redirect, Ok(())) => line.verdict = Verdict::Claimed,
                (ProgramVerdict::Pass, Err(_)) => self.unspecified(&mut line),
                _ => {}
            }
            record.put(self.capability(ProgramFeature::Verdict(*verdict)), line);
        }
    }

    /// Cards that cannot tell tc their decision let a packet pass with `TC_ACT_UNSPEC` only.
    fn unspecified(&self, line: &mut Finding) {
        if self.load(&Code::verdict(-1)).is_ok() {
            let words = "TC_ACT_UNSPEC (-1), never TC_ACT_OK";
            line.verdict = Verdict::Partly(Limits::condition(words));
            let asked = self.asked("that ends with -1");
            line.evidence.push(answered(&asked, Answer::result("accepted")));
        }
    }

    fn helpers(&self, record: &mut Record) {
        let end = pass(self.hook);
        for helper in Helper::ALL.iter().copied() {
            let capability = self.capability(ProgramFeature::Helper(helper));
            let asked = self.asked(&format!("that calls {}", helper.name()));
            let map = match self.map_for(helper) {
                Some(Ok(map)) => Some(map),
                Some(Err(refused)) => {
                    let why = format!("its table is refused: {}", answer(&refused));
                    let evidence = answered(&asked, Answer::result(why));
                    record.line(capability, Verdict::No, evidence);
                    continue;
                }
                None => None,
            };
            let map = map.as_ref().map(AsFd::as_fd);
            let tried = self.load(&Code::helper(number(helper), map, end));
            record.tried(capability, &asked, &tried);
        }
    }

    /// The table that a helper takes.
    fn map_for(&self, helper: Helper) -> Option<Tried<DeviceMap>> {
        let trials = &self.link.trials;
        match helper {
            Helper::MapLookup | Helper::MapUpdate | Helper::MapDelete => {
                Some(trials.map(&maps::smallest(MapKind::Hash)))
            }
            Helper::TailCall => Some(trials.map(&maps::smallest(MapKind::ProgramArray))),
            // Events go to the host: their table is the host's.
            Helper::PerfEvent => Some(trials.map_on_host(&maps::smallest(MapKind::PerfEventArray))),
            _ => None,
        }
    }

    fn memory(&self, record: &mut Record) {
        let constants = MapTrial {
            kind: TrialMapKind::Array,
            constant: true,
            ..maps::smallest(MapKind::Array)
        };
        let tried = self.link.trials.map(&constants);
        let asked = "create a table for the device that programs only read, as .rodata is";
        record.tried(self.capability(ProgramFeature::GlobalData), asked, &tried);
        let asked = self.asked("that adds atomically to an entry");
        let tried = self
            .link
            .trials
            .map(&maps::smallest(MapKind::Hash))
            .and_then(|map| self.load(&Code::atomic_add(map.as_fd(), pass(self.hook))));
        record.tried(self.capability(ProgramFeature::AtomicAdd), &asked, &tried);
    }
}

fn number(helper: Helper) -> TrialHelper {
    match helper {
        Helper::MapLookup => TrialHelper::MapLookup,
        Helper::MapUpdate => TrialHelper::MapUpdate,
        Helper::MapDelete => TrialHelper::MapDelete,
        Helper::AdjustHead => TrialHelper::AdjustHead,
        Helper::AdjustTail => TrialHelper::AdjustTail,
        Helper::Random => TrialHelper::Random,
        Helper::PerfEvent => TrialHelper::PerfEvent,
        Helper::Time => TrialHelper::Time,
        Helper::TailCall => TrialHelper::TailCall,
        Helper::Redirect => TrialHelper::Redirect,
        Helper::ChecksumDifference => TrialHelper::ChecksumDifference,
    }
}
