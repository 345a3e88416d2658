//! Health checks: the right fields for the type, and times that fit together.

use std::time::Duration;

use super::report::About;
use crate::health::{Health, HealthType};
use crate::limits;
use crate::position::FieldPath;
use crate::problem::Problem;
use crate::service::ServiceSpec;
use crate::values::{ProbeBytes, TimeSpan};

pub(super) fn check(spec: &ServiceSpec, about: &mut About<'_>) {
    let health = &spec.health;
    foreign_fields(health, about);
    times(health, about);
    counts(health, about);
    port(spec, about);
    if matches!(health.check, HealthType::Http | HealthType::Https) {
        http(health, about);
    }
    if health.check == HealthType::Udp {
        udp(health, about);
    }
}

fn path(field: &'static str) -> FieldPath {
    FieldPath::spec("health").field(field)
}

/// Fields of other types.
fn foreign_fields(health: &Health, about: &mut About<'_>) {
    use HealthType::{Http, Https, Tcp, Udp};
    let fields: [(&str, bool, &[HealthType]); 9] = [
        ("port", health.port.is_some(), &[Tcp, Http, Https, Udp]),
        ("path", health.path.is_some(), &[Http, Https]),
        ("host", health.host.is_some(), &[Http, Https]),
        ("expectStatus", health.expect_status.is_some(), &[Http, Https]),
        ("expectBody", health.expect_body.is_some(), &[Http, Https]),
        ("tlsVerify", health.tls_verify.is_some(), &[Https]),
        ("serverName", health.server_name.is_some(), &[Https]),
        ("send", health.send.is_some(), &[Udp]),
        ("expect", health.expect.is_some(), &[Udp]),
    ];
    for (field, set, types) in fields {
        if set && !types.contains(&health.check) {
            let problem = Problem::new(format!("type {} has no such field", health.check.as_str()))
                .with_hint(format!(
                    "it belongs to {}: remove it, or change the type",
                    in_words(types)
                ));
            about.field(path(field), problem);
        }
    }
}

fn in_words(types: &[HealthType]) -> String {
    let words: Vec<_> = types.iter().map(|check| check.as_str()).collect();
    words.join(", ")
}

fn times(health: &Health, about: &mut About<'_>) {
    let (shortest, longest) = limits::HEALTH_INTERVAL;
    in_range(path("interval"), health.interval, shortest, longest, about);
    if health.timeout >= health.interval {
        let (timeout, interval) = (health.timeout, health.interval);
        let problem = Problem::new(format!(
            "{timeout} is not shorter than the interval, {interval}"
        ))
        .with_hint(
            "a probe ends before the next one starts: lengthen the interval or shorten the timeout",
        );
        about.value(path("timeout"), problem);
    } else if health.timeout.as_duration() < limits::MIN_HEALTH_TIMEOUT {
        let least = TimeSpan::from_duration(limits::MIN_HEALTH_TIMEOUT);
        let problem = Problem::new(format!("{} is out of range", health.timeout));
        about.value(path("timeout"), problem.with_hint(format!("expected {least} or more")));
    }
}

/// A time span between two others, both allowed.
pub(super) fn in_range(
    path: FieldPath,
    span: TimeSpan,
    shortest: Duration,
    longest: Duration,
    about: &mut About<'_>,
) {
    if !(shortest..=longest).contains(&span.as_duration()) {
        let (shortest, longest) =
            (TimeSpan::from_duration(shortest), TimeSpan::from_duration(longest));
        let problem = Problem::new(format!("{span} is out of range"));
        about.value(path, problem.with_hint(format!("expected {shortest} to {longest}")));
    }
}

fn counts(health: &Health, about: &mut About<'_>) {
    for (field, count) in [("rise", health.rise), ("fall", health.fall)] {
        if !(1..=limits::MAX_HEALTH_COUNT).contains(&count) {
            let problem = Problem::new(format!("{count} is out of range"));
            about.value(
                path(field),
                problem.with_hint(format!("expected 1 to {}", limits::MAX_HEALTH_COUNT)),
            );
        }
    }
}

/// A probe needs one port.
fn port(spec: &ServiceSpec, about: &mut About<'_>) {
    let health = &spec.health;
    if health.check == HealthType::None {
        return;
    }
    if spec.backends.iter().any(|backend| spec.health_port(backend).is_none()) {
        let problem =
            Problem::new(format!("a probe needs one port, and the service has {}", spec.port))
                .with_hint("set spec.health.port");
        about.value(path("port"), problem);
    }
}

fn http(health: &Health, about: &mut About<'_>) {
    if let Some(text) = &health.path {
        // RFC 9110, section 4.2.3, and RFC 3986: what is not printable ASCII is written with `%`.
        if !text.starts_with('/') {
            let problem =
                Problem::new(format!("`{}` does not begin with `/`", text.escape_debug()));
            about.value(
                path("path"),
                problem.with_hint("expected the path of a URL, such as /healthz"),
            );
        } else if let Some(bad) = text.chars().find(|c| !c.is_ascii_graphic() || *c == '#') {
            let problem = Problem::new(format!(
                "`{}` cannot stand in the path of a request",
                bad.escape_debug()
            ));
            about.value(
                path("path"),
                problem.with_hint("write it with `%` and two hexadecimal digits"),
            );
        }
        too_long("path", text.len(), limits::HEALTH_TEXT_LENGTH, about);
    }
    for (field, text) in [("host", &health.host), ("serverName", &health.server_name)] {
        let Some(text) = text else { continue };
        let name =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
        if text.is_empty() || !text.chars().all(name) {
            let problem =
                Problem::new(format!("`{}` is not the name of a host", text.escape_debug()));
            about.value(path(field), problem.with_hint("expected a name such as example.com"));
        }
        too_long(field, text.len(), limits::HEALTH_TEXT_LENGTH, about);
    }
    if health.expect_status.as_ref().is_some_and(Vec::is_empty) {
        let problem =
            Problem::new("no status would be good").with_hint("list some, or remove the field");
        about.value(path("expectStatus"), problem);
    }
    if let Some(text) = &health.expect_body {
        if text.is_empty() {
            let problem = Problem::new("every body contains the empty text")
                .with_hint("write some text, or remove the field");
            about.value(path("expectBody"), problem);
        }
        too_long("expectBody", text.len(), limits::HEALTH_TEXT_LENGTH, about);
    }
}

fn udp(health: &Health, about: &mut About<'_>) {
    let empty = |bytes: &ProbeBytes| bytes.as_bytes().is_empty();
    if health.send.as_ref().is_none_or(empty) {
        let problem =
            Problem::new("a UDP probe must send something").with_hint("for example `send: ping`");
        about.value(path("send"), problem);
    }
    if health.expect.as_ref().is_some_and(empty) {
        let problem = Problem::new("every answer begins with nothing")
            .with_hint("write some text, or remove the field");
        about.value(path("expect"), problem);
    }
    for (field, bytes) in [("send", &health.send), ("expect", &health.expect)] {
        let length = bytes.as_ref().map_or(0, |bytes| bytes.as_bytes().len());
        too_long(field, length, limits::PROBE_BYTES, about);
    }
}

fn too_long(field: &'static str, length: usize, most: usize, about: &mut About<'_>) {
    if length > most {
        about.value(
            path(field),
            Problem::new(format!("it has {length} bytes, at most {most} are allowed")),
        );
    }
}
