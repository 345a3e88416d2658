//! What the kernel shows of a card to commands that know nothing of Sluice, and what that means.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, Ipv6Addr};

use serde_json::Value;
use sluice_vm_tests::{Nic, command};

/// What a command writes as JSON.
pub(crate) fn json(line: &str) -> Value {
    let text = command(line).ok();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{line}: {error}: {text}"))
}

/// A table: what it is, and its entries.
pub(crate) struct Table {
    pub(crate) about: Value,
    pub(crate) entries: Vec<(Vec<u8>, Vec<u8>)>,
}

/// The program on a card, by its id, and its tables by name.
pub(crate) struct Seen {
    pub(crate) program: Value,
    pub(crate) tables: BTreeMap<String, Table>,
}

impl Seen {
    /// Looks with `bpftool` at the program that the device says it runs.
    pub(crate) fn on(nic: &Nic) -> Self {
        let program = json(&format!("bpftool --json prog show id {}", nic.offloaded()));
        let ids = program["map_ids"].as_array().cloned().unwrap_or_default();
        let table = |id: &Value| {
            let about = json(&format!("bpftool --json map show id {id}"));
            let dump = json(&format!("bpftool --json map dump id {id}"));
            let entries = dump.as_array().unwrap().iter();
            let entries = entries.map(|entry| (bytes(&entry["key"]), bytes(&entry["value"])));
            let name = about["name"].as_str().unwrap().to_owned();
            (name, Table { entries: entries.collect(), about })
        };
        Self { tables: ids.iter().map(table).collect(), program }
    }

    /// Checks that program and tables are the device's.
    pub(crate) fn assert_on_card(&self, nic: &Nic) {
        let objects = self.tables.values().map(|table| &table.about).chain([&self.program]);
        for object in objects {
            assert_eq!(object["dev"]["ifindex"], nic.ifindex, "{object}");
            assert_eq!(object["dev"]["ifname"], nic.name.as_str(), "{object}");
        }
    }

    /// The entries in the words that plans use, read from their bytes.
    pub(crate) fn words(&self) -> BTreeSet<String> {
        let mut words = BTreeSet::new();
        for (name, table) in &self.tables {
            for (key, value) in &table.entries {
                words.extend(entry(name, key, value));
            }
        }
        words
    }

    /// The sizes of the tables as plans write them.
    pub(crate) fn sizes(&self) -> BTreeSet<String> {
        let size =
            |(name, table): (&String, &Table)| format!("{name} {}", table.about["max_entries"]);
        self.tables.iter().map(size).collect()
    }
}

/// Bytes as `bpftool` writes them: `"0x0a"`.
fn bytes(value: &Value) -> Vec<u8> {
    let byte = |byte: &Value| {
        let digits = byte.as_str()?.strip_prefix("0x")?;
        u8::from_str_radix(digits, 16).ok()
    };
    let bytes = value.as_array().unwrap_or_else(|| panic!("no bytes: {value}"));
    bytes.iter().map(|value| byte(value).unwrap()).collect()
}

fn word(bytes: &[u8], number: usize) -> u32 {
    u32::from_ne_bytes(bytes[4 * number..4 * number + 4].try_into().unwrap())
}

fn v4(bytes: &[u8]) -> Ipv4Addr {
    let bytes: [u8; 4] = bytes[..4].try_into().unwrap();
    bytes.into()
}

fn v6(bytes: &[u8]) -> Ipv6Addr {
    let bytes: [u8; 16] = bytes[..16].try_into().unwrap();
    bytes.into()
}

/// One entry in words; none for counters and for what nothing points to.
fn entry(table: &str, key: &[u8], value: &[u8]) -> Option<String> {
    let decision = |value: &[u8]| if word(value, 0) & 1 << 30 == 0 { "allow" } else { "deny" };
    Some(match table {
        "CARD_SETTINGS" => settings(word(key, 0), value),
        "CARD_PREFIXES4" => format!("{} {}/{}", decision(value), v4(&key[4..]), word(key, 0)),
        "CARD_PREFIXES6" => format!("{} {}/{}", decision(value), v6(&key[4..]), word(key, 0)),
        "CARD_COUNTS" => return None,
        other => panic!("there is no table {other}"),
    })
}

fn settings(family: u32, value: &[u8]) -> String {
    let mut words = format!("{}:", if family == 0 { "IPv4" } else { "IPv6" });
    let flags = word(value, 0);
    for (flag, name) in [(1, " prefilter"), (2, " service"), (4, " sample")] {
        words += if flags & flag == 0 { "" } else { name };
    }
    words += if flags == 0 { " off" } else { "" };
    let lengths = (4..value.len() / 4).map(|number| word(value, number));
    for length in lengths.filter(|length| length & 1 << 8 != 0) {
        words += &format!(" /{}", length & 0xff);
    }
    words
}
