//! A change takes effect as a whole or not at all, whatever fails on the way; a restart keeps what was in force.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it fails")]

mod common;

use std::fs;
use std::sync::Arc;

use common::disk::Disk;
use common::{ETH0, GATEWAY, Gateway, link, service, world};
use sluice_appliance::engine::{ChangeError, smallest_sizes};
use sluice_appliance::event::EventKind;
use sluice_appliance::store::{Change, Refusal, Store};
use sluice_kernel::chaos::{self, Faults};
use sluice_kernel::{Errno, ForeignProgram, XdpMode};
use sluice_model::parse;
use sluice_model::status::{ActualAttach, HealthState};

fn web(backends: &str) -> String {
    GATEWAY.to_owned() + &service("web", "192.0.2.10", backends)
}

/// A gateway whose kernel fails on demand.
async fn fragile() -> (Gateway, Faults) {
    let world = world();
    let faults = Faults::none();
    let (datapath, _) = world.open(&smallest_sizes()).unwrap();
    let datapath = chaos::Datapath::new(datapath, faults.clone());
    let network = world.network();
    let directory = Arc::new(tempfile::tempdir().unwrap());
    let gateway =
        Gateway::start_with(world, directory, Box::new(datapath), Box::new(network)).await;
    (gateway, faults)
}

async fn revision(gateway: &Gateway) -> u64 {
    gateway.handle.read(|engine| engine.status()).await.unwrap().unwrap().revision
}

/// What becomes of a new connection to port 80 of an address.
async fn trace(gateway: &Gateway, address: &str) -> String {
    let destination = std::net::SocketAddr::new(common::ip(address), 80);
    let source = if destination.is_ipv4() { "198.51.100.7:1234" } else { "[2001:db8:7::7]:1234" };
    let request = serde_json::json!({"protocol": "tcp", "source": source, "destination": destination, "flags": ["syn"]});
    let request = serde_json::from_value(request).unwrap();
    gateway.handle.read(move |engine| engine.trace(&request)).await.unwrap().unwrap().reason
}

async fn links(gateway: &Gateway) -> Vec<sluice_model::status::LinkStatus> {
    let views = gateway.handle.read(|engine| engine.gateway_views(None)).await.unwrap().unwrap();
    views.into_iter().next().unwrap().status.unwrap().status.links
}

#[tokio::test]
async fn kernel_that_fails_at_any_call_leaves_the_state_before() {
    // Larger tables, a new program on a second link, a service more: every kind of step.
    let many: Vec<_> =
        (1..=9).map(|last| format!("{{address: 10.0.1.{last}, weight: {last}}}")).collect();
    let change = GATEWAY.replace("[{name: eth0}]", "[{name: eth0}, {name: eth1}]")
        + &service("web", "192.0.2.10", &format!("[{}]", many.join(", ")))
        + &service("more", "2001:db8::10", "[{address: \"fd00:1::1\"}]");
    let mut failed_calls = Vec::new();
    for nth in 1.. {
        let (gateway, faults) = fragile().await;
        gateway.apply(&web("[{address: 10.0.1.1}]")).await.unwrap();
        gateway.until("all is quiet", async || gateway.handle.readiness().ready).await;
        let before = gateway.contents();
        faults.clear();
        faults.fail_nth(nth, Errno::ENOMEM);
        let result = gateway.apply(&change).await;
        let calls = faults.calls();
        faults.clear();
        match result {
            // Something else met the fault: the look at the links, every second.
            Ok(_) if calls.len() >= nth => continue,
            Ok(_) => {
                assert_eq!(links(&gateway).await.len(), 2);
                break;
            }
            Err(error) => {
                failed_calls.push(calls[nth - 1]);
                assert!(
                    matches!(error, ChangeError::Kernel(_) | ChangeError::Link { .. }),
                    "call {nth}: {error}"
                );
            }
        }
        assert_eq!(revision(&gateway).await, 1, "call {nth}");
        assert_eq!(links(&gateway).await.len(), 1, "call {nth}");
        // Once packets ran through the new tables there is no way back to the same words, only to the same effect.
        let is_live =
            calls[..nth - 1].iter().filter(|call| **call == "reset_service_counts").count() > 0;
        let is_late = is_live && matches!(calls[nth - 1], "attach" | "attached");
        let after = if is_late { before.clone() } else { gateway.contents() };
        for ((table, old), (_, new)) in before.iter().zip(&after) {
            // Tables that grew stay large; what is behind the old end is unused.
            assert_eq!(old, &new[..old.len()], "call {nth} ({}): {}", calls[nth - 1], table.name());
        }
        let status = gateway.status_of("web").await;
        let serving: Vec<_> =
            status.backends.iter().filter(|backend| backend.share > 0.0).collect();
        assert_eq!(serving.len(), 1, "call {nth}: {status:#?}");
        assert_ne!(trace(&gateway, "2001:db8::10").await, "encapsulated", "call {nth}");
        assert_eq!(trace(&gateway, "192.0.2.10").await, "encapsulated", "call {nth}");
        // And it works once the kernel does.
        gateway.apply(&change).await.unwrap();
        assert_eq!(revision(&gateway).await, 2);
    }
    for step in ["stage", "commit", "attach"] {
        assert!(failed_calls.contains(&step), "{step} did not fail: {failed_calls:?}");
    }
}

