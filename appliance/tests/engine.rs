//! The engine on a machine in memory: what is desired and what happens around it reach the tables.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it fails")]

mod common;

use std::fs;

use common::{ETH1, GATEWAY, Gateway, ip, service};
use sluice_appliance::event::EventKind;
use sluice_datapath::abi::{BackendFlags, ServiceCounter};
use sluice_kernel::{Neighbour, NeighbourState, tables};
use sluice_model::status::{HealthState, NextHop};

#[tokio::test]
async fn service_reaches_the_tables_with_its_next_hop() {
    let gateway = Gateway::start().await;
    let applied = gateway
        .apply(&(GATEWAY.to_owned() + &service("web", "192.0.2.10", "[{address: 10.0.1.1}]")))
        .await;
    assert_eq!(applied.unwrap().revision, 1);
    let backend = gateway.tables().view(tables::BACKENDS).read(1);
    assert!(backend.flags.has(BackendFlags::RESOLVED));
    assert_eq!((backend.ifindex, backend.max_length), (ETH1, 1480));
    let status = gateway.status_of("web").await;
    assert_eq!(status.backends[0].state, HealthState::Up);
    assert!(
        matches!(&status.backends[0].next_hop, NextHop::Resolved { mac, .. } if mac == "06:00:00:00:00:01")
    );
    assert_eq!(gateway.events(&[EventKind::LinkAttached]).len(), 1);
}

#[tokio::test]
async fn changed_mac_of_a_neighbour_is_written_in_place() {
    let gateway = Gateway::start().await;
    gateway
        .apply(&(GATEWAY.to_owned() + &service("web", "192.0.2.10", "[{address: 10.0.1.1}]")))
        .await
        .unwrap();
    let mac = Some([6, 0, 0, 0, 0, 99]);
    let state = NeighbourState::Reachable;
    gateway.world.set_neighbour(Neighbour { ifindex: ETH1, address: ip("10.0.1.1"), mac, state });
    let view = || gateway.tables().view(tables::BACKENDS).read(1).next_hop[2].to_ne_bytes()[1];
    gateway.until("the new address", async || view() == 99).await;
    let state = NeighbourState::Failed;
    gateway.world.set_neighbour(Neighbour {
        ifindex: ETH1,
        address: ip("10.0.1.1"),
        mac: None,
        state,
    });
    let resolved =
        || gateway.tables().view(tables::BACKENDS).read(1).flags.has(BackendFlags::RESOLVED);
    gateway.until("the lost neighbour", async || !resolved()).await;
    let lost = gateway.events(&[EventKind::NeighbourLost]);
    assert!(
        lost[0].message.contains("10.0.1.1 on link eth1 does not answer"),
        "{}",
        lost[0].message
    );
}

#[tokio::test]
async fn dead_backend_gets_no_new_flows_and_comes_back() {
    let gateway = Gateway::start().await;
    gateway.answers.set("10.0.1.1", true);
    let yaml = service("web", "192.0.2.10", "[{address: 10.0.1.1}, {address: 10.0.1.2}]");
    let yaml = yaml.replace(
        "---",
        "  health: {type: tcp, interval: 100ms, timeout: 50ms, rise: 1, fall: 1}\n---",
    );
    gateway.apply(&(GATEWAY.to_owned() + &yaml)).await.unwrap();
    let shares = async || {
        let status = gateway.status_of("web").await;
        status.backends.iter().map(|backend| (backend.state, backend.share)).collect::<Vec<_>>()
    };
    let one = [(HealthState::Up, 1.0), (HealthState::Down, 0.0)];
    gateway.until("one backend serves", async || shares().await == one).await;
    gateway.answers.set("10.0.1.1", false);
    gateway.until("none serves", async || shares().await == [(HealthState::Down, 0.0); 2]).await;
    let error = gateway.status_of("web").await.backends[0].last_error.clone();
    assert_eq!(error.as_deref(), Some("connect to 10.0.1.1:80: connection refused"));
    gateway.answers.set("10.0.1.1", true);
    gateway.until("it serves again", async || shares().await == one).await;
}

#[tokio::test]
async fn files_are_noticed_and_broken_ones_change_nothing() {
    let gateway = Gateway::start().await;
    let file = gateway.config().join("web.yaml");
    fs::write(&file, GATEWAY.to_owned() + &service("web", "192.0.2.10", "[{address: 10.0.1.1}]"))
        .unwrap();
    let status = async || gateway.handle.read(|engine| engine.status()).await.unwrap().unwrap();
    gateway.until("the file is in force", async || status().await.revision == 1).await;
    let before = gateway.contents();

    fs::write(
        &file,
        GATEWAY.to_owned() + &service("web", "192.0.2.10", "[{address: 10.0.1.1, weigth: 3}]"),
    )
    .unwrap();
    gateway
        .until("the broken file is noticed", async || !status().await.directory.problems.is_empty())
        .await;
    let problem = status().await.directory.problems.remove(0);
    assert!(problem.text.contains("web.yaml:16:34"), "{}", problem.text);
    assert_eq!(problem.field.as_deref(), Some("spec.backends[0].weigth"));
    assert_eq!(status().await.revision, 1);
    assert_eq!(gateway.contents(), before, "the tables did not change");
    assert_eq!(gateway.events(&[EventKind::ConfigRefused]).len(), 1);
}

#[tokio::test]
async fn full_tables_are_alarmed_with_the_way_out() {
    let gateway = Gateway::start().await;
    let yaml = GATEWAY.to_owned() + &service("web", "192.0.2.10", "[{address: 10.0.1.1}]");
    gateway.apply(&yaml).await.unwrap();
    for (counter, advice) in [
        (ServiceCounter::NatExhausted, "add addresses to the pool"),
        (ServiceCounter::RememberedFullOld, "raise spec.capacity.rememberedFlows"),
    ] {
        let told = async || {
            gateway.world.count_service(0, counter, 1);
            let alarms = gateway.events(&[EventKind::TableFull]);
            alarms.iter().any(|alarm| alarm.message.contains(advice))
        };
        gateway.until(counter.name(), told).await;
    }
    let alarms = gateway.events(&[EventKind::TableFull]);
    assert!(
        alarms.iter().all(|alarm| alarm.object.as_deref() == Some("Service/web")),
        "{alarms:?}"
    );
}
