//! What editors prepare.

use sluice_model::validate;

use super::{ChangeError, Engine};
use crate::store::{self, Order, Refusal, SessionEnds, cut_off};
use crate::wire::{
    Applied, Candidate, CandidateDiff, CandidateList, Conflict, ProblemItem, Validation, Warning,
};

impl Engine {
    /// Puts a change into its author's candidate. Nothing takes effect.
    pub(super) fn edit_candidate(&mut self, order: Order) -> Result<Applied, ChangeError> {
        let Order { change, author, dry_run, session, .. } = order;
        if !change.is_for_candidates() {
            return Err(Refusal::NotForCandidate(change.origin().as_str()).into());
        }
        let known = self.candidates.get(&author.name).cloned();
        let mut candidate = known.unwrap_or_else(|| store::Candidate::new(self.desired.revision));
        let before = candidate.view(&self.desired);
        let touched = candidate.edit(&self.desired, change)?;
        let after = candidate.view(&self.desired);
        let diff = before.objects.diff(&after.objects);
        let warnings = self.warnings(&after, session);
        if !dry_run && !touched.is_empty() {
            let is_empty = candidate.edits.is_empty();
            let kept = (!is_empty).then_some(&candidate);
            self.store.put_candidate(&author.name, kept, &touched)?;
            if is_empty {
                self.candidates.remove(&author.name);
            } else {
                self.candidates.insert(author.name, candidate);
            }
        }
        let revision = self.desired.revision;
        Ok(Applied { revision, dry_run, candidate: true, diff, warnings, ..Applied::default() })
    }

    /// What an editor has prepared.
    pub fn candidate(&self, editor: &str) -> Candidate {
        self.shown(editor, true)
    }

    /// The candidates of all editors.
    pub fn candidates(&self) -> CandidateList {
        let items = self.candidates.keys().map(|editor| self.shown(editor, false)).collect();
        CandidateList { revision: self.desired.revision, items }
    }

    fn shown(&self, editor: &str, with_objects: bool) -> Candidate {
        let Some(candidate) = self.candidates.get(editor) else {
            let base = self.desired.revision;
            return Candidate { editor: editor.to_owned(), base, ..Candidate::default() };
        };
        let mut conflicts = match candidate.merged(&self.desired) {
            Ok((_, conflicts)) => conflicts,
            // A file has it by now: the commit will say so.
            Err(_) => Vec::new(),
        };
        for (name, other) in self.candidates.iter().filter(|(name, _)| *name != editor) {
            conflicts.extend(candidate.conflicts_with(name, other));
        }
        Candidate {
            editor: editor.to_owned(),
            base: candidate.base,
            since: Some(candidate.since),
            edited: Some(candidate.edited),
            edits: candidate.shown(with_objects),
            conflicts,
        }
    }

    /// Throws away what an editor has prepared; tells what it was.
    ///
    /// # Errors
    /// When the state directory cannot be written.
    pub fn discard(&mut self, editor: &str) -> Result<Candidate, ChangeError> {
        let discarded = self.candidate(editor);
        if self.candidates.contains_key(editor) {
            self.store.put_candidate(editor, None, &[])?;
            self.candidates.remove(editor);
        }
        Ok(discarded)
    }

    /// What a commit of an editor's candidate would change.
    ///
    /// # Errors
    /// When an object belongs to a file by now.
    pub fn candidate_diff(
        &self,
        editor: &str,
        session: Option<SessionEnds>,
    ) -> Result<CandidateDiff, ChangeError> {
        let (after, conflicts) = self.merged(editor)?;
        Ok(CandidateDiff {
            revision: self.desired.revision,
            diff: self.desired.objects.diff(&after.objects),
            conflicts,
            warnings: self.warnings(&after, session),
        })
    }

    /// Whether an editor's candidate could be committed.
    pub fn validate_candidate(&self, editor: &str, session: Option<SessionEnds>) -> Validation {
        let merged = self.merged(editor).map_err(ChangeError::from);
        let (after, conflicts, refused) = match merged {
            Ok((after, conflicts)) => (after, conflicts, None),
            Err(error) => (self.desired.clone(), Vec::new(), Some(error)),
        };
        let mut problems: Vec<_> = match validate(&after.objects) {
            Ok(()) => Vec::new(),
            Err(problems) => problems.iter().map(ProblemItem::from).collect(),
        };
        let refused = refused.map(|error| sluice_model::Problem::new(error.to_string()));
        problems.extend(refused.as_ref().map(ProblemItem::from));
        let warnings = self.warnings(&after, session);
        let valid = problems.is_empty() && conflicts.is_empty();
        Validation { valid, problems, conflicts, warnings }
    }

    fn merged(&self, editor: &str) -> Result<(store::Desired, Vec<Conflict>), Refusal> {
        let Some(candidate) = self.candidates.get(editor) else {
            return Ok((self.desired.clone(), Vec::new()));
        };
        let (objects, conflicts) = candidate.merged(&self.desired)?;
        let revision = self.desired.revision;
        Ok((store::Desired { objects: objects.into(), revision }, conflicts))
    }

    /// What an editor's candidate would be as the next revision.
    pub(super) fn committable(&self, editor: &str) -> Result<store::Proposal, Refusal> {
        let candidate = self.candidates.get(editor).ok_or(Refusal::EmptyCandidate)?;
        let (objects, conflicts) = candidate.merged(&self.desired)?;
        if !conflicts.is_empty() {
            return Err(Refusal::Conflicts(conflicts));
        }
        self.desired.becoming(objects)
    }

    /// What speaks against these objects without making them impossible.
    pub(super) fn warnings(
        &self,
        after: &store::Desired,
        session: Option<SessionEnds>,
    ) -> Vec<Warning> {
        let warn = |session| cut_off(&self.desired.objects, &after.objects, session);
        session.map(warn).unwrap_or_default()
    }
}
