//! The prefilter: a denied client gets nothing, says the gateway why, and its neighbour is served.

use std::time::Duration;

use anyhow::{Result, bail};

use crate::client::{get_from, run_in};
use crate::laboratory::Laboratory;
use crate::plan::{CLIENT_SUBNET, DENIED_SOURCES, SERVICES, Service};
use crate::report::Report;

/// Long enough for an answer and a repeated SYN.
const PATIENCE: Duration = Duration::from_millis(1500);
/// The reason under which the gateway counts these packets.
const REASON: &str = "denied";

pub(super) fn check(lab: &Laboratory<'_>, report: &mut Report) -> Result<()> {
    let before = denied(lab)?;
    for source in DENIED_SOURCES {
        for service in
            SERVICES.iter().filter(|service| service.address.is_ipv4() == source.is_ipv4()).take(1)
        {
            let family = if source.is_ipv4() { "IPv4" } else { "IPv6" };
            report.check(&format!("prefilter {family}"), refused(lab, *service, source));
        }
    }
    let counted = denied(lab)?.saturating_sub(before);
    let outcome = if counted >= 2 {
        Ok(format!("{counted} packets dropped as `{REASON}`"))
    } else {
        Err(anyhow::anyhow!("the gateway counted {counted} packets dropped as `{REASON}`"))
    };
    report.check("prefilter counters", outcome);
    Ok(())
}

fn refused(lab: &Laboratory<'_>, service: Service, source: std::net::IpAddr) -> Result<String> {
    let client = &lab.topology.client;
    let target = service.socket_address();
    if let Ok(answer) = run_in(client, || get_from((source, 0).into(), target, "/", PATIENCE))? {
        bail!("{source} is denied and was answered by {}", answer.backend);
    }
    let neighbour: std::net::IpAddr = if source.is_ipv4() {
        CLIENT_SUBNET.far_v4().into()
    } else {
        CLIENT_SUBNET.far_v6().into()
    };
    let answer = run_in(client, || get_from((neighbour, 0).into(), target, "/", PATIENCE))??;
    Ok(format!("{source} got no answer, {neighbour} was answered by {}", answer.backend))
}

fn denied(lab: &Laboratory<'_>) -> Result<u64> {
    let drops = lab.daemon.sluice().drops()?;
    Ok(drops.iter().filter(|(reason, _)| reason == REASON).map(|(_, packets)| packets).sum())
}
