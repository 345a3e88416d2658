//! What others do to a card while the daemon runs, and before it runs.

use std::time::Duration;

use serde_json::json;
use sluice_kernel::linux::object_ids;

use crate::daemon::Daemon;
use crate::scene::{DENY, Scene, configuration, new_nic};

fn has_event(daemon: &Daemon, kind: &str, words: &str) -> bool {
    daemon.events(kind).iter().any(|message| message.contains(words))
}

/// The plan is reached: the stage is there, and nothing is complained of any more.
fn assert_reached(daemon: &Daemon, placement: &str) {
    daemon.until_placed("prefilter", placement);
    daemon.until("nothing is complained of", |daemon| {
        (daemon.offloaded()["reason"] == "AsPlanned").then_some(())
    });
}

#[test]
fn a_program_that_is_taken_off_by_hand_is_missed_and_comes_back() {
    let Some(scene) = Scene::new() else { return };
    let daemon = scene.home.start();
    daemon.apply(&configuration(&[DENY]));
    assert_reached(&daemon, "nic-xdp");
    let before = scene.nic.offloaded();
    let _ = scene.nic.detach_xdp("xdpoffload").ok();
    daemon.until("the loss is told", |daemon| {
        has_event(daemon, "card-lost", "the host does what the card did").then_some(())
    });
    daemon.until("another is there", |_| {
        let now = scene.nic.offloaded();
        (now != 0 && now != before).then_some(())
    });
    assert_reached(&daemon, "nic-xdp");
    scene.nic.assert_bound(&[scene.nic.offloaded()]);
}

#[test]
fn what_a_killed_daemon_left_on_the_card_is_replaced_or_taken_off_by_the_next() {
    let Some(scene) = Scene::new() else { return };
    let daemon = scene.home.start();
    daemon.apply(&configuration(&[DENY]));
    assert_reached(&daemon, "nic-xdp");
    let left = scene.nic.offloaded();
    daemon.kill();
    assert_eq!(scene.nic.offloaded(), left, "the card goes on");
    let daemon = scene.home.start();
    assert!(has_event(&daemon, "card-lost", "what an earlier daemon left"));
    assert_reached(&daemon, "nic-xdp");
    assert_ne!(scene.nic.offloaded(), left);
    scene.nic.assert_bound(&[scene.nic.offloaded()]);

    // One that has nothing to do takes it off.
    daemon.kill();
    scene.home.forget_state();
    let _daemon = scene.home.start();
    assert_eq!(scene.nic.offloaded(), 0);
    scene.nic.assert_unbound();
}

#[test]
fn a_device_that_goes_and_comes_back_is_used_again_and_leaves_nothing() {
    let Some(mut scene) = Scene::new() else { return };
    let objects = object_ids().unwrap();
    let daemon = scene.home.start();
    daemon.apply(&configuration(&[DENY]));
    assert_reached(&daemon, "nic-xdp");
    for _ in 0..2 {
        scene.nic.device.remove().unwrap();
        daemon.until("the loss is told", |daemon| {
            let is_told = has_event(daemon, "card-lost", "the host does what the card did")
                || has_event(daemon, "card-refused", "the device is gone");
            is_told.then_some(())
        });
        let words = daemon.sluice("status").ok();
        assert!(words.contains("there is no link card0"), "{words}");
        scene.nic = new_nic();
        assert_reached(&daemon, "nic-xdp");
        assert_ne!(scene.nic.offloaded(), 0);
        scene.nic.assert_bound(&[scene.nic.offloaded()]);
    }
    daemon.kill();
    let Scene { home, nic } = scene;
    drop(home);
    nic.assert_unbound();
    drop(nic);
    let is_new = || {
        let now = object_ids().unwrap();
        json!([
            now.programs.difference(&objects.programs).collect::<Vec<_>>(),
            now.maps.difference(&objects.maps).collect::<Vec<_>>()
        ])
    };
    // The kernel frees objects a moment after their last use.
    for _ in 0..100 {
        if is_new() == json!([[], []]) {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("left behind, programs and maps: {}", is_new());
}
