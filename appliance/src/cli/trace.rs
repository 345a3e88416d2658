//! `sluice trace`.

use super::CliError;
use super::args::{Output, TraceOptions};
use super::client::{Body, Client};
use super::describe::{action, next_hop};
use super::output::print;
use crate::wire::{TraceAnswer, TraceRequest};

pub(super) async fn trace(
    client: &Client,
    options: TraceOptions,
    output: Output,
) -> Result<(), CliError> {
    let request = TraceRequest {
        link: options.link,
        protocol: options.protocol,
        source: options.source,
        destination: options.destination,
        flags: options.flags,
        payload_bytes: options.payload,
        vlan: options.vlan,
        ttl: options.ttl,
    };
    let answer: TraceAnswer = client.post("/v1/trace", Body::json(&request)?).await?;
    print(&answer, output, text)
}

fn text(answer: &TraceAnswer) -> String {
    let mut lines = vec![format!("{}: {}. {}", answer.verdict, answer.reason, answer.explanation)];
    let mut fact =
        |name: &str, value: String| lines.push(format!("{:10}{value}", format!("{name}:")));
    if let Some(prefix) = &answer.prefix {
        fact(
            "prefix",
            format!(
                "{} ({} by Prefilter/{})",
                prefix.prefix,
                action(prefix.action),
                prefix.prefilter
            ),
        );
    }
    if let Some(service) = &answer.service {
        fact("service", format!("Service/{service}"));
    }
    if let Some(backend) = &answer.backend {
        let address = backend.port.map_or(backend.address.to_string(), |port| {
            std::net::SocketAddr::new(backend.address, port.get()).to_string()
        });
        fact("backend", address);
    }
    if let Some(hop) = &answer.next_hop {
        fact("next hop", next_hop(hop));
    }
    for note in &answer.notes {
        fact("note", note.clone());
    }
    for (name, headers) in [("before", &answer.before), ("after", &answer.after)] {
        if !headers.is_empty() {
            lines.push(format!("{name}:"));
            lines.extend(headers.iter().map(|header| format!("  {header}")));
        }
    }
    lines.join("\n")
}
