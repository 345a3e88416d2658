//! What the programs for cards need, held against what a card is known to take.

use std::collections::BTreeMap;

use sluice_datapath::abi::{CardTable, CardTableKind};
use sluice_model::{Stage, status::Placement};
use sluice_profile::{
    Capability, Helper, Hook, MapKind, Occupant, Profile, ProgramFeature, ProgramLimits,
    ProgramVerdict, TcFeature, Verdict,
};

use super::{
    contents::{CardProgram, CardStages, placement_of},
    obstacle::Obstacle,
};

/// So deep into the packet look the stages: Ethernet, IPv6 and the flags of TCP.
const HEADER_BYTES: u64 = 14 + 40 + 14;
/// Stack of a program: the parsed flow and the keys of its tables.
const STACK_BYTES: u64 = 256;

/// Instructions of the programs, rounded up.
const fn instructions(stages: CardStages) -> u64 {
    match stages {
        CardStages::Prefilter => 1000,
        CardStages::Service => 1500,
        CardStages::Both => 2500,
    }
}

/// How many entries of each table a card takes. A table of a choosable size never gets more than its own limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Room(BTreeMap<CardTable, u32>);

impl Room {
    /// Room of a table; none if the card takes no such table.
    #[must_use]
    pub(crate) fn of(&self, table: CardTable) -> u32 {
        self.0.get(&table).copied().unwrap_or(0)
    }

    /// A table cannot be larger than this: a card refused more.
    pub(crate) fn limit(&mut self, table: CardTable, entries: u32) {
        if let Some(room) = self.0.get_mut(&table) {
            *room = (*room).min(entries);
        }
    }
}

/// Entries that a table is given at most, whatever the card takes: so that a card's memory is left for other things.
const fn limit(table: CardTable) -> u32 {
    match table {
        CardTable::Slots => 1 << 20,
        CardTable::Services4 | CardTable::Services6 => 1 << 13,
        _ => 1 << 16,
    }
}

/// The room of a program's tables on the card, or what is in its way. `link` stands in for the name that a profile was
/// made with.
pub(crate) fn room(profile: &Profile, link: &str, program: CardProgram) -> Result<Room, Obstacle> {
    let CardProgram { hook, stages } = program;
    hooks(profile, link, hook)?;
    let limits = profile.program_limits(hook);
    features(profile, hook, stages, &limits)?;
    let mut room = Room::default();
    for table in stages.tables() {
        room.0.insert(table, entries(profile, table, &limits)?);
    }
    Ok(room)
}

/// Whether programs are loaded and run at all.
fn hooks(profile: &Profile, link: &str, hook: Hook) -> Result<(), Obstacle> {
    let what = match hook {
        Hook::Xdp => "XDP programs",
        Hook::ClsBpf => "tc programs",
    };
    let another = || format!("a card that runs {what}, such as nfp");
    if hook == Hook::ClsBpf {
        let skip = profile.finding(Capability::Tc(TcFeature::ClsBpfSkipSw));
        let is_off = skip.remedy.as_ref().is_some_and(|remedy| remedy.contains("hw-tc-offload"));
        if skip.verdict == Verdict::No {
            let reason = if is_off { "tc offload is off" } else { "the card takes no tc programs" };
            return Err(Obstacle::of(reason, &skip).of_link(link).or_changed_by(another()));
        }
    }
    let finding = profile.program_offload(hook);
    match &finding.verdict {
        Verdict::Yes | Verdict::Partly(_) => Ok(()),
        Verdict::No => {
            let obstacle = Obstacle::of(format!("the card runs no {what}"), &finding);
            Err(obstacle.of_link(link).or_changed_by(another()))
        }
        Verdict::Claimed => Err(Obstacle::of(
            format!("the driver claims to run {what} on the card, but no trial confirmed it"),
            &finding,
        )
        .or_changed_by(format!("hwprobe --disruptive {link}, while nothing runs on the link"))),
        Verdict::Unknown(_) => {
            Err(Obstacle::of(format!("whether the card runs {what} is not known"), &finding)
                .or_changed_by(format!("hwprobe {link}")))
        }
    }
}

