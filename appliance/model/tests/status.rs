//! Status is read as it is written, in the words that the documentation shows.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use sluice_model::status::{
    Condition, ConditionStatus, GatewayStatus, HealthState, NextHop, PrefilterStatus,
    ServiceStatus, Status,
};

fn assert_round_trip<T: serde::de::DeserializeOwned + serde::Serialize>(value: &Value) -> T {
    let read: T = serde_json::from_value(value.clone()).unwrap();
    assert_eq!(&serde_json::to_value(&read).unwrap(), value);
    read
}

#[test]
fn gateway() {
    let status: GatewayStatus = assert_round_trip(&json!({
        "conditions": [{
            "type": "Applied",
            "status": "False",
            "reason": "LinkMissing",
            "message": "eth9 does not exist",
            "since": "2026-11-20T10:00:00Z",
        }],
        "links": [
            {
                "name": "eth0",
                "requested": "auto",
                "actual": "generic",
                "reason": "native XDP: Operation not supported",
                "stages": [
                    { "stage": "prefilter", "placement": "host-xdp-generic", "reason": "eth0 has no native XDP" },
                    { "stage": "service", "reason": "no service is configured" },
                ],
            },
            { "name": "eth9", "requested": "native", "actual": "none", "stages": [] },
        ],
    }));
    assert_eq!(status.conditions[0].status, ConditionStatus::False);
}

#[test]
fn service() {
    let status: ServiceStatus = assert_round_trip(&json!({
        "conditions": [],
        "backends": [
            {
                "address": "10.0.1.1",
                "port": 8080,
                "weight": 1,
                "state": "up",
                "since": "2026-11-20T10:00:00.25Z",
                "share": 0.5,
                "packets": 12,
                "bytes": 3456,
                "nextHop": { "link": "eth1", "mac": "02:00:00:00:00:01" },
            },
            {
                "address": "fd00::2",
                "weight": 1000,
                "state": "down",
                "since": "2026-11-20T10:00:00Z",
                "lastError": "connection refused",
                "share": 0.0,
                "packets": 0,
                "bytes": 0,
                "nextHop": { "unresolved": "no route to fd00::2" },
            },
        ],
        "slots": 1021,
        "movingSlots": 17,
        "drops": { "no-backend": 3 },
    }));
    assert_eq!(status.backends[0].state, HealthState::Up);
    assert!(
        matches!(&status.backends[0].next_hop, NextHop::Resolved { link, .. } if *link == "eth1")
    );
    assert!(matches!(&status.backends[1].next_hop, NextHop::Unresolved { .. }));
}

#[test]
fn prefilter() {
    let value = json!({
        "conditions": [],
        "prefixes": { "ipv4": 10, "ipv6": 2 },
        "hits": { "deny": 100, "allow": 1 },
        "topPrefixes": [{ "prefix": "198.51.100.0/24", "action": "deny", "hits": 99 }],
    });
    assert_round_trip::<PrefilterStatus>(&value);
    let mut tagged = value;
    tagged["kind"] = json!("Prefilter");
    assert!(matches!(assert_round_trip::<Status>(&tagged), Status::Prefilter(_)));
}

#[test]
fn a_condition_keeps_its_time_until_its_status_changes() {
    let condition = |status, message: &str, since: &str| Condition {
        kind: "Applied".to_owned(),
        status,
        reason: "Test".to_owned(),
        message: message.to_owned(),
        since: since.parse().unwrap(),
    };
    let mut conditions = Vec::new();
    let (early, late) = ("2026-11-20T10:00:00Z", "2026-11-20T11:00:00Z");
    condition(ConditionStatus::True, "first", early).set_in(&mut conditions);
    condition(ConditionStatus::True, "second", late).set_in(&mut conditions);
    assert_eq!(conditions, [condition(ConditionStatus::True, "second", early)]);
    condition(ConditionStatus::False, "third", late).set_in(&mut conditions);
    assert_eq!(conditions, [condition(ConditionStatus::False, "third", late)]);
    let other = Condition { kind: "Other".to_owned(), ..conditions[0].clone() };
    other.set_in(&mut conditions);
    assert_eq!(conditions.len(), 2);
}
