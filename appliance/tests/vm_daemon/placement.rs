//! What the plan says is on the card is what others see there.

use std::collections::BTreeSet;

use serde_json::json;
use sluice_profile::shipped;
use sluice_vm_tests::expectations;

use crate::daemon::Daemon;
use crate::eyes::Seen;
use crate::scene::{DENY, Scene, configuration};

/// What a card like this one would be given that holds nothing yet, in words: sizes of its tables, and entries.
fn plan_from_nothing(daemon: &Daemon, program: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let name = format!("netdevsim-{}", expectations().series);
    let profile = shipped::profile(&name).unwrap().unwrap();
    let supposed = daemon.post("/v1/plan", &json!({ "profile": profile }).to_string());
    let card = &supposed["cards"][0];
    assert_eq!(card["program"], program);
    let words = |list: &str| -> Vec<String> {
        let words = card[list].as_array().unwrap().iter();
        words.map(|word| word.as_str().unwrap().to_owned()).collect()
    };
    let actions = words("actions");
    assert_eq!(actions[0], format!("put the program on the card: {program}"));
    (words("tables").into_iter().collect(), actions[1..].iter().cloned().collect())
}

#[test]
fn what_the_plan_puts_on_a_card_is_what_bpftool_and_ip_see_there() {
    let Some(scene) = Scene::new() else { return };
    let daemon = scene.home.start();
    daemon.apply(&configuration(&[DENY]));
    let status = daemon.until_placed("prefilter", "nic-xdp");
    assert_eq!((&status["requested"], &status["behind"]), (&json!("nic-xdp"), &json!("host-xdp")));
    let seen = Seen::on(&scene.nic);
    seen.assert_on_card(&scene.nic);
    assert_eq!(seen.program["type"], "xdp");
    assert_eq!(seen.tables["CARD_PREFIXES4"].entries.len(), 2);
    let program = "prefilter at nic-xdp";
    let (sizes, entries) = plan_from_nothing(&daemon, program);
    assert_eq!(seen.sizes(), sizes);
    assert_eq!(seen.words(), entries);
    let now = daemon.planned();
    assert_eq!((&now["program"], &now["actions"]), (&json!(program), &json!([])), "{now}");
    let shown = scene.nic.shown();
    for part in ["xdpoffload", "xdpdrv", &format!("id {}", scene.nic.offloaded())] {
        assert!(shown.contains(part), "no {part} in {shown}");
    }
    let words = daemon.sluice("status").ok();
    assert!(words.contains("prefilter=nic-xdp"), "{words}");
    scene.nic.assert_bound(&[scene.nic.offloaded()]);
}
