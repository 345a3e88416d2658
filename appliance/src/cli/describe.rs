//! `sluice describe`.

use sluice_model::status::{BackendStatus, GatewayStatus, NextHop, PrefilterAction};
use sluice_model::{Kind, Name};

use super::CliError;
use super::args::Output;
use super::client::Client;
use super::get::{mode, origin};
use super::output::{age, conditions, print, sections, short, table, text};
use crate::wire::{Gateway, Prefilter, Service};

pub(super) async fn describe(
    client: &Client,
    kind: Kind,
    name: &Name,
    output: Output,
) -> Result<(), CliError> {
    let path = format!("/v1/{}/{name}", kind.plural());
    match kind {
        Kind::Gateway => print(&client.get::<Gateway>(&path).await?, output, gateway),
        Kind::Service => print(&client.get::<Service>(&path).await?, output, service),
        Kind::Prefilter => print(&client.get::<Prefilter>(&path).await?, output, prefilter),
    }
}

/// Lines of a name and a value, the values below each other.
fn facts<const N: usize>(facts: [(&str, String); N]) -> String {
    let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0) + 2;
    let line = |(name, value): &(&str, String)| format!("{:width$}{value}", format!("{name}:"));
    facts.iter().filter(|(_, value)| !value.is_empty()).map(line).collect::<Vec<_>>().join("\n")
}

fn joined<T: ToString>(values: &[T]) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn gateway(item: &Gateway) -> String {
    let pools = item
        .spec
        .nat_pools
        .iter()
        .map(|pool| format!("{}: {} ports {}", pool.name, joined(&pool.addresses), pool.ports));
    let head = facts([
        ("Gateway", item.metadata.name.to_string()),
        ("Source", item.status.as_ref().map(|stated| origin(&stated.origin)).unwrap_or_default()),
        ("Version", item.metadata.resource_version.clone().unwrap_or_default()),
        ("NAT pools", pools.collect::<Vec<_>>().join("; ")),
        ("Remembered flows", item.spec.capacity.remembered_flows.to_string()),
        ("Fragments", item.spec.capacity.fragments.to_string()),
    ]);
    let status = item.status.as_ref().map(|stated| &stated.status);
    sections([
        head,
        status.map(links).unwrap_or_default(),
        status.map(|status| conditions(&status.conditions)).unwrap_or_default(),
    ])
}

/// The links with the places of their stages.
pub(super) fn links(status: &GatewayStatus) -> String {
    if status.links.is_empty() {
        return String::new();
    }
    let mut rows = table(["LINK", "WANTED", "ACTUAL", "STAGES", "REASON"]);
    for link in &status.links {
        let stages = link.stages.iter().filter_map(|stage| {
            let place = stage.placement?;
            let wanted = stage.requested.filter(|wanted| *wanted != place);
            let wanted = wanted.map_or(String::new(), |wanted| format!("(wanted {wanted})"));
            Some(format!("{}={place}{wanted}", stage.stage))
        });
        rows.add_row([
            link.name.to_string(),
            word(&link.requested),
            word(&link.actual),
            stages.collect::<Vec<_>>().join(" "),
            link.reason.clone().unwrap_or_default(),
        ]);
    }
    text(&rows)
}

/// The word that a value has in the API.
fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value)
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}

fn service(item: &Service) -> String {
    let spec = &item.spec;
    let head = facts([
        ("Service", item.metadata.name.to_string()),
        ("Source", item.status.as_ref().map(|stated| origin(&stated.origin)).unwrap_or_default()),
        ("Version", item.metadata.resource_version.clone().unwrap_or_default()),
        ("Address", format!("{} {} port {}", spec.address, spec.protocol, spec.port)),
        ("Mode", mode(item).to_owned()),
        ("Affinity", word(&spec.affinity)),
        ("Allowed sources", joined(&spec.allowed_sources)),
        ("Without backends", word(&spec.no_backend)),
        ("Drain timeout", spec.drain_timeout.to_string()),
        ("Idle timeout", spec.idle_timeout.to_string()),
        ("Health", format!("{} every {}", spec.health.check.as_str(), spec.health.interval)),
    ]);
    let Some(stated) = &item.status else { return head };
    let status = &stated.status;
    let slots = match status.moving_slots {
        0 => format!("{} slots, all quiet", status.slots),
        moving => format!(
            "{} slots, {moving} of them moving: flows older than the last change stay where they were",
            status.slots
        ),
    };
    let drops = status
        .drops
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(reason, count)| format!("{reason} {count}"));
    let drops = drops.collect::<Vec<_>>().join(", ");
    let drops = if drops.is_empty() { String::new() } else { format!("Dropped: {drops}") };
    sections([head, backends(&status.backends), slots, drops, conditions(&status.conditions)])
}

fn backends(items: &[BackendStatus]) -> String {
    if items.is_empty() {
        return "no backends".to_owned();
    }
    let mut rows = table([
        "BACKEND",
        "STATE",
        "AGE",
        "WEIGHT",
        "SHARE",
        "PACKETS",
        "BYTES",
        "NEXT HOP",
        "LAST ERROR",
    ]);
    for item in items {
        let address = match item.port {
            Some(port) => std::net::SocketAddr::new(item.address, port.get()).to_string(),
            None => item.address.to_string(),
        };
        rows.add_row([
            address,
            item.state.to_string(),
            age(item.since),
            item.weight.to_string(),
            format!("{:.1} %", item.share * 100.0),
            short(item.packets as f64),
            short(item.bytes as f64),
            next_hop(&item.next_hop),
            item.last_error.clone().unwrap_or_default(),
        ]);
    }
    text(&rows)
}

pub(super) fn next_hop(hop: &NextHop) -> String {
    match hop {
        NextHop::Resolved { link, mac } => format!("{mac} on {link}"),
        NextHop::Unresolved { unresolved } => format!("none: {unresolved}"),
    }
}

fn prefilter(item: &Prefilter) -> String {
    let head = facts([
        ("Prefilter", item.metadata.name.to_string()),
        ("Source", item.status.as_ref().map(|stated| origin(&stated.origin)).unwrap_or_default()),
        ("Version", item.metadata.resource_version.clone().unwrap_or_default()),
        ("Denied prefixes", item.spec.deny.len().to_string()),
        ("Allowed prefixes", item.spec.allow.len().to_string()),
    ]);
    let Some(stated) = &item.status else { return head };
    let mut rows = table(["PREFIX", "ACTION", "HITS"]);
    for top in &stated.status.top_prefixes {
        rows.add_row([
            top.prefix.to_string(),
            action(top.action).to_owned(),
            short(top.hits as f64),
        ]);
    }
    let top = if stated.status.top_prefixes.is_empty() { String::new() } else { text(&rows) };
    sections([head, top, conditions(&stated.status.conditions)])
}

pub(super) const fn action(action: PrefilterAction) -> &'static str {
    match action {
        PrefilterAction::Deny => "deny",
        PrefilterAction::Allow => "allow",
    }
}
