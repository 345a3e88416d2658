//! What is around the datapath: links, routes, neighbours and the health of backends.

use std::collections::HashSet;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use sluice_kernel::{NetworkEvent, Routing, Unroutable};
use sluice_model::status::HealthState;
use tokio::time::sleep;
use tracing::warn;

use super::Engine;
use super::hops::Followup;
use crate::event::{Event, EventKind, Severity};
use crate::health::{BackendKey, Verdict};

/// Routes asked for at one time.
const ROUTES_AT_ONCE: usize = 64;

/// So many routes may be asked for as often as one changes.
const FEW_ROUTES: usize = 1000;
/// More are asked for no sooner than after so long.
const ROUTES_PAUSE: Duration = Duration::from_secs(1);

/// A new backend's neighbour is awaited so long before the backend is programmed.
const FIRST_ANSWER: Duration = Duration::from_millis(200);
/// How often is looked meanwhile.
const LOOK: Duration = Duration::from_millis(5);

/// What must be done because of what was heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Dirty {
    /// Plan anew.
    pub(super) plan: bool,
    /// Ask for all routes again.
    pub(super) routes: bool,
    /// Read links and neighbours again, too.
    pub(super) everything: bool,
}

impl Dirty {
    pub(super) const fn any(self) -> bool {
        self.plan || self.routes || self.everything
    }
}

impl Engine {
    /// Takes in a change of the network.
    pub(super) fn learn(&mut self, event: NetworkEvent) {
        let is_link = matches!(event, NetworkEvent::Link(_) | NetworkEvent::LinkGone { .. });
        if let NetworkEvent::Link(link) = &event {
            self.cards.doubt(&link.name);
        }
        match self.hops.learn(event) {
            Followup::None => {}
            Followup::Routes => self.dirty.routes = true,
            Followup::Everything => self.dirty.everything = true,
        }
        self.dirty.plan |= is_link;
        self.note_hops();
    }

    /// Reads again what the last changes put in doubt.
    pub(super) async fn look_around(&mut self) {
        if self.dirty.everything {
            self.read_links_and_neighbours().await;
        }
        if self.dirty.everything || (self.dirty.routes && self.may_ask_routes()) {
            self.dirty.routes = false;
            let wanted = self.hops.wanted();
            self.ask_routes(wanted).await;
        }
        self.dirty.everything = false;
        self.note_hops();
    }

    /// Whether all routes may be asked for again now. Where there are many, and routes change all the time, that would
    /// be all that is done.
    fn may_ask_routes(&self) -> bool {
        let asked = self.maintenance.routes_asked;
        self.hops.len() <= FEW_ROUTES || asked.is_none_or(|asked| asked.elapsed() >= ROUTES_PAUSE)
    }

    async fn read_links_and_neighbours(&mut self) {
        match self.network.links().await {
            Ok(links) => self.hops.set_links(links),
            Err(error) => warn!(%error, "links cannot be read"),
        }
        match self.network.neighbours().await {
            Ok(neighbours) => self.hops.set_neighbours(neighbours),
            Err(error) => warn!(%error, "neighbours cannot be read"),
        }
        self.dirty.plan = true;
    }

    async fn ask_routes(&mut self, addresses: Vec<IpAddr>) {
        self.maintenance.routes_asked = Some(Instant::now());
        let network = &self.network;
        let ask = |address| async move { (address, network.route(address).await) };
        let answers: Vec<_> =
            stream::iter(addresses).map(ask).buffer_unordered(ROUTES_AT_ONCE).collect().await;
        for (address, routing) in answers {
            let routing = routing.unwrap_or_else(|error| {
                warn!(%address, %error, "route cannot be read");
                Routing::Not(Unroutable::NoRoute)
            });
            self.hops.set_route(address, routing);
        }
    }

    /// Makes these the addresses whose next hops are known. Those of new ones are awaited a moment, so that a backend
    /// does not begin with lost packets.
    pub(super) async fn want_hops(&mut self, addresses: &HashSet<IpAddr>) {
        let new = self.hops.want(addresses);
        self.await_hops(new).await;
    }

    /// The same for addresses besides those whose next hops are known.
    pub(super) async fn want_more_hops(&mut self, addresses: impl IntoIterator<Item = IpAddr>) {
        let new = self.hops.want_too(addresses);
        self.await_hops(new).await;
    }

    async fn await_hops(&mut self, new: Vec<IpAddr>) {
        if new.is_empty() {
            return;
        }
        self.ask_routes(new.clone()).await;
        self.probe().await;
        // By the clock: with many neighbours, looking takes longer than waiting.
        let begun = Instant::now();
        while begun.elapsed() < FIRST_ANSWER
            && new.iter().any(|address| self.hops.is_asking(*address))
        {
            sleep(LOOK).await;
            if let Ok(neighbours) = self.network.neighbours().await {
                self.hops.set_neighbours(neighbours);
            }
        }
        self.note_hops();
    }

    /// Asks the neighbours that are in doubt and due.
    pub(super) async fn probe(&mut self) {
        let due = self.maintenance.probing.due(&self.hops.doubtful(), Instant::now());
        for (address, ifindex) in due {
            if let Err(error) = self.network.probe(address, ifindex).await {
                warn!(%address, ifindex, %error, "neighbour cannot be asked");
            }
        }
    }

    /// Tells and plans what changed about next hops.
    fn note_hops(&mut self) {
        for address in self.hops.take_changed() {
            self.dirty.plan = true;
            let concerned: Vec<_> =
                self.index.at_address(address).map(|key| key.service.to_string()).collect();
            if concerned.is_empty() {
                continue;
            }
            let event = match self.hops.hop(address) {
                Ok(hop) => {
                    let link = self.hops.link(hop.ifindex).map_or("", |link| link.name.as_str());
                    let message =
                        format!("packets go to {} on link {link}", crate::trace::mac(hop.mac));
                    Event::new(EventKind::NeighbourFound, Severity::Info, message)
                }
                Err(why) => Event::new(
                    EventKind::NeighbourLost,
                    Severity::Error,
                    format!("no next hop: {why}"),
                ),
            };
            self.log
                .push(event.about(format_args!("backend {address}")).with("services", concerned));
        }
    }

    /// Takes in what the probes of a backend say now.
    pub(super) fn heard_of(&mut self, key: &BackendKey) {
        let Some(report) = self.monitor.report(key) else { return };
        let known = self.maintenance.verdicts.insert(key.clone(), report.verdict);
        if known == Some(report.verdict) {
            return;
        }
        self.dirty.plan = true;
        self.planning.forget_health(&key.service);
        self.conditions.doubt(&key.service);
        let backend = key.endpoint();
        let (kind, severity, message) = match report.verdict {
            Verdict::Unknown => return,
            Verdict::Up => {
                (EventKind::BackendUp, Severity::Info, format!("{backend} answers its probes"))
            }
            Verdict::Down => {
                let why = report.last_error.unwrap_or_default();
                (
                    EventKind::BackendDown,
                    Severity::Error,
                    format!("{backend} does not answer its probes: {why}"),
                )
            }
        };
        let event = Event::new(kind, severity, message)
            .about(format_args!("Service/{}", key.service))
            .with("backend", key.address.to_string())
            .with("state", HealthState::from(report.verdict).as_str());
        self.log.push(match key.port {
            Some(port) => event.with("port", port.get()),
            None => event,
        });
    }
}
