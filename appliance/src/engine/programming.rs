//! Carrying out a plan.

use std::collections::HashSet;

use sluice_datapath::abi::{
    NAT_INDICES_PER_ADDRESS, NAT_WAYS, NatRecord, NatTags, Settings, Shared64, Table,
};
use sluice_kernel::{AttachRequest, TableStore};
use sluice_model::LinkName;
use sluice_model::objects::Objects;
use sluice_planner::{Copy, Grow, Note, Plan, Step};
use tracing::{debug, info, warn};

use super::index::Index;
use super::planning::{kernel_sizes, planner_sizes, read_state};
use super::sink::write;
use super::{ChangeError, Engine};

/// Changes of one plan that are logged.
const NOTES: usize = 40;
/// So often a card is asked for smaller tables in one change: each time for half of the size.
const CARD_ATTEMPTS: usize = 48;

impl Engine {
    /// Carries out a plan. A link of `strict` that cannot be attached is an error; other links keep their trouble for
    /// themselves.
    ///
    /// # Errors
    /// When the kernel refuses something. What was done before stays done: [`Engine::undo`] goes back.
    pub(super) fn program(
        &mut self,
        objects: &Objects,
        mut plan: Plan,
        strict: &HashSet<LinkName>,
    ) -> Result<u64, ChangeError> {
        let mut changed = 0;
        tell(&plan.notes, &mut self.planning.told);
        let concerns_objects = !plan.notes.is_empty();
        let mut cards = self.plan_cards(objects, &plan)?;
        self.cards.withdraw(&cards, &self.log).map_err(ChangeError::Card)?;
        for step in std::mem::take(&mut plan.steps) {
            changed += self.carry_out(step, strict)?;
        }
        // A card may have room for less than was planned, or refuse; then the rest is planned anew for it.
        for _ in 0..CARD_ATTEMPTS {
            if !self.cards.add(&cards, &self.log).is_to_plan_again() {
                break;
            }
            cards = self.plan_cards(objects, &plan)?;
            self.cards.withdraw(&cards, &self.log)?;
        }
        self.dirty.plan |= self.cards.forgive();
        self.planning.state = plan.next;
        self.planning.placements = cards.placements;
        self.cards.show_loading(&mut self.planning.placements);
        self.planning.unmet = cards.refused;
        self.check_links()?;
        if changed > 0 || concerns_objects {
            self.index = Index::read(&*self.datapath.tables());
        }
        Ok(changed)
    }

    /// Puts a program that lets everything pass on links that have none of ours yet, to see whether it can be done. The
    /// plan replaces it.
    ///
    /// # Errors
    /// When one of the links cannot be used.
    pub(super) fn try_links(
        &mut self,
        objects: &Objects,
        wanted: &HashSet<LinkName>,
    ) -> Result<(), ChangeError> {
        let attached = self.datapath.attached()?;
        let links = objects.gateway().map_or(&[][..], |gateway| &gateway.spec.links);
        for link in links.iter().filter(|link| wanted.contains(&link.name)) {
            let Some(ifindex) = self.hops.link_named(link.name.as_str()).map(|link| link.ifindex)
            else {
                continue;
            };
            if attached.iter().any(|attachment| attachment.link.ifindex == ifindex) {
                continue;
            }
            let settings = Settings { ifindex, ..Settings::NONE };
            let mode = super::links::attach_mode(link.attach);
            let request = AttachRequest { settings, mode, replace_foreign: link.replace_foreign };
            let attached = self.datapath.attach(&request);
            let attached =
                attached.map_err(|error| ChangeError::Link { link: link.name.clone(), error })?;
            self.links.attached(&link.name, attached.replaced.as_ref());
        }
        Ok(())
    }

    /// One step; how many entries differed.
    fn carry_out(&mut self, step: Step, strict: &HashSet<LinkName>) -> Result<u64, ChangeError> {
        match step {
            Step::Grow(grow) => return self.grow(grow),
            Step::Write(entries) => return Ok(write(&*self.datapath.tables(), &[entries])?),
            Step::ResetCounters { backends, services } => {
                for id in backends {
                    self.cards.counters.forget_backend(id);
                    self.datapath.reset_backend_count(id)?;
                }
                for number in services {
                    self.datapath.reset_service_counts(number)?;
                }
            }
            Step::ForgetRecords { number } => forget_records(&*self.datapath.tables(), number),
            Step::Attach { link, settings, mode, replace_foreign, reason } => {
                let Ok(name) = LinkName::new(link) else { return Ok(0) };
                if !strict.contains(&name) && !self.links.may_try(&name) {
                    return Ok(0);
                }
                let request = AttachRequest {
                    settings,
                    mode: super::links::attach_mode(mode),
                    replace_foreign,
                };
                match self.datapath.attach(&request) {
                    Ok(attached) => {
                        info!(link = %name, mode = %attached.mode, reason, "program attached");
                        self.links.attached(&name, attached.replaced.as_ref());
                        // Where the stages run is known only now.
                        self.dirty.plan = true;
                    }
                    Err(error) if strict.contains(&name) => {
                        return Err(ChangeError::Link { link: name, error });
                    }
                    Err(error) => self.links.refused(&name, &error),
                }
            }
            Step::Detach { link, ifindex } => {
                info!(link, "program detached");
                self.datapath.detach(ifindex)?;
            }
        }
        Ok(0)
    }

