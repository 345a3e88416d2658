//! Why a change did not take effect.

use sluice_model::{LinkName, Problem};

use crate::store::{Refusal, StoreError};

/// Why a change did not take effect. Unless it says otherwise, everything is as it was before.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The change may not be, or its result would not be valid.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The objects are valid, but this gateway cannot do what they say.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Unplannable(Vec<Problem>),
    /// A link that the change names cannot be used.
    #[error("Gateway: spec.links: {link}: {error}")]
    Link {
        /// Which.
        link: LinkName,
        /// Why, with the kernel's words.
        error: sluice_kernel::Error,
    },
    /// The kernel refused.
    #[error("{0}")]
    Kernel(#[from] sluice_kernel::Error),
    /// A card can neither forget what will not be true any more nor be taken off. The host is as it was.
    #[error("{0}")]
    Card(sluice_kernel::Error),
    /// The configuration could not be written down.
    #[error("{0}")]
    State(#[from] StoreError),
    /// The change failed, and so did going back.
    #[error("{error}; and going back failed: {undo}; it is tried again every second")]
    NotUndone {
        /// Why the change failed.
        error: Box<ChangeError>,
        /// Why going back failed.
        undo: String,
    },
    /// The engine ended.
    #[error(transparent)]
    Gone(#[from] EngineGone),
}

impl ChangeError {
    /// Whether the host's tables may hold a part of the change.
    pub(super) const fn concerns_tables(&self) -> bool {
        !matches!(self, Self::Card(_))
    }
}

/// The daemon is stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the daemon is stopping: what was programmed goes on running")]
pub struct EngineGone;
