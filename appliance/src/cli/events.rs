//! `sluice events`.

use std::time::Duration;

use http_body_util::BodyExt;
use hyper::Method;
use serde_json::Value;
use tokio::time::sleep;

use super::CliError;
use super::args::{EventOptions, Output};
use super::client::Client;
use super::output::write;
use super::sse::{Message, Parser};
use crate::event::{Event, EventKind};

/// After a lost connection it is tried again.
const RECONNECT: Duration = Duration::from_secs(1);

pub(super) async fn events(
    client: &Client,
    options: &EventOptions,
    output: Output,
) -> Result<(), CliError> {
    let kinds =
        options.kind.iter().map(|kind| EventKind::as_str(*kind)).collect::<Vec<_>>().join(",");
    let kinds = if kinds.is_empty() { kinds } else { format!("&kind={kinds}") };
    let path = format!("/v1/events?from=start&follow={}{kinds}", options.follow);
    let mut last = None;
    loop {
        let ended = read(client, &path, &mut last, output).await;
        match ended {
            // The daemon restarts: what came meanwhile is asked for by the last id.
            Ok(()) | Err(CliError::Unreachable { .. }) if options.follow && last.is_some() => {
                sleep(RECONNECT).await
            }
            ended => return ended,
        }
    }
}

async fn read(
    client: &Client,
    path: &str,
    last: &mut Option<String>,
    output: Output,
) -> Result<(), CliError> {
    let response = client.send(Method::GET, path, None, last.as_deref()).await?;
    let mut body = response.into_body();
    let mut parser = Parser::default();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| client.unreachable(&error))?;
        let Some(data) = frame.data_ref() else { continue };
        for message in parser.feed(data) {
            show(client, &message, output)?;
            *last = message.id.or(last.take());
        }
    }
    Ok(())
}

fn show(client: &Client, message: &Message, output: Output) -> Result<(), CliError> {
    let text = match (message.event.as_str(), output) {
        (_, Output::Json) => compact(message),
        (_, Output::Yaml) => {
            let value: Value =
                serde_json::from_str(&message.data).map_err(|error| client.nonsense(&error))?;
            format!("---\n{}", super::output::yaml(&value)?)
        }
        ("lost", _) => format!("({} events are gone before they could be sent)", count(message)),
        ("restarted", _) => "(the daemon restarted)".to_owned(),
        _ => line(&serde_json::from_str(&message.data).map_err(|error| client.nonsense(&error))?),
    };
    write(&text)
}

/// One line of JSON per event; what is no event says what it is.
fn compact(message: &Message) -> String {
    match message.event.as_str() {
        "lost" => format!("{{\"lost\":{}}}", count(message)),
        "restarted" => "{\"restarted\":true}".to_owned(),
        _ => message.data.clone(),
    }
}

fn count(message: &Message) -> u64 {
    let data: Value = serde_json::from_str(&message.data).unwrap_or_default();
    data["lost"].as_u64().unwrap_or(0)
}

fn line(event: &Event) -> String {
    let object = event.object.as_deref().map(|object| format!("{object}: ")).unwrap_or_default();
    format!("{:.3}  {:7}  {:16}  {object}{}", event.time, event.severity, event.kind, event.message)
}
