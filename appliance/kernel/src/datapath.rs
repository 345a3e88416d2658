use crate::{AttachRequest, Attached, Attachment, Events, LinkName, Result, Sizes, TableStore};
use sluice_datapath::abi::{BackendCount, Count, PrefilterHit, ServiceCounts, Settings};
use std::{sync::Arc, time::Duration};

/// The packet pipeline in the kernel: tables, the programs on the links, counters and events.
///
/// Calls block for microseconds, those that load programs or copy tables for up to a second.
pub trait Datapath: Send {
    /// The tables in use. After [`Datapath::commit`] these are others: ask again.
    fn tables(&self) -> Arc<dyn TableStore>;

    /// Sizes of the tables in use.
    fn sizes(&self) -> Sizes;

    /// Makes larger versions of the tables that are smaller than `wanted`, with the contents of the old; returns
    /// the whole set as it will be, to be filled before [`Datapath::commit`]. Tables only grow. Tables that keep
    /// their size are the ones in use: what is written to them acts at once.
    ///
    /// Entries keep their index. In tables that the datapath addresses by hash (remembered flows, fragments) the
    /// contents repeat, so that every flow is found; their sizes must be powers of two. What the caller places by
    /// hash (virtual addresses) or in halves (prefilter) stands at its old place and must be written anew. Staging
    /// anew forgets what was staged before.
    fn stage(&mut self, wanted: &Sizes) -> Result<Arc<dyn TableStore>>;

    /// Forgets what is staged.
    fn unstage(&mut self) -> Result<()>;

    /// Switches to the staged tables: loads a program with them for every attached link, replaces the links'
    /// programs, and takes over what the datapath wrote into its own tables meanwhile.
    ///
    /// `settings` holds one for every link of ours, by `ifindex`; others are ignored.
    ///
    /// # Errors
    /// On an error the old tables and programs are in use on all links, and the staged tables stay staged.
    fn commit(&mut self, settings: &[Settings]) -> Result<Committed>;

    /// Loads the program with the request's settings and the tables in use, and attaches it. A program of ours
    /// on the link is replaced without a gap, unless the mode must change.
    ///
    /// # Errors
    /// [`crate::Error::Foreign`] if somebody else's program is attached and may not be replaced. After an error
    /// the link's program is what it was before.
    fn attach(&mut self, request: &AttachRequest) -> Result<Attached>;

    /// Our programs on the links of this network namespace, read from the kernel.
    fn attached(&self) -> Result<Vec<Attachment>>;

    /// Removes our program from a link; whether there was one.
    fn detach(&mut self, ifindex: u32) -> Result<bool>;

    /// Packets and bytes by [`sluice_datapath::abi::Reason`], in the order of their numbers.
    fn counts(&self) -> Result<Vec<Count>>;

    /// What these backends were sent and answered, in the order of `ids`.
    fn backend_counts(&self, ids: &[u32]) -> Result<Vec<BackendCount>>;

    /// What these services did not simply deliver, in the order of `services`.
    fn service_counts(&self, services: &[u32]) -> Result<Vec<ServiceCounts>>;

    /// The used slots of all CPUs.
    fn prefilter_hits(&self) -> Result<Vec<PrefilterHit>>;

    /// Sets the counters of a backend to zero, before its id is used for another.
    fn reset_backend_count(&mut self, id: u32) -> Result<()>;

    /// Sets the counters of a service to zero, before its index is used for another.
    fn reset_service_counts(&mut self, service: u32) -> Result<()>;

    /// The events, those first that nobody has read yet. There is one ring and one reader: the stream of an
    /// earlier call ends.
    ///
    /// Must be called in a Tokio runtime.
    fn events(&mut self) -> Result<Events>;

    /// The datapath's clock in ticks.
    fn now(&self) -> Result<u32>;

    /// A tick is this power of two of the kernel's jiffies: for [`Settings::tick_shift`].
    fn tick_shift(&self) -> u32;

    /// How long a tick is.
    fn tick_duration(&self) -> Duration;
}

/// What was found when a datapath was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Whether the tables are old or new.
    pub takeover: Takeover,
    /// What was put in order, in words: an interrupted change, attachments of links that are gone.
    pub notes: Vec<String>,
    /// Programs of ours that run.
    pub attached: Vec<Attachment>,
}

/// Where the tables come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Takeover {
    /// There were none.
    Created,
    /// Those of an earlier process, with their contents.
    TakenOver,
    /// There were tables, but they do not fit this version. Programs that run keep using them until they are
    /// attached again.
    Replaced {
        /// What did not fit.
        why: String,
    },
}

/// What a commit did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Links whose program was replaced.
    pub switched: Vec<LinkName>,
    /// Links of ours that were deleted meanwhile.
    pub vanished: Vec<LinkName>,
    /// Words that the datapath wrote into the old tables while the programs changed, and that were taken over.
    pub merged_words: u64,
}
