//! The table as text.

use std::time::Duration;

use crate::gateway::LinkState;
use crate::plan::{BACKENDS, Service};

/// Everything that one frame shows.
pub(super) struct Picture {
    pub(super) uptime: Duration,
    pub(super) rows: Vec<Row>,
    pub(super) long_connections: u64,
    pub(super) broken: u64,
    pub(super) streamed_bytes: u64,
    pub(super) links: Vec<LinkState>,
    pub(super) drops: Vec<(String, u64)>,
    /// The last thing that went wrong.
    pub(super) trouble: Option<String>,
    pub(super) directions: String,
}

/// A service.
#[derive(Clone)]
pub(super) struct Row {
    pub(super) service: Service,
    pub(super) backends: Vec<Cell>,
    pub(super) packets_per_second: f64,
    pub(super) failures: u64,
}

/// A backend of a service.
#[derive(Clone)]
pub(super) struct Cell {
    pub(super) total: u64,
    /// Requests a second.
    pub(super) rate: f64,
    /// The gateway's word for its health; absent when it is no backend of the service.
    pub(super) state: Option<String>,
}

const BOLD: &str = "\x1b[1m";
const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[33m";
const RED: &str = "\x1b[31m";
const PLAIN: &str = "\x1b[0m";

impl Picture {
    pub(super) fn lines(&self) -> Vec<String> {
        let seconds = self.uptime.as_secs();
        let mut lines = vec![
            format!(
                "{BOLD}Sluice laboratory{PLAIN}   up {}:{:02}   Ctrl-C takes everything away",
                seconds / 60,
                seconds % 60
            ),
            String::new(),
        ];
        lines.push(self.heading());
        lines.extend(self.rows.iter().map(Row::line));
        lines.push(String::new());
        lines.push(format!(
            "long connections {}, broken {}, {:.1} MB streamed and compared",
            self.long_connections,
            alarmed(self.broken),
            self.streamed_bytes as f64 / 1e6
        ));
        lines.push(String::new());
        lines.push(format!("{BOLD}{:<8} stages{PLAIN}", "attached"));
        lines.extend(self.link_lines());
        lines.push(String::new());
        let drops: Vec<String> =
            self.drops.iter().map(|(reason, packets)| format!("{reason} {packets}")).collect();
        lines.push(format!(
            "dropped packets: {}",
            if drops.is_empty() { "none".to_owned() } else { drops.join(", ") }
        ));
        if let Some(trouble) = &self.trouble {
            lines.extend(trouble.lines().take(3).map(|line| format!("{RED}{line}{PLAIN}")));
        }
        lines.push(String::new());
        lines.extend(self.directions.lines().map(str::to_owned));
        lines
    }

    /// One line for all links on which the same runs the same way.
    fn link_lines(&self) -> Vec<String> {
        let mut groups: Vec<(String, Vec<&str>)> = Vec::new();
        for link in &self.links {
            let stages =
                link.stages.iter().map(|(stage, placement)| format!("{stage} {placement}"));
            let text = format!("{:<8} {}", link.actual, stages.collect::<Vec<_>>().join(", "));
            match groups.iter_mut().find(|(known, _)| *known == text) {
                Some((_, names)) => names.push(&link.name),
                None => groups.push((text, vec![&link.name])),
            }
        }
        groups
            .into_iter()
            .map(|(text, names)| format!("{text}   on {}", names.join(", ")))
            .collect()
    }

    fn heading(&self) -> String {
        let mut line = format!("{BOLD}{:<7} {:<13} {:<4}", "service", "address", "mode");
        for backend in BACKENDS {
            line += &format!(" {:>14}", format!("{backend} requests"));
        }
        line + &format!(" {:>9} {:>6}{PLAIN}", "packets/s", "failed")
    }
}

impl Row {
    fn line(&self) -> String {
        let service = self.service;
        let mut line = format!(
            "{:<7} {:<13} {:<4}",
            service.name,
            service.address.to_string(),
            service.mode()
        );
        for cell in &self.backends {
            line += &cell.text();
        }
        line + &format!(" {:>9.0} {:>6}", self.packets_per_second, alarmed(self.failures))
    }
}

impl Cell {
    fn text(&self) -> String {
        let Some(state) = &self.state else { return format!(" {:>14}", "-") };
        let color = match state.as_str() {
            "up" => GREEN,
            "down" => RED,
            _ => YELLOW,
        };
        let count = format!("{} ({:.0}/s)", self.total, self.rate);
        format!(" {color}{count:>14}{PLAIN}")
    }
}

/// Red unless it is zero. The width counts letters only, so it is set before the colour.
fn alarmed(count: u64) -> String {
    let text = format!("{count:>6}");
    if count == 0 { text.trim_start().to_owned() } else { format!("{RED}{text}{PLAIN}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::SERVICES;

    fn picture() -> Picture {
        let cell =
            |state: Option<&str>| Cell { total: 12, rate: 3.0, state: state.map(str::to_owned) };
        let backends =
            vec![cell(Some("up")), cell(Some("down")), cell(Some("draining")), cell(None)];
        Picture {
            uptime: Duration::from_secs(65),
            rows: vec![Row {
                service: SERVICES[0],
                backends,
                packets_per_second: 99.6,
                failures: 2,
            }],
            long_connections: 20,
            broken: 0,
            streamed_bytes: 1_500_000,
            links: ["eth0", "eth1"]
                .map(|name| LinkState {
                    name: name.to_owned(),
                    actual: "native".to_owned(),
                    stages: vec![("service".to_owned(), "host-xdp".to_owned())],
                })
                .to_vec(),
            drops: vec![("denied".to_owned(), 4)],
            trouble: None,
            directions: String::new(),
        }
    }

    #[test]
    fn a_frame_shows_rates_states_stages_and_drops() {
        let text = picture().lines().join("\n");
        for part in [
            "up 1:05",
            "12 (3/s)",
            "native   service host-xdp   on eth0, eth1",
            "denied 4",
            "100",
            "broken 0",
            "1.5 MB",
        ] {
            assert!(text.contains(part), "{part} is missing:\n{text}");
        }
        assert!(
            text.contains(&format!("{RED}      12 (3/s){PLAIN}")),
            "a backend that is down is red:\n{text}"
        );
    }
}
