//! The shapes of `sluice get services -o json`, `sluice status -o json` and `GET /v1/counters`: the only place that
//! knows them.

use serde_json::Value;

/// A backend of a service, as the gateway sees it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct BackendState {
    pub(crate) service: String,
    pub(crate) address: String,
    /// `unknown`, `up`, `down`, `draining` or `disabled`.
    pub(crate) state: String,
    pub(crate) last_error: Option<String>,
    pub(crate) packets: u64,
}

/// A link of the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LinkState {
    pub(crate) name: String,
    /// `native`, `generic` or `none`.
    pub(crate) actual: String,
    /// Stage and placement, in the packet's order.
    pub(crate) stages: Vec<(String, String)>,
}

/// Where a stage of a link runs, and where it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StageState {
    pub(crate) placement: String,
    pub(crate) requested: String,
    /// Why it runs in none of the other places: reason and evidence.
    pub(crate) reasons: Vec<String>,
}

/// From a list of services, each with `metadata` and `status`.
pub(super) fn backends(services: &Value) -> Vec<BackendState> {
    let mut found = Vec::new();
    for service in list(&services["items"]) {
        let name = text(&service["metadata"]["name"]);
        for backend in list(&service["status"]["backends"]) {
            found.push(BackendState {
                service: name.clone(),
                address: text(&backend["address"]),
                state: text(&backend["state"]),
                last_error: backend["lastError"].as_str().map(str::to_owned),
                packets: backend["packets"].as_u64().unwrap_or(0),
            });
        }
    }
    found
}

/// From the gateway's status.
pub(super) fn links(status: &Value) -> Vec<LinkState> {
    let stages = |link: &Value| {
        let stages = list(&link["stages"]).iter();
        stages.map(|stage| (text(&stage["stage"]), placement(&stage["placement"]))).collect()
    };
    list(&status["gateway"]["links"])
        .iter()
        .map(|link| LinkState {
            name: text(&link["name"]),
            actual: text(&link["actual"]),
            stages: stages(link),
        })
        .collect()
}

/// A stage of a link, from the gateway's status.
pub(super) fn stage(status: &Value, link: &str, stage: &str) -> Option<StageState> {
    let link = list(&status["gateway"]["links"]).iter().find(|other| other["name"] == link)?;
    let stage = list(&link["stages"]).iter().find(|other| other["stage"] == stage)?;
    let reasons = list(&stage["notChosen"]).iter();
    let reasons = reasons.map(|other| {
        format!(
            "{}: {} ({})",
            text(&other["placement"]),
            text(&other["reason"]),
            text(&other["evidence"])
        )
    });
    Some(StageState {
        placement: placement(&stage["placement"]),
        requested: placement(&stage["requested"]),
        reasons: reasons.collect(),
    })
}

/// Packets that cards sent on and that the host did, from the counters.
pub(super) fn sent(counters: &Value) -> (u64, u64) {
    let of = |on_card: bool| {
        let places = list(&counters["placements"]).iter();
        let places = places.filter(|place| place["link"].is_string() == on_card);
        places.filter_map(|place| place["sentPackets"].as_u64()).sum()
    };
    (of(true), of(false))
}

/// A stage that is not needed has none.
fn placement(value: &Value) -> String {
    value.as_str().unwrap_or("nowhere").to_owned()
}

/// Dropped packets by reason, from the counters.
pub(super) fn drops(counters: &Value) -> Vec<(String, u64)> {
    let dropped = list(&counters["reasons"]).iter().filter(|reason| reason["class"] == "drop");
    dropped
        .map(|reason| (text(&reason["reason"]), reason["packets"].as_u64().unwrap_or(0)))
        .collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn backends_are_read_with_their_service() {
        let answer = json!({"items": [{"metadata": {"name": "web"}, "status": {"backends": [
            {"address": "10.0.0.1", "state": "down", "lastError": "refused", "packets": 7}]}}]});
        let expected = BackendState {
            service: "web".to_owned(),
            address: "10.0.0.1".to_owned(),
            state: "down".to_owned(),
            last_error: Some("refused".to_owned()),
            packets: 7,
        };
        assert_eq!(backends(&answer), [expected]);
    }

    #[test]
    fn a_stage_that_is_not_needed_runs_nowhere() {
        let answer = json!({"gateway": {"links": [{"name": "eth0", "actual": "native", "stages": [
            {"stage": "prefilter", "reason": "no prefix"}, {"stage": "service", "placement": "host-xdp"}]}]}});
        let stages = [("prefilter", "nowhere"), ("service", "host-xdp")];
        let stages =
            stages.map(|(stage, placement)| (stage.to_owned(), placement.to_owned())).to_vec();
        let expected = LinkState { name: "eth0".to_owned(), actual: "native".to_owned(), stages };
        assert_eq!(links(&answer), [expected]);
    }

    #[test]
    fn a_stage_that_a_card_refuses_is_read_with_the_reason() {
        let answer = json!({"gateway": {"links": [{"name": "eth0", "stages": [{"stage": "service",
            "placement": "host-xdp", "requested": "nic-xdp", "notChosen": [
            {"placement": "nic-xdp", "reason": "refused", "evidence": "EBUSY"}]}]}]}});
        let found = stage(&answer, "eth0", "service").unwrap();
        assert_eq!((&*found.placement, &*found.requested), ("host-xdp", "nic-xdp"));
        assert_eq!(found.reasons, ["nic-xdp: refused (EBUSY)"]);
        assert_eq!(stage(&answer, "eth1", "service"), None);
    }

    #[test]
    fn packets_of_cards_and_host_are_told_apart() {
        let answer = json!({"placements": [{"link": "eth0", "placement": "nic-xdp", "sentPackets": 5},
            {"placement": "host", "sentPackets": 3}]});
        assert_eq!(sent(&answer), (5, 3));
    }

    #[test]
    fn drops_are_told_from_other_reasons() {
        let answer = json!({"reasons": [{"class": "sent", "reason": "encapsulated", "packets": 9},
            {"class": "drop", "reason": "denied", "packets": 2}]});
        assert_eq!(drops(&answer), [("denied".to_owned(), 2)]);
    }
}
