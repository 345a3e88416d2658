//! `sluice get`.

use serde::Serialize;
use serde::de::DeserializeOwned;
use sluice_model::status::{ActualAttach, HealthState};
use sluice_model::{Kind, Name};

use super::CliError;
use super::args::Output;
use super::client::Client;
use super::output::{json, short, table, text, write, yaml};
use crate::wire::{Gateway, GatewayList, Origin, Prefilter, PrefilterList, Service, ServiceList};

pub(super) async fn get(
    client: &Client,
    kind: Kind,
    name: Option<&Name>,
    output: Output,
) -> Result<(), CliError> {
    match kind {
        Kind::Gateway => {
            show(client, kind, name, output, |list: &GatewayList| &list.items, gateways).await
        }
        Kind::Service => {
            show(client, kind, name, output, |list: &ServiceList| &list.items, services).await
        }
        Kind::Prefilter => {
            show(client, kind, name, output, |list: &PrefilterList| &list.items, prefilters).await
        }
    }
}

async fn show<L, T>(
    client: &Client,
    kind: Kind,
    name: Option<&Name>,
    output: Output,
    items: impl Fn(&L) -> &Vec<T>,
    rows: impl Fn(&[T]) -> String,
) -> Result<(), CliError>
where
    L: Serialize + DeserializeOwned,
    T: Serialize + DeserializeOwned,
{
    if let Some(name) = name {
        let object: T = client.get(&format!("/v1/{}/{name}", kind.plural())).await?;
        return write(&match output {
            Output::Table => rows(&[object]),
            Output::Json => json(&object)?,
            Output::Yaml => yaml(&object)?,
        });
    }
    let list: L = client.get(&format!("/v1/{}", kind.plural())).await?;
    write(&match output {
        Output::Table if items(&list).is_empty() => format!("no {}", kind.plural()),
        Output::Table => rows(items(&list)),
        Output::Json => json(&list)?,
        // Documents, so that the text can be applied again.
        Output::Yaml => items(&list).iter().map(yaml).collect::<Result<Vec<_>, _>>()?.join("---\n"),
    })
}

pub(super) fn origin(origin: &Origin) -> String {
    match origin.line {
        Some(line) => format!("{}:{line}", origin.source),
        None => origin.source.to_string(),
    }
}

fn gateways(items: &[Gateway]) -> String {
    let mut rows = table(["NAME", "LINKS", "ATTACHED", "NAT-POOLS", "SOURCE"]);
    for item in items {
        let stated = item.status.as_ref();
        let links = stated.map_or(&[][..], |stated| &stated.status.links);
        let attached = links.iter().filter(|link| link.actual != ActualAttach::None).count();
        rows.add_row([
            item.metadata.name.to_string(),
            item.spec.links.iter().map(|link| link.name.to_string()).collect::<Vec<_>>().join(","),
            format!("{attached}/{}", item.spec.links.len()),
            item.spec.nat_pools.len().to_string(),
            stated.map(|stated| origin(&stated.origin)).unwrap_or_default(),
        ]);
    }
    text(&rows)
}

fn services(items: &[Service]) -> String {
    let mut rows =
        table(["NAME", "ADDRESS", "PORT", "MODE", "UP", "PACKETS", "SLOTS", "MOVING", "SOURCE"]);
    for item in items {
        let stated = item.status.as_ref();
        let backends = stated.map_or(&[][..], |stated| &stated.status.backends);
        let up = backends.iter().filter(|backend| backend.state == HealthState::Up).count();
        let packets: u64 = backends.iter().map(|backend| backend.packets).sum();
        rows.add_row([
            item.metadata.name.to_string(),
            item.spec.address.to_string(),
            format!("{}/{}", item.spec.port, item.spec.protocol),
            mode(item).to_owned(),
            format!("{up}/{}", item.spec.backends.len()),
            short(packets as f64),
            stated.map_or(0, |stated| stated.status.slots).to_string(),
            stated.map_or(0, |stated| stated.status.moving_slots).to_string(),
            stated.map(|stated| origin(&stated.origin)).unwrap_or_default(),
        ]);
    }
    text(&rows)
}

pub(super) fn mode(service: &Service) -> &'static str {
    match service.spec.mode {
        sluice_model::DeliveryMode::Dsr => "dsr",
        sluice_model::DeliveryMode::Nat => "nat",
    }
}

fn prefilters(items: &[Prefilter]) -> String {
    let mut rows = table(["NAME", "DENY", "ALLOW", "SOURCE"]);
    for item in items {
        rows.add_row([
            item.metadata.name.to_string(),
            item.spec.deny.len().to_string(),
            item.spec.allow.len().to_string(),
            item.status.as_ref().map(|stated| origin(&stated.origin)).unwrap_or_default(),
        ]);
    }
    text(&rows)
}
