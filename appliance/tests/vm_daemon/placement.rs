//! What the plan says is on the card is what others see there.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sluice_profile::shipped;
use sluice_vm_tests::{command, expectations};

use crate::daemon::Daemon;
use crate::eyes::{Seen, word};
use crate::scene::{BACKEND_MAC, DENY, Scene, WEB, configuration, gateway};

/// What a card like this one would be given that holds nothing yet, in words: the program, then the entries.
fn plan_from_nothing(daemon: &Daemon) -> (Value, Vec<String>) {
    let name = format!("netdevsim-{}", expectations().series);
    let profile = shipped::profile(&name).unwrap().unwrap();
    let supposed = daemon.post("/v1/plan", &json!({ "profile": profile }).to_string());
    let card = supposed["cards"][0].clone();
    let actions = card["actions"].as_array().unwrap().iter();
    (card.clone(), actions.map(|action| action.as_str().unwrap().to_owned()).collect())
}

/// Checks that the card runs what is planned, with its own eyes, the daemon's and those of others.
fn assert_as_planned(scene: &Scene, daemon: &Daemon, program: &str) -> Seen {
    let (card, actions) = plan_from_nothing(daemon);
    assert_eq!(card["program"], program);
    assert_eq!(actions[0], format!("put the program on the card: {program}"));
    let seen = Seen::on(&scene.nic);
    seen.assert_on_card(&scene.nic);
    assert_eq!(seen.words(), actions[1..].iter().cloned().collect(), "{program}");
    let sizes = card["tables"].as_array().unwrap().iter();
    let sizes: BTreeSet<_> = sizes.map(|size| size.as_str().unwrap().to_owned()).collect();
    assert_eq!(seen.sizes(), sizes, "{program}");
    let now = daemon.planned();
    assert_eq!((&now["program"], &now["actions"]), (&json!(program), &json!([])), "{now}");
    let condition = daemon.offloaded();
    assert_eq!((&condition["status"], &condition["reason"]), (&json!("True"), &json!("AsPlanned")));
    scene.nic.assert_bound(&[scene.nic.offloaded()]);
    seen
}

#[test]
fn what_the_plan_puts_on_a_card_as_xdp_is_what_bpftool_sees_there() {
    let Some(scene) = Scene::new() else { return };
    let daemon = scene.home.start();

    daemon.apply(&configuration(&[DENY]));
    let status = daemon.until_placed("prefilter", "nic-xdp");
    assert_eq!((&status["requested"], &status["behind"]), (&json!("nic-xdp"), &json!("host-xdp")));
    let seen = assert_as_planned(&scene, &daemon, "prefilter at nic-xdp");
    assert_eq!(seen.program["type"], "xdp");
    assert_eq!(seen.entries("CARD_PREFIXES4").len(), 2);
    assert_shown_as_xdp(&scene);

    daemon.apply(WEB);
    daemon.until_placed("service", "nic-xdp");
    let seen = assert_as_planned(&scene, &daemon, "prefilter and service at nic-xdp");
    assert_backend(&seen);
    assert_shown_as_xdp(&scene);
    let words = daemon.sluice("status").ok();
    assert!(words.contains("prefilter=nic-xdp service=nic-xdp"), "{words}");
    let words = daemon.sluice("explain service card0").ok();
    for part in [
        "service on card0: nic-xdp",
        "what it leaves goes on to host-xdp",
        "services: 1 of 1 are there",
        "not nic-tc: its program on the card must call adjust-head to put packets into tunnels",
    ] {
        assert!(words.contains(part), "no '{part}' in: {words}");
    }

    daemon.delete("/v1/prefilters/filter");
    daemon.until("the prefilter is nowhere", |daemon| {
        (daemon.planned()["program"] == "service at nic-xdp"
            && daemon.stage("prefilter")["placement"].is_null())
        .then_some(())
    });
    let seen = assert_as_planned(&scene, &daemon, "service at nic-xdp");
    assert!(!seen.tables.contains_key("CARD_PREFIXES4"));
    assert_backend(&seen);

    daemon.delete("/v1/services/web");
    daemon.until("the card is free", |_| (scene.nic.offloaded() == 0).then_some(()));
    scene.nic.assert_unbound();
}

