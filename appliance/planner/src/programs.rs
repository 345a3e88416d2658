//! The programs of the links: which constants each must have, before and after the tables change.

use sluice_datapath::abi::{Features, Settings};
use sluice_model::AttachMode;

use crate::{
    Note, Step,
    facts::{LinkFacts, ProgramFacts},
    settings::Configured,
};

/// What the programs must be able to do.
pub(crate) struct Programs {
    /// After the change.
    features: Features,
    /// During it: what was configured before as well.
    both: Features,
}

impl Programs {
    pub(crate) fn of(configured: &Configured) -> Self {
        let features = configured.features();
        let before = running(configured).fold(0, |all, (_, link)| {
            all | settings(link).map_or(0, |settings| settings.features.0)
        });
        Self { features, both: Features(features.0 | before) }
    }

    /// Programs of the links that run one, for the time while the tables change.
    pub(crate) fn running(&self, configured: &Configured) -> Vec<Settings> {
        running(configured).map(|(_, link)| configured.settings(link, self.both)).collect()
    }

    /// Replaces programs that could not do what the changed tables need.
    pub(crate) fn before(&self, configured: &Configured) -> Vec<Step> {
        let links = &configured.gateway.links;
        let unable = links.iter().filter_map(|link| {
            let facts = configured.facts.links.get(link.name.as_str())?;
            let running = settings(facts)?;
            let is_able = self.features.0 & !running.features.0 == 0;
            (!is_able).then(|| Step::Attach {
                link: link.name.to_string(),
                settings: configured.settings(facts, self.both),
                mode: link.attach,
                replace_foreign: false,
                reason: "the program must do more".to_owned(),
            })
        });
        unable.collect()
    }

    /// Makes the programs of all links what they shall be. `earlier`: the steps up to here; a program that one of them
    /// loads with the right settings already is not loaded again, for that is what takes longest in a change.
    pub(crate) fn after(
        &self,
        configured: &Configured,
        earlier: &[Step],
        notes: &mut Vec<Note>,
    ) -> Vec<Step> {
        let mut steps = Vec::new();
        let links = &configured.gateway.links;
        for link in links {
            let Some(facts) = configured.facts.links.get(link.name.as_str()) else { continue };
            let settings = configured.settings(facts, self.features);
            let program = loaded(earlier, facts).or(facts.program);
            let Some(reason) = why_attach(program, &settings, link.attach) else { continue };
            let message = format!("link {}: {reason}", link.name);
            notes.push(Note { object: "Gateway".to_owned(), message });
            steps.push(Step::Attach {
                link: link.name.to_string(),
                settings,
                mode: link.attach,
                replace_foreign: link.replace_foreign,
                reason,
            });
        }
        for (name, facts) in running(configured) {
            if !links.iter().any(|link| link.name == name) {
                let message = format!("link {name}: the program is taken off");
                notes.push(Note { object: "Gateway".to_owned(), message });
                steps.push(Step::Detach { link: name.to_owned(), ifindex: facts.ifindex });
            }
        }
        steps
    }
}

fn running<'a>(configured: &'a Configured) -> impl Iterator<Item = (&'a str, &'a LinkFacts)> {
    let links = configured.facts.links.iter();
    links.filter(|(_, link)| link.program.is_some()).map(|(name, link)| (name.as_str(), link))
}

fn settings(link: &LinkFacts) -> Option<Settings> {
    link.program.and_then(|program| program.settings)
}

/// The program that a link has after these steps, if they replace it.
fn loaded(steps: &[Step], link: &LinkFacts) -> Option<ProgramFacts> {
    let settings = steps.iter().flat_map(|step| match step {
        Step::Grow(grow) => grow.programs.as_slice(),
        Step::Attach { settings, .. } => std::slice::from_ref(settings),
        _ => &[],
    });
    let mut settings = settings.filter(|settings| settings.ifindex == link.ifindex);
    let settings = settings.next_back()?;
    Some(ProgramFacts { settings: Some(*settings), is_current: true, ..link.program? })
}

/// Why the program of a link must be attached or replaced, if it must.
fn why_attach(
    program: Option<ProgramFacts>,
    wanted: &Settings,
    mode: AttachMode,
) -> Option<String> {
    let Some(program) = program else { return Some("the program is attached".to_owned()) };
    let allowed = match mode {
        AttachMode::Auto => true,
        AttachMode::Native => program.is_native,
        AttachMode::Generic => !program.is_native,
    };
    if !allowed {
        let (is, shall) =
            if program.is_native { ("native", "generic") } else { ("generic", "native") };
        return Some(format!("the program is attached again: it is {is} and shall be {shall}"));
    }
    if !program.is_current {
        return Some("the program is replaced: it uses tables of an earlier version".to_owned());
    }
    match program.settings {
        None => Some("the program is replaced: its settings are not known".to_owned()),
        Some(running) if running.features != wanted.features => {
            Some("the program is replaced: other features are configured".to_owned())
        }
        Some(running) if running != *wanted => {
            Some("the program is replaced: its settings changed".to_owned())
        }
        Some(_) => None,
    }
}
