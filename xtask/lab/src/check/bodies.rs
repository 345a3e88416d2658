//! Large bodies: every byte arrives, full frames pass in both directions, and the client learns the smaller MTU
//! where packets are encapsulated.

use anyhow::{Context, Result, bail};

use crate::client::{download, run_in, upload};
use crate::laboratory::Laboratory;
use crate::plan::{MTU_BYTES, Service};
use crate::report::Report;

const BODY_BYTES: usize = 4 * 1024 * 1024;

pub(super) fn check(lab: &Laboratory<'_>, service: Service, report: &mut Report) -> Result<()> {
    let target = service.socket_address();
    let client = &lab.topology.client;
    let fetched = run_in(client, || download(target, BODY_BYTES))?;
    report.check(
        &format!("{} download", service.name),
        fetched.map(|answer| {
            format!("{} bytes from {}, all as sent", answer.body.len(), answer.backend)
        }),
    );
    let sent = run_in(client, || upload(target, BODY_BYTES))?;
    let sent = sent.and_then(|upload| Ok((upload, path_mtu(lab, service)?)));
    report.check(
        &format!("{} upload", service.name),
        sent.and_then(|(upload, mtu)| {
            let expected = MTU_BYTES - service.outer_header_bytes();
            if mtu != expected {
                bail!("the client's path MTU is {mtu} bytes instead of {expected}");
            }
            Ok(format!("{} bytes to {}, path MTU {mtu} bytes", upload.bytes, upload.backend))
        }),
    );
    lab.stop.sleep(std::time::Duration::ZERO)
}

/// The path MTU that the client's kernel remembers for the service; the link's when it learned none.
fn path_mtu(lab: &Laboratory<'_>, service: Service) -> Result<u32> {
    let route = lab.topology.client.ip_output(&["route", "get", &service.address.to_string()])?;
    let mut words = route.split_whitespace().skip_while(|word| *word != "mtu").skip(1);
    match words.next() {
        Some(number) => {
            number.parse().with_context(|| format!("`ip route get` wrote mtu {number}"))
        }
        None => Ok(MTU_BYTES),
    }
}