#[tokio::test]
async fn state_that_cannot_be_written_refuses_the_change() {
    let disk = Disk::default();
    let store = {
        let disk = disk.clone();
        Store::open_on(move || disk.clone()).unwrap()
    };
    let gateway = Gateway::start_with_store(store).await;
    gateway.apply(&web("[{address: 10.0.1.1}]")).await.unwrap();
    disk.fail(true);
    let error = gateway.apply(&web("[{address: 10.0.1.2}]")).await.unwrap_err();
    assert!(matches!(error, ChangeError::State(_)), "{error}");
    assert!(error.to_string().contains("make room"), "{error}");
    assert_eq!(revision(&gateway).await, 1);
    assert_eq!(trace(&gateway, "192.0.2.10").await, "encapsulated");
    let status = gateway.status_of("web").await;
    assert_eq!(status.backends[0].address.to_string(), "10.0.1.1");
    // And it goes on once there is room.
    disk.fail(false);
    gateway.apply(&web("[{address: 10.0.1.2}]")).await.unwrap();
    assert_eq!(revision(&gateway).await, 2);
}

#[tokio::test]
async fn restart_keeps_numbers_flows_and_files_that_broke_meanwhile() {
    let gateway = Gateway::start().await;
    let file = gateway.config().join("web.yaml");
    fs::write(&file, web("[{address: 10.0.1.1}, {address: 10.0.1.2}]")).unwrap();
    gateway.until("the file is in force", async || revision(&gateway).await == 1).await;
    gateway.apply(&service("api", "192.0.2.11", "[{address: 10.0.1.3}]")).await.unwrap();
    let before = gateway.contents();
    let (world, directory) = gateway.stop().await;

    fs::write(&file, "kind: [").unwrap();
    let gateway = Gateway::start_on(world, directory).await;
    assert_eq!(revision(&gateway).await, 2);
    assert_eq!(gateway.contents(), before, "nothing is written that was right already");
    assert_eq!(gateway.status_of("web").await.backends.len(), 2);
    let status = gateway.handle.read(|engine| engine.status()).await.unwrap().unwrap();
    assert!(status.directory.problems[0].text.contains("web.yaml"), "{:?}", status.directory);

    // Objects of the broken file still belong to it.
    let refused = gateway.apply(&service("web", "192.0.2.10", "[]")).await.unwrap_err();
    assert!(matches!(refused, ChangeError::Refused(Refusal::OwnedByFile { .. })), "{refused}");
}

#[tokio::test]
async fn health_known_before_a_restart_holds_until_the_first_probe() {
    let gateway = Gateway::start().await;
    gateway.answers.set("10.0.1.1", true);
    let yaml = web("[{address: 10.0.1.1}, {address: 10.0.1.2}]")
        .replace("10.0.1.2}]\n", "10.0.1.2}]\n  health: {type: tcp, interval: 1h, timeout: 1s}\n");
    gateway.apply(&yaml).await.unwrap();
    let states = async |gateway: &Gateway| {
        let status = gateway.status_of("web").await;
        status.backends.iter().map(|backend| backend.state).collect::<Vec<_>>()
    };
    let known = [HealthState::Up, HealthState::Down];
    gateway.until("both are probed", async || states(&gateway).await == known).await;
    gateway
        .until("the tables know", async || gateway.status_of("web").await.backends[0].share == 1.0)
        .await;
    let before = gateway.contents();
    let (world, directory) = gateway.stop().await;
    // The new daemon hears nothing: no server answers, and one failure takes nobody down.
    let gateway = Gateway::start_on(world, directory).await;
    assert_eq!(states(&gateway).await, known);
    assert_eq!(gateway.contents(), before);
}