/// `ip` sees the program beside the host's.
fn assert_shown_as_xdp(scene: &Scene) {
    let shown = scene.nic.shown();
    for part in ["xdpoffload", "xdpdrv", &format!("id {}", scene.nic.offloaded())] {
        assert!(shown.contains(part), "no {part} in {shown}");
    }
}

/// The backend with its next hop, and slots that all lead to it.
fn assert_backend(seen: &Seen) {
    let (_, backend) = &seen.entries("CARD_BACKENDS")[0];
    let next_hop: Vec<u8> =
        BACKEND_MAC.split(':').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
    assert_eq!(backend[..4], [10, 0, 1, 1]);
    assert!(backend.windows(6).any(|bytes| bytes == next_hop), "{backend:?}");
    let (_, service) = &seen.entries("CARD_SERVICES4")[0];
    let slots = seen.entries("CARD_SLOTS").iter().filter(|(_, slot)| word(slot, 0) == 1);
    assert_eq!(slots.count() as u32, word(service, 1) + 1);
}

#[test]
fn what_the_plan_puts_on_a_card_as_tc_is_what_tc_and_bpftool_see_there() {
    let Some(scene) = Scene::new() else { return };
    let daemon = scene.home.start();
    let pin = "placements: [{stage: prefilter, placement: nic-tc, policy: require}]";
    daemon.apply(&[&gateway(&format!(", {pin}")), DENY, WEB].concat());
    daemon.until_placed("prefilter", "nic-tc");
    let seen = assert_as_planned(&scene, &daemon, "prefilter at nic-tc");
    assert_eq!(seen.program["type"], "sched_cls");
    let shown = scene.nic.filters();
    let id = format!("id {}", scene.nic.offloaded());
    for part in ["sluice-card-prefilter", "direct-action", "skip_sw", "in_hw", &id] {
        assert!(shown.contains(part), "no {part} in {shown}");
    }
    assert!(!scene.nic.shown().contains("xdpoffload"), "{}", scene.nic.shown());

    // Services need a helper that programs of tc have not: the plan says so, and a requirement is refused with it.
    let reason = "its program on the card must call adjust-head to put packets into tunnels";
    let status = daemon.stage("service");
    assert_eq!(status["placement"], "host-xdp");
    let others = status["notChosen"].as_array().unwrap();
    let tc = others.iter().find(|other| other["placement"] == "nic-tc").unwrap();
    assert_eq!(tc["reason"], reason);
    assert!(
        tc["evidence"].as_str().unwrap().contains("cannot use helper bpf_xdp_adjust_head"),
        "{tc}"
    );
    let words = daemon.sluice("explain service card0").ok();
    assert!(words.contains(&format!("not nic-tc: {reason}")), "{words}");
    let required = gateway(", placements: [{stage: service, placement: nic-tc, policy: require}]");
    let refusal = daemon.refused(&required);
    assert!(
        refusal.contains(reason) && refusal.contains("spec.links[0].placements[0]"),
        "{refusal}"
    );
    assert_as_planned(&scene, &daemon, "prefilter at nic-tc");
}

#[test]
fn a_card_for_two_prefixes_holds_two_and_what_it_counts_is_shown() {
    let Some(scene) = Scene::new() else { return };
    let daemon = scene.home.start();
    let three = DENY.replace("deny: [", "deny: [192.0.0.0/24, ");
    daemon.apply(&configuration(&[&three]));
    let status = daemon.until_placed("prefilter", "nic-xdp");
    let share = &status["holds"][0];
    assert_eq!((&share["held"], &share["of"]), (&json!(2), &json!(3)), "{share}");
    let seen = assert_as_planned(&scene, &daemon, "prefilter at nic-xdp");
    assert_eq!(seen.entries("CARD_PREFIXES4").len(), 2);

    // Nothing runs on a simulated card, so somebody else counts there.
    let (key, mut value) = seen.entries("CARD_PREFIXES4")[0].clone();
    value[8..24].copy_from_slice(&[7_u64.to_ne_bytes(), 700_u64.to_ne_bytes()].concat());
    let hex =
        |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
    let id = &seen.tables["CARD_PREFIXES4"].about["id"];
    let update =
        format!("bpftool map update id {id} key hex {} value hex {}", hex(&key), hex(&value));
    let _ = command(&update).ok();
    daemon.until("what the card counted is shown", |daemon| {
        let counters = daemon.get("/v1/counters").to_string();
        counters.contains("700").then_some(())
    });
}