/// Whether the program's instructions are taken.
fn features(
    profile: &Profile,
    hook: Hook,
    stages: CardStages,
    limits: &ProgramLimits,
) -> Result<(), Obstacle> {
    let line = |feature| profile.finding(Capability::Offload(hook, feature));
    let mut helpers = vec![(Helper::MapLookup, "to look into its tables")];
    let mut verdicts = vec![(ProgramVerdict::Pass, "to leave packets to the host")];
    if stages.has(Stage::Prefilter) {
        verdicts.push((ProgramVerdict::Drop, "to drop denied packets"));
    }
    if stages.has(Stage::Service) {
        helpers.push((Helper::AdjustHead, "to put packets into tunnels"));
        verdicts.push((ProgramVerdict::Transmit, "to send packets to backends"));
    }
    for (helper, why) in helpers {
        if !limits.helpers.contains(&helper) {
            let reason = format!("its program on the card must call {} {why}", helper.name());
            return Err(Obstacle::of(reason, &line(ProgramFeature::Helper(helper))));
        }
    }
    for (verdict, why) in verdicts {
        if !limits.verdicts.contains(&verdict) {
            let reason = format!("its program on the card must end with {} {why}", verdict.name());
            return Err(Obstacle::of(reason, &line(ProgramFeature::Verdict(verdict))));
        }
    }
    if !limits.atomic_add {
        let reason = "its program on the card must count with atomic additions";
        return Err(Obstacle::of(reason, &line(ProgramFeature::AtomicAdd)));
    }
    let needs = [
        (
            ProgramFeature::HeaderBytes,
            limits.max_header_bytes,
            HEADER_BYTES,
            "bytes of the packet's head",
        ),
        (ProgramFeature::StackBytes, limits.max_stack_bytes, STACK_BYTES, "bytes of stack"),
        (
            ProgramFeature::Instructions,
            limits.max_instructions,
            instructions(stages),
            "instructions",
        ),
    ];
    for (feature, limit, needed, what) in needs {
        if let Some(limit) = limit.filter(|limit| *limit < needed) {
            let program = stages.as_str();
            let reason =
                format!("the program for {program} needs {needed} {what}, the card took {limit}");
            return Err(Obstacle::of(reason, &line(feature)));
        }
    }
    Ok(())
}

/// How many entries of a table the card takes.
fn entries(profile: &Profile, table: CardTable, limits: &ProgramLimits) -> Result<u32, Obstacle> {
    let (kind, word) = match table.kind() {
        CardTableKind::Array => (MapKind::Array, "array"),
        CardTableKind::Hash => (MapKind::Hash, "hash"),
    };
    let (key, value) = (table.key_size() as u32, table.value_size() as u32);
    let line = profile.finding(Capability::Map(kind));
    let Some(most) = limits.max_entries(kind, key, value) else {
        let reason = format!(
            "needs a {word} table with {key} bytes of key and {value} of value, the card takes none"
        );
        return Err(Obstacle::of(reason, &line));
    };
    let needed = table.fixed_entries().unwrap_or(1);
    if most < needed {
        let reason = format!("needs a table of {needed} entries, the card took {most}");
        return Err(Obstacle::of(reason, &line));
    }
    Ok(table.fixed_entries().unwrap_or_else(|| most.min(limit(table))))
}

/// What the profile says about the tables of programs on the card: the evidence for a limit of entries.
pub(crate) fn table_evidence(profile: &Profile, table: CardTable) -> String {
    let kind = match table.kind() {
        CardTableKind::Array => MapKind::Array,
        CardTableKind::Hash => MapKind::Hash,
    };
    profile.finding(Capability::Map(kind)).because()
}

/// Whether a placement on the card and another placement exclude each other on this card.
pub(crate) fn exclusion(profile: &Profile, one: Placement, other: Placement) -> Option<Obstacle> {
    let finding = profile.excludes(occupant(one)?, occupant(other)?);
    let words = |placement| match placement {
        Placement::NicXdp => "XDP on the card",
        Placement::NicTc => "tc on the card",
        Placement::HostXdp => "XDP in the driver",
        _ => "generic XDP",
    };
    finding.holds().then(|| {
        let reason = format!("{} and {} exclude each other", words(one), words(other));
        Obstacle::of(reason, &finding)
    })
}

const fn occupant(placement: Placement) -> Option<Occupant> {
    match placement {
        Placement::NicXdp => Some(Occupant::XdpHardware),
        Placement::NicTc => Some(Occupant::TcClsBpf),
        Placement::HostXdp => Some(Occupant::XdpNative),
        Placement::HostXdpGeneric => Some(Occupant::XdpGeneric),
        _ => None,
    }
}

/// The sentence of the hook that is taken by the other one.
pub(crate) fn taken(profile: &Profile, chosen: Hook) -> Obstacle {
    let other = if chosen == Hook::Xdp { Hook::ClsBpf } else { Hook::Xdp };
    let what = match chosen {
        Hook::Xdp => "XDP is already offloaded",
        Hook::ClsBpf => "tc is already offloaded",
    };
    let reason = format!("{what}, the card runs one of both");
    match exclusion(profile, placement_of(chosen), placement_of(other)) {
        Some(obstacle) => Obstacle { reason, ..obstacle },
        None => Obstacle::new(reason),
    }
}
