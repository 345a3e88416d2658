//! What a planner asks: several lines answered as one, with the evidence of the line that decided.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display, Formatter};

use crate::{
    Capability, Evidence, Finding, FlowerAction, FlowerMatch, Helper, Hook, Limits, MapKind,
    Occupant, Profile, ProgramFeature, ProgramVerdict, TcFeature, Verdict, XdpFeature,
};

/// What a program on the card may be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProgramLimits {
    /// Kinds of tables that the card takes, with their limits.
    pub maps: BTreeMap<MapKind, Limits>,
    /// Helpers that it may call.
    pub helpers: BTreeSet<Helper>,
    /// How it may end.
    pub verdicts: BTreeSet<ProgramVerdict>,
    /// The most instructions, if a limit is known.
    pub max_instructions: Option<u64>,
    /// The most stack, if a limit is known.
    pub max_stack_bytes: Option<u64>,
    /// How deep into the packet it may look, if a limit is known.
    pub max_header_bytes: Option<u64>,
    /// Whether it may have constants and variables of its own.
    pub global_data: bool,
    /// Whether it may add atomically.
    pub atomic_add: bool,
}

impl ProgramLimits {
    /// The most entries of a table with keys and values of these lengths: none if the card takes no such table,
    /// [`u32::MAX`] if no limit is known.
    pub fn max_entries(&self, kind: MapKind, key_bytes: u32, value_bytes: u32) -> Option<u32> {
        let limits = self.maps.get(&kind)?;
        let fits = |limit: Option<u32>, bytes: u32| limit.is_none_or(|limit| bytes <= limit);
        let together = key_bytes.next_multiple_of(8) + value_bytes.next_multiple_of(8);
        let fits = fits(limits.max_key_bytes, key_bytes)
            && fits(limits.max_value_bytes, value_bytes)
            && fits(limits.max_key_value_bytes, together);
        fits.then(|| limits.max_entries.unwrap_or(u32::MAX))
    }
}

impl Display for ProgramLimits {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let kinds: Vec<_> = self.maps.keys().map(|kind| kind.name()).collect();
        let verdicts: Vec<_> = self.verdicts.iter().map(|verdict| verdict.name()).collect();
        write!(f, "maps {}; verdicts {}", kinds.join(" "), verdicts.join(" "))
    }
}

/// What flower rules on the card may be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlowerLimits {
    /// What is known of the limits of the fields and actions that were asked for.
    pub conditions: Vec<String>,
}

impl Profile {
    /// Whether the card runs programs at this hook, and what they may be: `yes` never, `partly` with the limits, `no`
    /// with the evidence of the refusal, `claimed` if only a feature bit says so.
    pub fn program_offload(&self, hook: Hook) -> Finding<ProgramLimits> {
        let line = |feature| self.finding(Capability::Offload(hook, feature));
        let (load, attach) = (line(ProgramFeature::Load), line(ProgramFeature::Attach));
        let decides = if load.holds() { attach } else { load };
        let remedy = decides.remedy.clone();
        let evidence = decides.evidence.clone();
        let verdict = match decides.verdict {
            Verdict::No => Verdict::No,
            Verdict::Unknown(why) => Verdict::Unknown(why),
            Verdict::Claimed => Verdict::Claimed,
            Verdict::Yes | Verdict::Partly(_) => Verdict::Partly(self.program_limits(hook)),
        };
        Finding { verdict, evidence, remedy }
    }

    /// The limits of programs at a hook, whatever is known of the hook itself.
    pub fn program_limits(&self, hook: Hook) -> ProgramLimits {
        let line = |feature| self.finding(Capability::Offload(hook, feature));
        let count = |feature| line(feature).limits().and_then(|limits| limits.at_most);
        let maps = MapKind::ALL.iter().filter_map(|kind| {
            let finding = self.finding(Capability::Map(*kind));
            finding.holds().then(|| (*kind, finding.limits().cloned().unwrap_or_default()))
        });
        let has = |feature| line(feature).holds();
        let helpers = Helper::ALL.iter().copied();
        let verdicts = ProgramVerdict::ALL.iter().copied();
        ProgramLimits {
            maps: maps.collect(),
            helpers: helpers.filter(|helper| has(ProgramFeature::Helper(*helper))).collect(),
            verdicts: verdicts.filter(|verdict| has(ProgramFeature::Verdict(*verdict))).collect(),
            max_instructions: count(ProgramFeature::Instructions),
            max_stack_bytes: count(ProgramFeature::StackBytes),
            max_header_bytes: count(ProgramFeature::HeaderBytes),
            global_data: has(ProgramFeature::GlobalData),
            atomic_add: has(ProgramFeature::AtomicAdd),
        }
    }

    /// Whether the card takes flower rules with these fields and actions: the first line that doesn't hold decides.
    pub fn flower(
        &self,
        fields: &[FlowerMatch],
        actions: &[FlowerAction],
    ) -> Finding<FlowerLimits> {
        let skip_sw = self.finding(Capability::Tc(TcFeature::FlowerSkipSw));
        let fields = fields.iter().map(|field| self.finding(Capability::FlowerMatch(*field)));
        let actions = actions.iter().map(|action| self.finding(Capability::FlowerAction(*action)));
        let mut limits = FlowerLimits::default();
        let mut evidence = Vec::new();
        for finding in [skip_sw].into_iter().chain(fields).chain(actions) {
            if !finding.holds() {
                return finding.map(|_| FlowerLimits::default());
            }
            limits.conditions.extend(finding.limits().map(Limits::to_string));
            evidence.extend(finding.evidence);
        }
        let verdict =
            if limits.conditions.is_empty() { Verdict::Yes } else { Verdict::Partly(limits) };
        Finding { verdict, evidence, remedy: None }
    }

    /// Whether the driver says that its card runs programs, whatever trials found.
    pub fn promises_programs(&self) -> bool {
        /// `NETDEV_XDP_ACT_HW_OFFLOAD` of `enum netdev_xdp_act`.
        const HARDWARE: u64 = 1 << 4;
        let hardware = self.finding(Capability::Xdp(XdpFeature::Hardware));
        hardware.evidence.iter().any(|evidence| {
            let Evidence::Kernel { asked, answer, .. } = evidence else { return false };
            let bits = answer.result.as_deref().and_then(|result| result.strip_prefix("0x"));
            let bits = bits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
            asked.ends_with("xdp-features") && bits.is_some_and(|bits| bits & HARDWARE != 0)
        })
    }

    /// Whether both say the same, whenever it was asked.
    pub fn says_the_same(&self, other: &Self) -> bool {
        let same = |(one, other): ((&Capability, &Finding), (&Capability, &Finding))| {
            one.0 == other.0
                && one.1.verdict == other.1.verdict
                && one.1.remedy == other.1.remedy
                && one.1.because() == other.1.because()
        };
        self.lines.len() == other.lines.len() && self.lines.iter().zip(&other.lines).all(same)
    }

    /// Whether only one of two can be on the link: `yes` if they exclude each other.
    pub fn excludes(&self, one: Occupant, other: Occupant) -> Finding {
        self.finding(Capability::exclusion(one, other))
    }
}
