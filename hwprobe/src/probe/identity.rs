//! What the link is.

use std::fs;
use std::path::PathBuf;

use sluice_kernel::linux::trial::About;
use sluice_profile::{Answer, DevlinkInfo, Identity, Reading};

use super::Link;
use crate::ask::{Unanswered, devlink, ethtool};
use crate::record::answered;

/// The driver of a device, or the kind of a link in software. Devices are not of a network namespace, as links in
/// `/sys/class/net` are.
pub(super) fn driver(about: &About) -> Option<String> {
    let (bus, device) = (about.bus.as_ref()?, about.device.as_ref()?);
    let link = PathBuf::from(format!("/sys/bus/{bus}/devices/{device}/driver"));
    let driver = fs::read_link(link).ok()?;
    Some(driver.file_name()?.to_string_lossy().into_owned())
}

pub(super) fn read(link: &Link) -> Identity {
    let (generic, ifindex) = (&link.generic, link.ifindex());
    let rings = ethtool::rings(generic, ifindex);
    let channels = ethtool::channels(generic, ifindex);
    let channel = |which: usize| channels.clone().map(|amounts| amounts[which]);
    let device = devlink::device(generic, ifindex);
    let handle = device.as_ref().ok().and_then(Option::as_ref).map(|(handle, _)| handle.clone());
    let info = handle.as_ref().map(|handle| devlink::info(generic, handle)).transpose();
    let eswitch = handle.as_ref().map(|handle| devlink::eswitch_mode(generic, handle)).transpose();
    let firmware = info.clone().map(|info| info.as_ref().and_then(firmware));
    let driver = link.driver.clone().or_else(|| link.about.kind.clone());
    let version = driver.as_ref().map(|name| format!("/sys/module/{name}/version"));
    let version_text = version.as_ref().and_then(|path| fs::read_to_string(path).ok());
    let bus = link.about.device.clone();
    let asked_version = version.unwrap_or_else(|| "/sys/module/DRIVER/version".to_owned());
    Identity {
        link: link.name().to_owned(),
        driver: reading("route netlink, parent device and its driver, else link kind", Ok(driver)),
        driver_version: reading(
            &asked_version,
            Ok(version_text.map(|text| text.trim().to_owned())),
        ),
        firmware: reading("devlink info, running fw", firmware),
        bus: reading("route netlink, parent device", Ok(bus)),
        speed_mbit: reading("ethtool netlink, linkmodes", ethtool::speed(generic, ifindex)),
        mtu: reading("route netlink, mtu", Ok(link.about.mtu)),
        receive_queues: reading("ethtool netlink, channels", channel(0)),
        transmit_queues: reading("ethtool netlink, channels", channel(1)),
        combined_queues: reading("ethtool netlink, channels", channel(2)),
        receive_ring: reading("ethtool netlink, rings", rings.clone().map(|rings| rings.0)),
        transmit_ring: reading("ethtool netlink, rings", rings.map(|rings| rings.1)),
        devlink: reading("devlink info", info),
        ports: reading("devlink ports", device.map(|device| device.map(|(_, ports)| ports))),
        eswitch_mode: reading("devlink eswitch", eswitch),
    }
}

fn firmware(info: &DevlinkInfo) -> Option<String> {
    let running = |name: &str| info.versions.get(&format!("running {name}")).cloned();
    running("fw").or_else(|| running("fw.version")).or_else(|| running("fw.mgmt"))
}

fn reading<T>(asked: &str, value: Result<Option<T>, Unanswered>) -> Reading<T> {
    let result = match &value {
        Ok(Some(_)) => "answered".to_owned(),
        Ok(None) => "has none".to_owned(),
        Err(why) => why.to_string(),
    };
    Reading::new(value.unwrap_or(None), answered(asked, Answer::result(result)))
}
