//! Cases from text files: packets in, what shall become of them, packets out.

use super::frame::{Variables, build};
use sluice_datapath::{
    Outcome,
    abi::{Class, Reason},
    native::{MemoryTables, scenario},
};
use std::{fs, path::Path};

/// One case: steps over fresh tables of the standard configuration.
#[derive(Clone, Debug)]
pub struct Case {
    /// File and name.
    pub name: String,
    /// What it shows.
    pub about: String,
    /// In order.
    pub steps: Vec<Step>,
}

/// One step of a case.
#[derive(Clone, Debug)]
pub enum Step {
    /// A change of the tables or settings, in the words of [`super::apply`].
    Change(String),
    /// A packet.
    Packet(PacketStep),
}

/// A packet and what shall become of it.
#[derive(Clone, Debug)]
pub struct PacketStep {
    /// The packet, for [`build`].
    pub input: String,
    /// What shall become of it.
    pub expected: Expected,
    /// The packet afterwards, for [`build`]; none where only the verdict counts.
    pub output: Option<String>,
    /// Bytes in front of the packet, where they are fewer than usual.
    pub headroom: Option<usize>,
}

/// What shall become of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    pub reason: Reason,
    pub link: Option<u32>,
    pub service: Option<u32>,
    pub backend: Option<u32>,
}

/// Every case of every file in the folder of fixtures, by file name.
pub fn read(folder: &Path) -> Vec<Case> {
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "case"));
    files.sort();
    let cases = files.iter().flat_map(|path| {
        let file = path.file_stem().unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(path).unwrap();
        parse(&file, &text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    });
    cases.collect()
}

/// The cases of one file.
pub fn parse(file: &str, text: &str) -> Result<Vec<Case>, String> {
    let mut cases: Vec<Case> = Vec::new();
    for (number, line) in (1..).zip(joined(text)) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (mark, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim();
        if mark == "case" {
            let name = format!("{file}/{rest}");
            cases.push(Case { name, about: String::new(), steps: Vec::new() });
            continue;
        }
        let case = cases.last_mut().ok_or(format!("line {number}: the first word is 'case'"))?;
        add(case, mark, rest).map_err(|error| format!("{} ({line}): {error}", case.name))?;
    }
    Ok(cases)
}

/// Lines, a line that begins with four blanks being the rest of the one before.
fn joined(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        match lines.last_mut() {
            Some(last) if line.starts_with("    ") && !last.is_empty() => {
                last.push(' ');
                last.push_str(line.trim());
            }
            _ => lines.push(line.to_owned()),
        }
    }
    lines
}

fn add(case: &mut Case, mark: &str, rest: &str) -> Result<(), String> {
    match mark {
        "about" => case.about = rest.to_owned(),
        "change" => case.steps.push(Step::Change(rest.to_owned())),
        "in" => case.steps.push(Step::Packet(PacketStep {
            input: rest.to_owned(),
            expected: Expected {
                reason: Reason::DropInternal,
                link: None,
                service: None,
                backend: None,
            },
            output: None,
            headroom: None,
        })),
        "is" => last_packet(case)?.expected = expected(rest)?,
        "headroom" => {
            let bytes = rest.parse().map_err(|error| format!("{rest}: {error}"))?;
            last_packet(case)?.headroom = Some(bytes);
        }
        "out" => last_packet(case)?.output = Some(rest.to_owned()),
        other => return Err(format!("{other}: about, change, in, headroom, is or out")),
    }
    Ok(())
}

fn last_packet(case: &mut Case) -> Result<&mut PacketStep, String> {
    match case.steps.last_mut() {
        Some(Step::Packet(packet)) => Ok(packet),
        _ => Err("belongs behind a packet ('in')".into()),
    }
}

