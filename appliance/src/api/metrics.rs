//! Counters and states in the text format of OpenMetrics, for Prometheus.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text::encode};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};
use sluice_model::status::{HealthState, PrefilterAction};

use super::{Api, ApiError};
use crate::wire::{BackendCounters, Counters, PlacementTraffic, Service, Status};

const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Everything that is counted, for Prometheus.
#[utoipa::path(
    get, path = "/metrics", operation_id = "metrics", tag = "probes",
    responses((status = 200, body = String, content_type = "application/openmetrics-text"))
)]
pub(super) async fn metrics(State(api): State<Api>) -> Result<Response, ApiError> {
    let read =
        api.engine.read(|engine| (engine.counters(), engine.service_views(None), engine.status()));
    let (counters, services, status) = read.await?;
    let mut registry = Registry::with_prefix("sluice");
    registry.register_collector(Box::new(Reading {
        counters: counters?,
        services: services?,
        status: status?,
    }));
    let mut text = String::new();
    encode(&mut text, &registry).map_err(|error| ApiError::Request(format!("metrics: {error}")))?;
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response())
}

#[derive(Debug)]
struct Reading {
    counters: Counters,
    services: Vec<Service>,
    status: Status,
}

type Labels<const N: usize> = [(&'static str, String); N];

/// Writes all values of one metric.
fn family<const N: usize, M: EncodeMetric>(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help): (&str, &str),
    unit: Option<&Unit>,
    kind: MetricType,
    values: impl Iterator<Item = (Labels<N>, M)>,
) -> Result<(), std::fmt::Error> {
    let mut metric = encoder.encode_descriptor(name, help, unit, kind)?;
    for (labels, value) in values {
        value.encode(metric.encode_family(&labels)?)?;
    }
    Ok(())
}

fn address(backend: &BackendCounters) -> String {
    backend.port.map_or(backend.address.to_string(), |port| {
        std::net::SocketAddr::new(backend.address, port.get()).to_string()
    })
}

impl Reading {
    fn reasons(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let labels = |class: &str, reason: &str| {
            [("class", class.to_owned()), ("reason", reason.to_owned())]
        };
        let each = || self.counters.reasons.iter();
        let packets = each()
            .map(|count| (labels(&count.class, &count.reason), ConstCounter::new(count.packets)));
        let help = "Packets by what became of them";
        family(encoder, ("packets", help), None, MetricType::Counter, packets)?;
        let bytes = each()
            .map(|count| (labels(&count.class, &count.reason), ConstCounter::new(count.bytes)));
        let help = "Bytes of packets by what became of them";
        family(encoder, ("packet", help), Some(&Unit::Bytes), MetricType::Counter, bytes)
    }

    fn placements(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let each = || self.counters.placements.iter();
        let value = |place: &PlacementTraffic, class: &str, count| {
            let labels = [
                ("link", place.link.clone().unwrap_or_default()),
                ("placement", place.placement.clone()),
                ("class", class.to_owned()),
            ];
            (labels, ConstCounter::new(count))
        };
        let packets = each().flat_map(|place| {
            [
                value(place, "sent", place.sent_packets),
                value(place, "drop", place.dropped_packets),
                value(place, "pass", place.passed_packets),
            ]
        });
        let help = "Packets by the place that finished them, or left them to the next";
        family(encoder, ("placement_packets", help), None, MetricType::Counter, packets)?;
        let links = self.status.gateway.iter().flat_map(|gateway| &gateway.links);
        let stages = links.flat_map(|link| {
            link.stages.iter().filter_map(|stage| {
                let (placement, requested) = (stage.placement?, stage.requested?);
                let labels = [
                    ("link", link.name.to_string()),
                    ("stage", stage.stage.clone()),
                    ("placement", placement.to_string()),
                    ("requested", requested.to_string()),
                ];
                Some((labels, ConstGauge::new(1_i64)))
            })
        });
        let help = "Where a stage runs, and where the plan wants it";
        family(encoder, ("stage_placement", help), None, MetricType::Gauge, stages)
    }

    fn backends(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        type Read = fn(&BackendCounters) -> u64;
        let each = |forward: Read, reply: Read| {
            let of_service = move |service: &crate::wire::ServiceCounters| {
                let name = service.name.to_string();
                let of_backend = move |backend: &BackendCounters| {
                    let value = |direction: &str, count| {
                        let labels = [
                            ("service", name.clone()),
                            ("backend", address(backend)),
                            ("direction", direction.to_owned()),
                        ];
                        (labels, ConstCounter::new(count))
                    };
                    [value("forward", forward(backend)), value("reply", reply(backend))]
                };
                service.backends.iter().flat_map(of_backend).collect::<Vec<_>>()
            };
            self.counters.services.iter().flat_map(of_service)
        };
        let packets = each(|backend| backend.packets, |backend| backend.reply_packets);
        let help = "Packets to and, in mode nat, from a backend";
        family(encoder, ("backend_packets", help), None, MetricType::Counter, packets)?;
        let bytes = each(|backend| backend.bytes, |backend| backend.reply_bytes);
        let help = "Bytes of packets to and, in mode nat, from a backend";
        family(encoder, ("backend", help), Some(&Unit::Bytes), MetricType::Counter, bytes)
    }

    fn services(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let events = self.counters.services.iter().flat_map(|service| {
            let labels =
                |event: &String| [("service", service.name.to_string()), ("event", event.clone())];
            service
                .events
                .iter()
                .map(move |(event, count)| (labels(event), ConstCounter::new(*count)))
        });
        let help = "Packets of a service that were not simply delivered";
        family(encoder, ("service_events", help), None, MetricType::Counter, events)?;
        let states = self.services.iter().flat_map(|service| {
            let count = move |state: HealthState| {
                let backends =
                    service.status.as_ref().map_or(&[][..], |stated| &stated.status.backends);
                let number = backends.iter().filter(|backend| backend.state == state).count();
                let labels =
                    [("service", service.metadata.name.to_string()), ("state", state.to_string())];
                (labels, ConstGauge::new(i64::try_from(number).unwrap_or(i64::MAX)))
            };
            use HealthState::{Disabled, Down, Draining, Unknown, Up};
            [Unknown, Up, Down, Draining, Disabled].map(count)
        });
        family(
            encoder,
            ("backends", "Backends of a service by state"),
            None,
            MetricType::Gauge,
            states,
        )
    }

    fn prefixes(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let hits = self.counters.top_prefixes.iter().map(|top| {
            let action = match top.action {
                PrefilterAction::Deny => "deny",
                PrefilterAction::Allow => "allow",
            };
            let labels = [("prefix", top.prefix.to_string()), ("action", action.to_owned())];
            (labels, ConstCounter::new(top.hits))
        });
        let help = "Packets whose source matched one of the prefixes that hit most, at least";
        family(encoder, ("prefix_hits", help), None, MetricType::Counter, hits)
    }

    fn whole(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let status = &self.status;
        let gauges = [
            ("ready", "Whether the configuration in force is programmed", u64::from(status.ready)),
            ("revision", "Revision of the configuration in force", status.revision),
            (
                "moving_slots",
                "Slots in which older flows stay where they were",
                status.totals.moving_slots,
            ),
            ("prefixes", "Prefixes of all prefilters", status.totals.prefixes),
            (
                "broken_files",
                "Problems of the configuration directory",
                status.directory.problems.len() as u64,
            ),
        ];
        for (name, help, value) in gauges {
            let value = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            value.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)?;
        }
        Ok(())
    }
}

impl Collector for Reading {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        self.whole(&mut encoder)?;
        self.reasons(&mut encoder)?;
        self.placements(&mut encoder)?;
        self.prefixes(&mut encoder)?;
        self.services(&mut encoder)?;
        self.backends(&mut encoder)
    }
}
