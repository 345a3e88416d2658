//! The family `devlink`: the device behind the link, its firmware, its ports, its switch.

use sluice_profile::DevlinkInfo;

use super::generic::{Attributes, Question};
use super::{Generic, Unanswered};

const FAMILY: &str = "devlink";
const BUS: u16 = 1;
const DEVICE: u16 = 2;

/// The name of a device: bus and device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Handle {
    bus: String,
    device: String,
}

impl std::fmt::Display for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.bus, self.device)
    }
}

/// The device of a link and its ports: `index flavour [link]`. None if no device has the link as a port.
pub(crate) fn device(
    generic: &Generic,
    ifindex: u32,
) -> Result<Option<(Handle, Vec<String>)>, Unanswered> {
    const PORT_GET: u8 = 5;
    const LINK: u16 = 6;
    let ports = generic.list(FAMILY, PORT_GET)?;
    let ours = ports.iter().find(|port| port.number(LINK) == Some(u64::from(ifindex)));
    let Some(handle) = ours.and_then(handle) else { return Ok(None) };
    let ports = ports.iter().filter(|port| self::handle(port).as_ref() == Some(&handle));
    let ports = ports.map(port).collect();
    Ok(Some((handle, ports)))
}

fn handle(answer: &Attributes) -> Option<Handle> {
    Some(Handle { bus: answer.text(BUS)?, device: answer.text(DEVICE)? })
}

fn port(port: &Attributes) -> String {
    const INDEX: u16 = 3;
    const LINK_NAME: u16 = 7;
    const FLAVOUR: u16 = 77;
    const FLAVOURS: [&str; 8] =
        ["physical", "cpu", "dsa", "pcipf", "pcivf", "virtual", "unused", "pcisf"];
    let flavour = port.number(FLAVOUR).and_then(|number| FLAVOURS.get(number as usize));
    let index = port.number(INDEX).unwrap_or_default();
    let name = port.text(LINK_NAME).map(|name| format!(" {name}")).unwrap_or_default();
    format!("{index} {}{name}", flavour.unwrap_or(&"unknown"))
}

fn question(handle: &Handle) -> Question {
    Question::default().with_text(BUS, &handle.bus).with_text(DEVICE, &handle.device)
}

/// Driver and versions.
pub(crate) fn info(generic: &Generic, handle: &Handle) -> Result<DevlinkInfo, Unanswered> {
    const INFO_GET: u8 = 51;
    const DRIVER: u16 = 98;
    const NAME: u16 = 103;
    const VALUE: u16 = 104;
    let answer = generic.ask(FAMILY, INFO_GET, &question(handle))?;
    let mut info = DevlinkInfo {
        handle: handle.to_string(),
        driver: answer.text(DRIVER),
        ..DevlinkInfo::default()
    };
    for (kind, words) in [(100, "fixed"), (101, "running"), (102, "stored")] {
        for version in answer.each(kind) {
            if let (Some(name), Some(value)) = (version.text(NAME), version.text(VALUE)) {
                info.versions.insert(format!("{words} {name}"), value);
            }
        }
    }
    Ok(info)
}

/// `legacy` or `switchdev`.
pub(crate) fn eswitch_mode(generic: &Generic, handle: &Handle) -> Result<String, Unanswered> {
    const ESWITCH_GET: u8 = 29;
    const MODE: u16 = 25;
    let answer = generic.ask(FAMILY, ESWITCH_GET, &question(handle))?;
    match answer.number(MODE) {
        Some(0) => Ok("legacy".to_owned()),
        Some(1) => Ok("switchdev".to_owned()),
        other => Err(Unanswered::Other(format!("mode {other:?}"))),
    }
}
