//! `sluice top`: rates, from two readings of the counters.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use jiff::Unit;
use serde::Serialize;
use sluice_model::{Name, Port};
use tokio::time::sleep;

use super::CliError;
use super::args::{Output, TopOptions};
use super::client::Client;
use super::output::{sections, short, table, text, write, yaml};
use crate::wire::{BackendCounters, Counters, PlacementTraffic, ReasonCount, Traffic};

/// Clears the screen and puts the cursor into its corner.
const CLEAR: &str = "\x1b[H\x1b[2J";
/// Reasons of drops that are shown.
const REASONS: usize = 10;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Rates {
    seconds: f64,
    sent_per_second: f64,
    sent_bits_per_second: f64,
    passed_per_second: f64,
    dropped_per_second: f64,
    placements: Vec<PlaceRate>,
    backends: Vec<BackendRates>,
    drops: Vec<DropRate>,
}

/// Packets that a place sent or dropped itself.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PlaceRate {
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<String>,
    placement: String,
    finished_per_second: f64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct BackendRates {
    service: Name,
    address: IpAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<Port>,
    packets_per_second: f64,
    bits_per_second: f64,
    share: f64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DropRate {
    reason: String,
    per_second: f64,
    total: u64,
}

pub(super) async fn top(
    client: &Client,
    options: &TopOptions,
    output: Output,
) -> Result<(), CliError> {
    let interval = Duration::try_from_secs_f64(options.interval)
        .ok()
        .filter(|interval| *interval >= Duration::from_millis(100))
        .ok_or_else(|| {
            CliError::Argument("--interval: expected at least 0.1 seconds".to_owned())
        })?;
    let clear = if std::io::stdout().is_terminal() && output == Output::Table { CLEAR } else { "" };
    let mut before: Counters = client.get("/v1/counters").await?;
    let mut looks = 0;
    while options.count.is_none_or(|count| looks < count) {
        sleep(interval).await;
        let now: Counters = client.get("/v1/counters").await?;
        let rates = rates(&before, &now, options.service.as_ref());
        write(&match output {
            Output::Table => format!("{clear}{}\n", shown(&rates)),
            Output::Json => serde_json::to_string(&rates)
                .map_err(|error| CliError::Argument(error.to_string()))?,
            Output::Yaml => format!("---\n{}", yaml(&rates)?),
        })?;
        before = now;
        looks += 1;
    }
    Ok(())
}

fn rates(before: &Counters, now: &Counters, only: Option<&Name>) -> Rates {
    let elapsed = now.time.since((Unit::Nanosecond, before.time));
    let seconds = elapsed.map_or(1.0, |span| span.get_nanoseconds() as f64 / 1e9).max(0.001);
    // A counter that is smaller than before was begun anew.
    let rate = |before: u64, now: u64| now.saturating_sub(before) as f64 / seconds;
    let field = |read: fn(&Traffic) -> u64| rate(read(&before.traffic), read(&now.traffic));
    Rates {
        seconds,
        sent_per_second: field(|traffic| traffic.sent_packets),
        sent_bits_per_second: field(|traffic| traffic.sent_bytes) * 8.0,
        passed_per_second: field(|traffic| traffic.passed_packets),
        dropped_per_second: field(|traffic| traffic.dropped_packets),
        placements: place_rates(before, now, &rate),
        backends: backend_rates(before, now, only, &rate),
        drops: drop_rates(before, now, &rate),
    }
}

fn backend_rates(
    before: &Counters,
    now: &Counters,
    only: Option<&Name>,
    rate: &dyn Fn(u64, u64) -> f64,
) -> Vec<BackendRates> {
    type Key<'a> = (&'a Name, IpAddr, Option<Port>);
    let all = |counters: &'_ Counters| -> Vec<(Name, BackendCounters)> {
        let each = counters.services.iter();
        each.flat_map(|service| {
            service.backends.iter().map(|backend| (service.name.clone(), backend.clone()))
        })
        .collect()
    };
    let old = all(before);
    let old: HashMap<Key<'_>, &BackendCounters> = old
        .iter()
        .map(|(name, backend)| ((name, backend.address, backend.port), backend))
        .collect();
    let mut found = Vec::new();
    for service in
        now.services.iter().filter(|service| only.is_none_or(|name| *name == service.name))
    {
        let first = found.len();
        for backend in &service.backends {
            let was = old.get(&(&service.name, backend.address, backend.port));
            let was = |read: fn(&BackendCounters) -> u64| was.map_or(0, |backend| read(backend));
            found.push(BackendRates {
                service: service.name.clone(),
                address: backend.address,
                port: backend.port,
                packets_per_second: rate(was(|backend| backend.packets), backend.packets),
                bits_per_second: rate(was(|backend| backend.bytes), backend.bytes) * 8.0,
                share: 0.0,
            });
        }
        let part = found.get_mut(first..).unwrap_or_default();
        let sum: f64 = part.iter().map(|backend| backend.packets_per_second).sum();
        for backend in part.iter_mut().filter(|_| sum > 0.0) {
            backend.share = backend.packets_per_second / sum;
        }
    }
    found
}

