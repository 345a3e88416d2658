//! The profile as lines of text: for tables and for comparing.

use crate::{Amount, Capability, DevlinkInfo, Evidence, Identity, Profile, Reading};

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// `identity.driver`, or the name of a capability.
    pub name: String,
    /// The value or the verdict.
    pub answer: String,
    /// Why it is believed.
    pub evidence: Vec<Evidence>,
    /// The change that would turn the answer.
    pub remedy: Option<String>,
}

impl Profile {
    /// Every line: first the identity, then the capabilities.
    pub fn lines(&self) -> Vec<Line> {
        let mut lines = self.identity.lines();
        for capability in Capability::all() {
            let Some(finding) = self.lines.get(&capability) else { continue };
            lines.push(Line {
                name: capability.to_string(),
                answer: finding.verdict.to_string(),
                evidence: finding.evidence.clone(),
                remedy: finding.remedy.clone(),
            });
        }
        lines
    }
}

impl Identity {
    fn lines(&self) -> Vec<Line> {
        let text = |value: &String| value.clone();
        vec![
            line("driver", &self.driver, text),
            line("driver-version", &self.driver_version, text),
            line("firmware", &self.firmware, text),
            line("bus", &self.bus, text),
            line("speed", &self.speed_mbit, |speed| format!("{speed} Mbit/s")),
            line("mtu", &self.mtu, u32::to_string),
            line("receive-queues", &self.receive_queues, amount),
            line("transmit-queues", &self.transmit_queues, amount),
            line("combined-queues", &self.combined_queues, amount),
            line("receive-ring", &self.receive_ring, amount),
            line("transmit-ring", &self.transmit_ring, amount),
            line("devlink", &self.devlink, devlink),
            line("ports", &self.ports, |ports| ports.join(", ")),
            line("eswitch-mode", &self.eswitch_mode, text),
        ]
    }
}

fn line<T>(name: &str, reading: &Reading<T>, text: impl Fn(&T) -> String) -> Line {
    Line {
        name: format!("identity.{name}"),
        answer: reading.value.as_ref().map_or_else(|| "-".to_owned(), text),
        evidence: vec![reading.evidence.clone()],
        remedy: None,
    }
}

fn amount(amount: &Amount) -> String {
    format!("{} of {}", amount.now, amount.max)
}

fn devlink(info: &DevlinkInfo) -> String {
    let versions = info.versions.iter().map(|(name, version)| format!("{name} {version}"));
    [info.handle.clone()].into_iter().chain(versions).collect::<Vec<_>>().join(", ")
}
