//! Loading programs for cards while the engine goes on: a driver may verify and translate for seconds, and meanwhile the
//! host's configuration must be changeable.
//!
//! What the card runs stays there until the new program is loaded. What is not true any more has been withdrawn from it by
//! then, so that the rest is a true part; it only is not what is planned yet.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sluice_kernel::{CardLoader, CardRequest, Error, LoadedCard, Result};
use sluice_model::status::NotChosen;
use sluice_planner::LinkPlacement;
use sluice_planner::card::{CardContents, placement_of};
use tokio::sync::mpsc;
use tracing::info;

use super::OnCards;

/// A card that is so quick is waited for.
pub(super) const GRACE: Duration = Duration::from_millis(50);
/// Who requires a card waits for it so long.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// A program on its way.
#[derive(Debug)]
pub(super) struct Loading {
    /// Without contents: those are written at the end.
    request: CardRequest,
    since: Instant,
    outcome: Arc<Outcome>,
}

#[derive(Debug, Default)]
struct Outcome {
    result: Mutex<Option<Result<LoadedCard>>>,
    is_there: Condvar,
}

impl Outcome {
    fn lock(&self) -> MutexGuard<'_, Option<Result<LoadedCard>>> {
        self.result.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Loading {
    /// Begins to load; `wake` is told when it is done.
    pub(super) fn begin(
        request: &CardRequest,
        loader: Box<dyn CardLoader>,
        wake: mpsc::UnboundedSender<()>,
    ) -> Self {
        let request = CardRequest { contents: Vec::new(), ..request.clone() };
        let outcome = Arc::new(Outcome::default());
        let (asked, told) = (request.clone(), Arc::clone(&outcome));
        let load = move || {
            let result = loader.load(&asked);
            *told.lock() = Some(result);
            told.is_there.notify_all();
            // The engine may have ended.
            let _ = wake.send(());
        };
        // Not one of the runtime's threads: those are waited for when the daemon ends, and a driver may never answer.
        if let Err(error) = std::thread::Builder::new().name("card-loader".to_owned()).spawn(load) {
            let why = format!("no thread that loads the card's program can be started: {error}");
            *outcome.lock() = Some(Err(Error::HostObject(why)));
        }
        Self { request, since: Instant::now(), outcome }
    }

    /// Whether this is what is asked for.
    fn is_for(&self, request: &CardRequest) -> bool {
        let key = |of: &CardRequest| (of.ifindex, of.hook, of.program, of.sizes);
        key(&self.request) == key(request)
    }

    fn is_done(&self) -> bool {
        self.outcome.lock().is_some()
    }

    /// What came of it, if it comes in time.
    fn take(&self, patience: Duration) -> Option<Result<LoadedCard>> {
        let waiting = self.outcome.lock();
        let waited =
            self.outcome.is_there.wait_timeout_while(waiting, patience, |result| result.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.take()
    }
}

impl OnCards {
    /// The program of a request, once it is loaded; none while that takes longer than anybody waits.
    ///
    /// # Errors
    /// When the card refuses it.
    pub(super) fn loaded(
        &mut self,
        link: &str,
        request: &CardRequest,
    ) -> Result<Option<LoadedCard>> {
        let Some(setup) = &self.kernel else { return Ok(None) };
        let on_card = self.links.entry(link.to_owned()).or_default();
        // A driver that works on something else is not asked twice at a time; what it makes will not be used.
        let is_other = |loading: &Loading| !loading.is_for(request);
        if on_card.loading.as_ref().is_some_and(|loading| is_other(loading) && !loading.is_done()) {
            return Ok(None);
        }
        on_card.loading.take_if(|loading| is_other(loading));
        let begin = || {
            let (program, hook) = (request.program, request.hook);
            info!(link, %program, %hook, "a program for the card is loaded");
            Loading::begin(request, setup.cards.loader(), self.wake.clone())
        };
        let loading = on_card.loading.get_or_insert_with(begin);
        let Some(result) = loading.take(self.patience) else { return Ok(None) };
        on_card.loading = None;
        result.map(Some)
    }

    /// Whether a program was loaded that nobody took yet.
    pub(in crate::engine) fn is_loaded(&self) -> bool {
        self.links.values().filter_map(|card| card.loading.as_ref()).any(Loading::is_done)
    }

    /// Drops what was loaded and is not wanted any more: it takes the card's memory.
    pub(super) fn drop_unwanted(&mut self) {
        for card in self.links.values_mut() {
            card.loading.take_if(|loading| loading.is_done());
        }
    }

    /// A change that requires a card waits for it; others do not.
    pub(in crate::engine) fn set_patient(&mut self, is_patient: bool) {
        self.patience = if is_patient { PATIENCE } else { GRACE };
    }

    /// Cards whose program is being loaded, and for how long.
    pub(in crate::engine) fn loading(&self) -> impl Iterator<Item = (&str, Duration)> {
        self.links.iter().filter_map(|(link, card)| {
            let since = card.loading.as_ref()?.since;
            Some((link.as_str(), since.elapsed()))
        })
    }

    /// Shows where stages run whose new program is not loaded yet.
    pub(in crate::engine) fn show_loading(&self, placements: &mut [LinkPlacement]) {
        for (link, _) in self.loading() {
            let held = self.links.get(link).map(|card| &card.held);
            let shown = placements.iter_mut().filter(|placement| placement.link == link);
            shown.zip(held).for_each(|(placement, held)| show(placement, held));
        }
    }
}

fn show(placement: &mut LinkPlacement, held: &CardContents) {
    for stage in &mut placement.stages {
        let (Some(planned), Some(host)) = (stage.placement, stage.behind) else { continue };
        let program = held.program.filter(|program| {
            let stages = sluice_model::Stage::ALL.into_iter();
            stages.filter(|one| program.stages.has(*one)).any(|one| one.as_str() == stage.stage)
        });
        let on_card = program.map(|program| placement_of(program.hook));
        stage.reason = "the program for the card is being loaded".to_owned();
        // What is there is a part of it, and changes.
        stage.holds.clear();
        if on_card == Some(planned) {
            continue;
        }
        stage.placement = on_card.or(Some(host));
        stage.behind = on_card.and(stage.behind);
        stage.not_chosen.push(NotChosen {
            placement: planned,
            reason: "the program for the card is being loaded".to_owned(),
            evidence: None,
            change: Some("it is used by itself when the driver has verified it".to_owned()),
        });
    }
}