fn place_rates(
    before: &Counters,
    now: &Counters,
    rate: &dyn Fn(u64, u64) -> f64,
) -> Vec<PlaceRate> {
    let of = |place: &PlacementTraffic| {
        let is_same = |other: &&PlacementTraffic| {
            (&other.link, &other.placement) == (&place.link, &place.placement)
        };
        let was = before.placements.iter().find(is_same);
        let finished = |place: &PlacementTraffic| place.sent_packets + place.dropped_packets;
        PlaceRate {
            link: place.link.clone(),
            placement: place.placement.clone(),
            finished_per_second: rate(was.map_or(0, finished), finished(place)),
        }
    };
    now.placements.iter().map(of).collect()
}

fn drop_rates(before: &Counters, now: &Counters, rate: &dyn Fn(u64, u64) -> f64) -> Vec<DropRate> {
    let old: HashMap<_, _> = before
        .reasons
        .iter()
        .filter(|count| count.class == "drop")
        .map(|count| (&count.reason, count.packets))
        .collect();
    let drop_rate = |count: &ReasonCount| DropRate {
        reason: count.reason.clone(),
        per_second: rate(old.get(&count.reason).copied().unwrap_or(0), count.packets),
        total: count.packets,
    };
    let mut drops: Vec<_> =
        now.reasons.iter().filter(|count| count.class == "drop").map(drop_rate).collect();
    drops.sort_by(|a, b| b.per_second.total_cmp(&a.per_second).then(b.total.cmp(&a.total)));
    drops
}

fn shown(rates: &Rates) -> String {
    let head = format!(
        "sent {} packets/s ({} bit/s), passed {}/s, dropped {}/s",
        short(rates.sent_per_second),
        short(rates.sent_bits_per_second),
        short(rates.passed_per_second),
        short(rates.dropped_per_second)
    );
    let places = rates.placements.iter().filter(|_| rates.placements.len() > 1).map(|place| {
        let link = place.link.as_ref().map_or(String::new(), |link| format!(" on {link}"));
        format!("finished by {}{link}: {}/s", place.placement, short(place.finished_per_second))
    });
    let head = std::iter::once(head).chain(places).collect::<Vec<_>>().join("\n");
    let mut backends = table(["SERVICE", "BACKEND", "PACKETS/S", "BIT/S", "SHARE"]);
    for backend in &rates.backends {
        let address = backend.port.map_or(backend.address.to_string(), |port| {
            SocketAddr::new(backend.address, port.get()).to_string()
        });
        backends.add_row([
            backend.service.to_string(),
            address,
            short(backend.packets_per_second),
            short(backend.bits_per_second),
            format!("{:.1} %", backend.share * 100.0),
        ]);
    }
    let mut drops = table(["DROPPED", "PER SECOND", "TOTAL"]);
    for drop in rates.drops.iter().take(REASONS) {
        drops.add_row([drop.reason.clone(), short(drop.per_second), short(drop.total as f64)]);
    }
    sections([
        head,
        if rates.backends.is_empty() { "no backends".to_owned() } else { text(&backends) },
        if rates.drops.is_empty() { String::new() } else { text(&drops) },
    ])
}
