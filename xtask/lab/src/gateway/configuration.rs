//! The configuration of the laboratory, as a user would write it.

use std::fmt::Write as _;

use crate::plan::{
    DENIED_SOURCES, Delivery, Member, NAT_POOL, Nic, PROBE_FALL, PROBE_INTERVAL, PROBE_TIMEOUT,
    SERVICE_PORT, SERVICES, Service,
};

/// The gateway and the prefilter; what cards can do may be left unused.
pub(super) fn gateway(nic: Nic, with_cards: bool) -> String {
    let mut text = String::from(
        "apiVersion: sluice.dev/v1\n\
         kind: Gateway\n\
         metadata: {name: gateway}\n\
         spec:\n  \
           links:\n",
    );
    let offload = if with_cards { "" } else { ", offload: off" };
    for link in nic.gateway_links() {
        let _ = writeln!(text, "    - {{name: {link}, attach: {}{offload}}}", nic.attach());
    }
    let pool = NAT_POOL.map(|address| format!("\"{address}\"")).join(", ");
    let _ = writeln!(
        text,
        "  natPools:\n    - {{name: default, addresses: [{pool}], ports: 1024-65535}}"
    );
    // A thousand new flows a second, each remembered for the idle limit while slots move: with room to spare, because
    // a new flow whose line of the table is full stays with the old backend of its slot.
    text.push_str("  capacity: {rememberedFlows: 1048576}\n");
    let denied = DENIED_SOURCES.map(|address| {
        let length = if address.is_ipv4() { 32 } else { 128 };
        format!("\"{address}/{length}\"")
    });
    let _ = write!(
        text,
        "---\napiVersion: sluice.dev/v1\nkind: Prefilter\nmetadata: {{name: denied-clients}}\nspec:\n  deny: [{}]\n",
        denied.join(", ")
    );
    text
}

/// Every service, with these members.
pub(super) fn services(members: &[Member]) -> String {
    SERVICES.map(|service| self::service(service, members)).join("---\n")
}

fn service(service: Service, members: &[Member]) -> String {
    let mut text = format!(
        "apiVersion: sluice.dev/v1\n\
         kind: Service\n\
         metadata: {{name: {}}}\n\
         spec:\n  \
           address: \"{}\"\n  \
           protocol: TCP\n  \
           port: {SERVICE_PORT}\n  \
           mode: {}\n  \
           backends:\n",
        service.name,
        service.address,
        service.mode(),
    );
    for member in members {
        let address = member.backend.address(service.backend_family);
        let state = if member.drain { "drain" } else { "active" };
        let port = match service.delivery {
            Delivery::Dsr => String::new(),
            Delivery::Nat => format!("port: {}, ", service.backend_port()),
        };
        let weight = member.weight;
        let _ = writeln!(
            text,
            "    - {{address: \"{address}\", {port}weight: {weight}, state: {state}}}"
        );
    }
    let _ = write!(
        text,
        "  health:\n    type: http\n    path: /healthz\n    expectBody: ok\n    \
         interval: {}ms\n    timeout: {}ms\n    rise: 1\n    fall: {PROBE_FALL}\n",
        PROBE_INTERVAL.as_millis(),
        PROBE_TIMEOUT.as_millis(),
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::first_members;

    #[test]
    fn a_drained_nat_backend_is_written_with_port_and_state() {
        let mut members = first_members();
        members[1].drain = true;
        let text = services(&members);
        assert!(
            text.contains("- {address: \"10.10.2.2\", port: 8080, weight: 1, state: drain}"),
            "{text}"
        );
        assert!(text.contains("- {address: \"fd00:10:3::2\", weight: 2, state: active}"), "{text}");
        assert_eq!(text.matches("kind: Service").count(), SERVICES.len());
    }

    #[test]
    fn every_link_of_the_gateway_is_configured() {
        let text = gateway(Nic::Veth, true);
        for link in 0..=4 {
            assert!(text.contains(&format!("- {{name: eth{link}, attach: auto}}")), "{text}");
        }
        let off = gateway(Nic::Emulated, false);
        assert!(off.contains("- {name: eth0, attach: auto, offload: off}\n  natPools"), "{off}");
        assert!(text.contains("deny: [\"10.10.0.66/32\", \"fd00:10::66/128\"]"), "{text}");
    }
}
