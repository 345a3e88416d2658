//! A plan for people: what `sluice plan` shows.

use std::fmt;

use serde::Serialize;
use sluice_datapath::abi::Features;
use sluice_model::status::{NotChosen, StageStatus};

use crate::{Plan, Step, Write, plan::Grow};

/// A plan in words; equal plans give equal reports, line by line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// What changes, object by object.
    pub changes: Vec<String>,
    /// What is done, in this order.
    pub steps: Vec<String>,
    /// Where each stage runs, link by link.
    pub links: Vec<LinkReport>,
}

/// Where the stages run on one link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LinkReport {
    /// The link.
    pub name: String,
    /// Its stages, in the order of the packet's way.
    pub stages: Vec<StageStatus>,
}

impl Plan {
    /// The plan in words.
    #[must_use]
    pub fn report(&self) -> Report {
        let link = |placement: &crate::LinkPlacement| LinkReport {
            name: placement.link.clone(),
            stages: placement.stages.clone(),
        };
        Report {
            changes: self.notes.iter().map(ToString::to_string).collect(),
            steps: steps(&self.steps),
            links: self.placements.iter().map(link).collect(),
        }
    }
}

/// One line per step, and one for writes into the same table that follow each other.
fn steps(steps: &[Step]) -> Vec<String> {
    let same_table = |a: &Step, b: &Step| match (a, b) {
        (Step::Write(a), Step::Write(b)) => a.table() == b.table(),
        _ => false,
    };
    let line = |steps: &[Step]| match steps {
        [Step::Write(write), _, ..] => {
            let writes = || {
                steps.iter().filter_map(|step| match step {
                    Step::Write(write) => Some(write),
                    _ => None,
                })
            };
            let first = writes().map(Write::first).min().unwrap_or(0);
            let last = writes().map(|write| write.first() as usize + write.entries() - 1).max();
            let entries: usize = writes().map(Write::entries).sum();
            let (table, last) = (write.table().name(), last.unwrap_or(0));
            format!("write {table} {first} to {last}: {entries} entries")
        }
        steps => steps.iter().map(ToString::to_string).collect(),
    };
    steps.chunk_by(same_table).map(line).collect()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for change in &self.changes {
            writeln!(f, "{change}")?;
        }
        for step in &self.steps {
            writeln!(f, "  {step}")?;
        }
        self.links.iter().try_for_each(|link| link.fmt(f))
    }
}

impl fmt::Display for LinkReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}:", self.name)?;
        self.stages.iter().try_for_each(|stage| write_stage(f, stage))
    }
}

/// A stage: where it runs, what it holds there, and why it is nowhere else.
fn write_stage(f: &mut fmt::Formatter<'_>, status: &StageStatus) -> fmt::Result {
    let StageStatus { stage, placement, reason, .. } = status;
    let place = placement.map_or("nowhere", |placement| placement.as_str());
    writeln!(f, "  {stage:<10} {place:<17} {reason}")?;
    if let Some(behind) = status.behind {
        writeln!(f, "             behind it: {behind}")?;
    }
    if let Some(requested) = status.requested.filter(|requested| Some(*requested) != *placement) {
        writeln!(f, "             requested: {requested}")?;
    }
    for left in status.holds.iter().flat_map(|share| &share.left_out) {
        let (entries, examples, reason) = (left.entries, left.examples.join(", "), &left.reason);
        writeln!(f, "             left out: {entries} ({examples}): {reason}")?;
    }
    for NotChosen { placement, reason, evidence, change } in &status.not_chosen {
        writeln!(f, "             not {placement}: {reason}")?;
        for (word, text) in [("evidence", evidence), ("change", change)] {
            if let Some(text) = text {
                writeln!(f, "                 {word}: {text}")?;
            }
        }
    }
    Ok(())
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Grow(grow) => grow.fmt(f),
            Self::ResetCounters { backends, services } => {
                let (backends, services) = (backends.len(), services.len());
                write!(f, "counters from zero: backends {backends}, services {services}")
            }
            Self::ForgetRecords { number } => {
                write!(f, "forget the translated flows of pool address number {number}")
            }
            Self::Write(write) => {
                let (table, first, entries) =
                    (write.table().name(), write.first(), write.entries());
                write!(f, "write {table} {first}")?;
                if entries > 1 { write!(f, " to {}", first as usize + entries - 1) } else { Ok(()) }
            }
            Self::Attach { link, settings, mode, reason, .. } => {
                let mode = format!("{mode:?}").to_lowercase();
                write!(
                    f,
                    "attach to {link} ({mode}): {reason}; features {}",
                    names(settings.features)
                )
            }
            Self::Detach { link, .. } => write!(f, "detach from {link}"),
        }
    }
}

impl fmt::Display for Grow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("grow")?;
        for (i, (table, before)) in self.tables.iter().enumerate() {
            let comma = if i > 0 { "," } else { "" };
            write!(f, "{comma} {} {before} to {}", table.name(), self.sizes.get(*table))?;
        }
        Ok(())
    }
}

/// The features in words.
fn names(features: Features) -> String {
    const NAMES: [(u32, &str); 11] = [
        (Features::IPV6, "ipv6"),
        (Features::PREFILTER4, "prefilter-ipv4"),
        (Features::PREFILTER6, "prefilter-ipv6"),
        (Features::SERVICE, "service"),
        (Features::DSR, "dsr"),
        (Features::NAT, "nat"),
        (Features::RANGES, "port-ranges"),
        (Features::SOURCES, "allowed-sources"),
        (Features::AFFINITY, "affinity"),
        (Features::EVENTS, "events"),
        (Features::VLAN, "vlan"),
    ];
    let names: Vec<_> =
        NAMES.iter().filter(|(feature, _)| features.has(*feature)).map(|(_, name)| *name).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(" ") }
}