#[tokio::test]
async fn missing_link_is_attached_when_it_appears_and_again_when_it_is_made_anew() {
    let gateway = Gateway::start().await;
    let yaml =
        web("[{address: 10.0.1.1}]").replace("[{name: eth0}]", "[{name: eth0}, {name: late0}]");
    gateway.apply(&yaml).await.unwrap();
    let late = async || links(&gateway).await.remove(1);
    assert_eq!(late().await.actual, ActualAttach::None);
    assert!(late().await.reason.unwrap().contains("there is no link late0"));

    gateway.world.set_link(link(9, "late0"));
    gateway.until("it is attached", async || late().await.actual == ActualAttach::Native).await;
    assert_eq!(late().await.reason, None);
    gateway.world.remove_link(9);
    gateway.until("it is lost", async || late().await.actual == ActualAttach::None).await;
    gateway.world.set_link(link(10, "late0"));
    gateway
        .until("it is attached again", async || late().await.actual == ActualAttach::Native)
        .await;
    let told = gateway.events(&[EventKind::LinkAttached, EventKind::LinkLost]);
    let told: Vec<_> =
        told.iter().filter(|event| event.object.as_deref() == Some("link late0")).collect();
    let kinds: Vec<_> = told.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["link-lost", "link-attached", "link-lost", "link-attached"]);

    // So fast that nobody looked in between: still another link, and nobody's tampering.
    gateway.world.remove_link(10);
    gateway.world.set_link(link(11, "late0"));
    let attached = async || {
        let attached = gateway.events(&[EventKind::LinkAttached]);
        attached.iter().filter(|event| event.object.as_deref() == Some("link late0")).count()
    };
    gateway.until("the new link is attached", async || attached().await == 3).await;
    assert!(gateway.events(&[EventKind::TamperingHealed]).is_empty());
}

fn foreign() -> ForeignProgram {
    ForeignProgram {
        id: 77,
        name: "xdp_other".into(),
        kind: "xdp".into(),
        mode: XdpMode::Native,
        bpf_link: None,
    }
}

#[tokio::test]
async fn program_of_somebody_else_is_named_and_replaced_only_on_request() {
    let gateway = Gateway::start().await;
    gateway.world.set_foreign(ETH0, Some(foreign()));
    let error = gateway.apply(&web("[{address: 10.0.1.1}]")).await.unwrap_err().to_string();
    for word in ["eth0", "xdp_other", "77", "ip link set dev eth0 xdpdrv off"] {
        assert!(error.contains(word), "{error}");
    }
    assert_eq!(revision(&gateway).await, 0);
    let yaml =
        web("[{address: 10.0.1.1}]").replace("{name: eth0}", "{name: eth0, replaceForeign: true}");
    gateway.apply(&yaml).await.unwrap();
    assert_eq!(links(&gateway).await[0].actual, ActualAttach::Native);
}

#[tokio::test]
async fn program_of_somebody_else_in_the_way_of_a_file_is_a_condition() {
    let gateway = Gateway::start().await;
    gateway.world.set_foreign(ETH0, Some(foreign()));
    fs::write(gateway.config().join("web.yaml"), web("[{address: 10.0.1.1}]")).unwrap();
    gateway.until("the file is in force", async || revision(&gateway).await == 1).await;
    let status = links(&gateway).await.remove(0);
    assert_eq!(status.actual, ActualAttach::None);
    assert!(status.reason.unwrap().contains("xdp_other"));
    gateway.world.set_foreign(ETH0, None);
    gateway
        .until("it is tried again", async || {
            links(&gateway).await[0].actual == ActualAttach::Native
        })
        .await;
}

