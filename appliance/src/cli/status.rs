//! `sluice status` and `sluice version`.

use serde::Serialize;
use sluice_datapath::abi::ABI_VERSION;
use sluice_model::API_VERSION;

use super::CliError;
use super::args::Output;
use super::client::Client;
use super::describe::links;
use super::output::{age, conditions, print, sections, short, table, text};
use crate::wire::{ReasonCount, Status, Version};

pub(super) async fn status(client: &Client, output: Output) -> Result<(), CliError> {
    print(&client.get::<Status>("/v1/status").await?, output, shown)
}

fn shown(status: &Status) -> String {
    let ready = if status.ready { "ready" } else { "not ready" };
    let head = format!(
        "sluiced {}, {ready}, revision {}, running for {}",
        status.version,
        status.revision,
        age(status.started)
    );
    let totals = &status.totals;
    let mut backends = vec![format!("{} up", totals.backends_up)];
    for (count, state) in [
        (totals.backends_down, "down"),
        (totals.backends_unknown, "unknown"),
        (totals.backends_draining, "draining"),
        (totals.backends_disabled, "disabled"),
    ] {
        if count > 0 {
            backends.push(format!("{count} {state}"));
        }
    }
    let amounts = format!(
        "{} services, {} backends ({}), {} prefixes, {} moving slots",
        totals.services,
        totals.backends,
        backends.join(", "),
        totals.prefixes,
        totals.moving_slots
    );
    let traffic = &status.traffic;
    let packets = format!(
        "packets: {} sent, {} passed to the host, {} dropped",
        short(traffic.sent_packets as f64),
        short(traffic.passed_packets as f64),
        short(traffic.dropped_packets as f64)
    );
    let places = status.placements.iter().map(|place| {
        let link = place.link.as_ref().map_or(String::new(), |link| format!(" on {link}"));
        format!(
            "  {}{link}: {} sent, {} passed on, {} dropped",
            place.placement,
            short(place.sent_packets as f64),
            short(place.passed_packets as f64),
            short(place.dropped_packets as f64)
        )
    });
    let packets = std::iter::once(packets).chain(places).collect::<Vec<_>>().join("\n");
    let directory = status
        .directory
        .problems
        .iter()
        .map(|problem| problem.text.clone())
        .collect::<Vec<_>>()
        .join("\n");
    let directory = match directory.as_str() {
        "" => String::new(),
        problems => format!(
            "{} is broken; the last good configuration holds:\n{problems}",
            status.directory.path
        ),
    };
    sections([
        format!("{head}\n{amounts}\n{packets}"),
        status.gateway.as_ref().map(links).unwrap_or_default(),
        drops(&status.drops),
        conditions(&status.conditions),
        status.gateway.as_ref().map(|gateway| conditions(&gateway.conditions)).unwrap_or_default(),
        directory,
    ])
}

fn drops(counts: &[ReasonCount]) -> String {
    if counts.is_empty() {
        return String::new();
    }
    let mut rows = table(["DROPPED", "PACKETS", "WHY"]);
    for count in counts {
        let packets = short(count.packets as f64);
        rows.add_row([count.reason.clone(), packets, count.explanation.clone()]);
    }
    text(&rows)
}

#[derive(Serialize)]
struct Versions {
    command: Version,
    #[serde(skip_serializing_if = "Option::is_none")]
    daemon: Option<Version>,
}

/// Tells the command's own version even when no daemon answers.
pub(super) async fn version(client: &Client, output: Output) -> Result<(), CliError> {
    let command = Version {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        abi: ABI_VERSION,
        api_version: API_VERSION.to_owned(),
    };
    let daemon = match client.get::<Version>("/v1/version").await {
        Ok(version) => Some(version),
        Err(CliError::Unreachable { .. }) => None,
        Err(error) => return Err(error),
    };
    let line = |name: &str, version: &Version| {
        format!(
            "{name} {}, objects {}, tables {}",
            version.version, version.api_version, version.abi
        )
    };
    print(&Versions { command, daemon }, output, |versions| {
        let daemon = versions
            .daemon
            .as_ref()
            .map_or("sluiced: no answer".to_owned(), |version| line("sluiced", version));
        format!("{}\n{daemon}", line("sluice", &versions.command))
    })
}