    fn grow(&mut self, grow: Grow) -> Result<u64, ChangeError> {
        let result = self.grow_staged(&grow);
        if result.is_err() {
            self.datapath.unstage()?;
        }
        result
    }

    fn grow_staged(&mut self, grow: &Grow) -> Result<u64, ChangeError> {
        let staged = self.datapath.stage(&kernel_sizes(&grow.sizes))?;
        for copy in &grow.copies {
            copy_entries(&*staged, copy);
        }
        let changed = write(&*staged, &grow.fill)?;
        let committed = self.datapath.commit(&grow.programs)?;
        info!(
            switched = committed.switched.len(),
            merged_words = committed.merged_words,
            "tables grew: {}",
            grow.tables.iter().map(|(table, _)| table.name()).collect::<Vec<_>>().join(", ")
        );
        Ok(changed)
    }

    /// Goes back to the configuration in force after a failure half way. The tables tell what was done.
    pub(super) fn undo(&mut self, error: ChangeError) -> ChangeError {
        let objects = self.desired.objects.clone();
        self.planning.forget_all_health();
        let doubted = if error.concerns_tables() { self.doubt() } else { Ok(()) };
        let back = doubted.map_err(|error| error.to_string()).and_then(|()| {
            let plan = self.plan(&objects).map_err(|error| error.to_string())?;
            self.program(&objects, plan, &HashSet::new()).map_err(|error| error.to_string())
        });
        match back {
            Ok(_) => error,
            Err(undo) => {
                self.dirty.plan = true;
                warn!(%error, undo, "a change failed and could not be undone");
                ChangeError::NotUndone { error: Box::new(error), undo }
            }
        }
    }

    /// Believes nothing but what the tables say, and computes everything anew with the next plan.
    pub(super) fn doubt(&mut self) -> sluice_kernel::Result<()> {
        self.planning.state = read_state(&*self.datapath)?;
        Ok(())
    }

    /// Reads back how the links are.
    pub(super) fn check_links(&mut self) -> sluice_kernel::Result<()> {
        let attached = self.datapath.attached()?;
        let objects = self.desired.objects.clone();
        let configured = objects.gateway().map_or(&[][..], |gateway| &gateway.spec.links);
        if self.links.observe(configured, attached, &self.hops, &self.log) {
            self.dirty.plan = true;
        }
        Ok(())
    }

    /// Sizes of the tables in use, in the planner's terms.
    pub(super) fn sizes(&self) -> sluice_planner::Sizes {
        planner_sizes(&self.datapath.sizes())
    }
}

/// Logs what a plan changes; the rest of a long list only on request. What the last plan said already (a link that is
/// refused again and again) is not repeated.
fn tell(notes: &[Note], told: &mut HashSet<String>) {
    let before = std::mem::take(told);
    told.extend(notes.iter().map(|note| format!("{}: {}", note.object, note.message)));
    let is_new = |note: &&Note| !before.contains(&format!("{}: {}", note.object, note.message));
    let notes: Vec<_> = notes.iter().filter(is_new).collect();
    let (first, rest) = notes.split_at(notes.len().min(NOTES));
    for note in first {
        info!(object = %note.object, "{}", note.message);
    }
    for note in rest {
        debug!(object = %note.object, "{}", note.message);
    }
    if !rest.is_empty() {
        info!("and {} changes more", rest.len());
    }
}

/// Moves entries within a table; the places may overlap.
fn copy_entries(store: &dyn TableStore, copy: &Copy) {
    let size = copy.table.value_size() / 8;
    let words = store.words(copy.table);
    let range = |first: u32| {
        let first = first as usize * size;
        words.get(first..first + copy.entries as usize * size).unwrap_or_default()
    };
    let (from, to) = (range(copy.from), range(copy.to));
    let move_word = |(from, to): (&Shared64, &Shared64)| to.refresh(from.get());
    if copy.to > copy.from {
        from.iter().zip(to).rev().for_each(move_word);
    } else {
        from.iter().zip(to).for_each(move_word);
    }
}

/// Ends all translated flows of a pool address: records before tags, as the sweep does.
fn forget_records(store: &dyn TableStore, number: u32) {
    let clear = |table: Table, first: u32, entries: u32, size: usize| {
        let words = size / 8;
        let range = first as usize * words..(first + entries) as usize * words;
        store.words(table).get(range).unwrap_or_default().iter().for_each(|word| word.refresh(0));
    };
    let first = number * NAT_INDICES_PER_ADDRESS;
    clear(Table::NatRecords, first, NAT_INDICES_PER_ADDRESS, size_of::<NatRecord>());
    let ways = NAT_WAYS as u32;
    clear(Table::NatTags, first / ways, NAT_INDICES_PER_ADDRESS / ways, size_of::<NatTags>());
}