#[tokio::test]
async fn native_refused_runs_generic_and_says_why() {
    let gateway = Gateway::start().await;
    gateway.world.refuse_native(ETH0, Some("veth: peer MTU is too large to set XDP"));
    gateway.apply(&web("[{address: 10.0.1.1}]")).await.unwrap();
    let status = links(&gateway).await.remove(0);
    assert_eq!(status.actual, ActualAttach::Generic);
    assert!(status.reason.unwrap().contains("peer MTU is too large"));
    let stages: Vec<_> = status.stages.iter().filter_map(|stage| stage.placement).collect();
    assert!(stages.iter().all(|placement| placement.as_str() == "host-xdp-generic"), "{stages:?}");
}

#[tokio::test]
async fn program_taken_off_from_outside_comes_back_and_is_told() {
    let gateway = Gateway::start().await;
    gateway.apply(&web("[{address: 10.0.1.1}]")).await.unwrap();
    gateway.world.tear_off(ETH0);
    gateway
        .until("it is healed", async || !gateway.events(&[EventKind::TamperingHealed]).is_empty())
        .await;
    assert_eq!(links(&gateway).await[0].actual, ActualAttach::Native);
}

#[tokio::test]
async fn dry_run_says_what_would_happen_and_does_not_do_it() {
    let gateway = Gateway::start().await;
    let before = gateway.contents();
    let parsed = parse("test.yaml", &web("[{address: 10.0.1.1}]")).unwrap();
    let applied = gateway.handle.change(Change::Apply(parsed), true).await.unwrap();
    assert_eq!((applied.revision, applied.diff.added.len()), (1, 2));
    let actions = applied.plan.unwrap().actions;
    assert!(actions.iter().any(|action| action.starts_with("Service/web: ")), "{actions:?}");
    assert_eq!(revision(&gateway).await, 0);
    assert_eq!(gateway.contents(), before);
    assert!(gateway.handle.readiness().ready);
}

#[tokio::test]
async fn removed_backend_is_shown_until_its_flows_are_gone() {
    let gateway = Gateway::start().await;
    gateway.apply(&web("[{address: 10.0.1.1}, {address: 10.0.1.2}]")).await.unwrap();
    gateway.apply(&web("[{address: 10.0.1.1}]")).await.unwrap();
    let status = gateway.status_of("web").await;
    assert_eq!(status.backends.len(), 2);
    assert_eq!(status.backends[1].state, HealthState::Draining);
    assert!(status.moving_slots > 0);
    // Six minutes later: the drain timeout and the idle limit are over.
    gateway.world.advance(6 * 60 * 4);
    gateway
        .until("the slots are quiet", async || gateway.status_of("web").await.moving_slots == 0)
        .await;
    gateway.world.advance(6 * 60 * 4);
    gateway
        .until("it is forgotten", async || gateway.status_of("web").await.backends.len() == 1)
        .await;
}

#[tokio::test]
async fn drain_deadline_goes_on_over_a_restart() {
    let gateway = Gateway::start().await;
    let yaml = |state: &str| {
        web(&format!("[{{address: 10.0.1.1}}, {{address: 10.0.1.2, state: {state}}}]"))
            .replace("port: 80\n", "port: 80\n  drainTimeout: 3s\n")
    };
    gateway.apply(&yaml("active")).await.unwrap();
    gateway.apply(&yaml("drain")).await.unwrap();
    assert!(gateway.status_of("web").await.moving_slots > 0);
    let began = gateway.status_of("web").await.backends[1].since;
    tokio::time::sleep(std::time::Duration::from_millis(1200)).await;
    let (world, directory) = gateway.stop().await;
    let gateway = Gateway::start_on(world, directory).await;
    let status = gateway.status_of("web").await;
    assert_eq!(
        (status.backends[1].state, status.backends[1].since),
        (HealthState::Draining, began)
    );
    let is_dead = || {
        let backend = gateway.tables().view(sluice_kernel::tables::BACKENDS).read(2);
        backend.flags.has(sluice_datapath::abi::BackendFlags::DEAD)
    };
    assert!(!is_dead());
    // 8 ticks are 2 seconds: the deadline is over only because of what passed before the restart.
    gateway.world.advance(8);
    gateway.until("the deadline is over", async || is_dead()).await;
}