fn expected(text: &str) -> Result<Expected, String> {
    let mut words = text.split_whitespace();
    let class = match words.next() {
        Some("sent") => Class::Sent,
        Some("pass") => Class::Pass,
        Some("drop") => Class::Drop,
        other => return Err(format!("{other:?}: sent, pass or drop")),
    };
    let name = words.next().ok_or("a reason is missing")?;
    let reason = Reason::ALL.iter().find(|r| r.class() == class && r.name() == name);
    let reason = *reason.ok_or(format!("{name} is no reason of this class"))?;
    let mut expected = Expected { reason, link: None, service: None, backend: None };
    for word in words {
        let (key, value) = word.split_once('=').ok_or(format!("{word}: a field has a value"))?;
        let number = || value.parse().map_err(|error| format!("{word}: {error}"));
        match key {
            "link" => expected.link = Some(number()?),
            "service" => {
                let index = scenario::index_of(value);
                expected.service = Some(index.ok_or(format!("{value} is no service"))?);
            }
            "backend" => expected.backend = Some(number()?),
            _ => return Err(format!("{key}: link, service or backend")),
        }
    }
    Ok(expected)
}

impl PacketStep {
    /// Whether an outcome is as expected; the difference if not.
    pub fn check(&self, outcome: &Outcome) -> Result<(), String> {
        let Expected { reason, link, service, backend } = self.expected;
        let wrong = |what: &str, wanted: &dyn std::fmt::Debug, got: &dyn std::fmt::Debug| {
            Err(format!("{what}: expected {wanted:?}, got {got:?}"))
        };
        if outcome.reason != reason {
            return wrong("reason", &reason, &outcome.reason);
        }
        if link.is_some_and(|link| outcome.ifindex != link) {
            return wrong("link", &link, &outcome.ifindex);
        }
        if service.is_some_and(|service| outcome.service != service) {
            return wrong("service", &service, &outcome.service);
        }
        if backend.is_some_and(|backend| outcome.backend != backend) {
            return wrong("backend", &backend, &outcome.backend);
        }
        Ok(())
    }

    /// Whether the packet afterwards is as expected. A variable without a value takes the one of the scenario's
    /// pool ports that makes it so.
    pub fn check_output(&self, bytes: &[u8], variables: &mut Variables) -> Result<(), String> {
        let Some(text) = &self.output else { return Ok(()) };
        let text = &text.replacen("label=any", &format!("label={}", outer_label(bytes)), 1);
        let Some(name) = free_variable(text, variables) else {
            return compare(&build(text, variables)?, bytes);
        };
        for port in POOL_PORTS {
            variables.insert(name.clone(), port);
            if build(text, variables)? == bytes {
                return Ok(());
            }
        }
        let expected = build(text, variables)?;
        variables.remove(&name);
        compare(&expected, bytes).map_err(|error| format!("with no value of ${name}: {error}"))
    }
}

/// The ports of the sets that the services of the scenario use.
const POOL_PORTS: std::ops::Range<u16> = 4096..6144;

/// The flow label of the first IPv6 header: one of the flow, which says no more than that.
fn outer_label(frame: &[u8]) -> u32 {
    let l3 = if frame.get(12..14) == Some(&[0x81, 0]) { 18 } else { 14 };
    let word = frame.get(l3..l3 + 4).map_or([0; 4], |bytes| bytes.try_into().unwrap());
    u32::from_be_bytes(word) & 0x000f_ffff
}

fn free_variable(text: &str, variables: &Variables) -> Option<String> {
    let names = text.split('$').skip(1);
    let mut names = names.map(|rest| rest.split(|c: char| !c.is_alphanumeric()).next().unwrap());
    names.find(|name| !variables.contains_key(*name)).map(str::to_owned)
}

fn compare(expected: &[u8], got: &[u8]) -> Result<(), String> {
    if expected == got {
        return Ok(());
    }
    let at = expected.iter().zip(got).position(|(a, b)| a != b);
    let at = at.unwrap_or(expected.len().min(got.len()));
    Err(format!(
        "the packet differs from byte {at} on\n  expected ({}): {}\n  got      ({}): {}",
        expected.len(),
        hex(expected),
        got.len(),
        hex(got)
    ))
}

/// Bytes in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Fresh tables.
pub fn fresh() -> MemoryTables {
    scenario::tables()
}
