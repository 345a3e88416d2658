//! What the kernel tells.

use std::time::Duration;

use futures_util::StreamExt as _;
use sluice_kernel::linux::Ipsec;
use sluice_kernel::xfrm::{
    Action, Addresses, Limits, Message, Policy, PolicyDirection, Selector, State, Suite, Template,
    Templates,
};
use sluice_kernel::{Ipsec as _, IpsecEvent};
use sluice_vm_tests::command;

use crate::{ends, in_namespace, state};

/// Collects what is told while `act` acts, until `is_last` says so.
fn told(act: impl FnOnce(&mut Ipsec), is_last: impl Fn(&Message) -> bool) -> Vec<Message> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut ipsec = Ipsec::open().unwrap();
        let mut events = ipsec.watch().unwrap();
        act(&mut ipsec);
        let mut told = Vec::new();
        loop {
            let next = tokio::time::timeout(Duration::from_secs(20), events.next()).await;
            let Ok(Some(event)) = next else { panic!("the last is missing: {told:?}") };
            let IpsecEvent::Told(message) = event else { panic!("{event:?}") };
            let last = is_last(&message);
            told.push(*message);
            if last {
                return told;
            }
        }
    })
}

#[test]
fn limits_in_time_are_told_first_soft_then_hard() {
    in_namespace(|| {
        let wanted = State {
            limits: Limits { soft_seconds: Some(1), hard_seconds: Some(3), ..Limits::default() },
            if_id: Some(6),
            ..state("192.0.2.1", "192.0.2.2", 0x301, Suite::AesGcm128)
        };
        let id = wanted.id();
        let told = told(
            |ipsec| drop(ipsec.add_state(&wanted).unwrap()),
            |message| matches!(message, Message::Expired(expired) if expired.hard),
        );
        let expired: Vec<_> = told
            .iter()
            .filter_map(|message| match message {
                Message::Expired(expired) => {
                    Some((expired.state.id(), expired.state.if_id, expired.hard))
                }
                _ => None,
            })
            .collect();
        assert_eq!(expired, [(id, Some(6), false), (id, Some(6), true)], "{told:?}");
        let new = matches!(&told[0], Message::NewState(state) if state.id() == id);
        assert!(new, "{:?}", told[0]);
        assert_eq!(Ipsec::open().unwrap().state(&id).unwrap(), None);
    });
}

#[test]
fn a_packet_without_a_state_is_told_as_an_acquire() {
    in_namespace(|| {
        let _ = command("ip link set lo up").ok();
        let _ = command("ip link add near type veth peer name far").ok();
        let _ = command("ip link set near up").ok();
        let _ = command("ip link set far up").ok();
        let _ = command("ip address add 192.0.2.1/24 dev near").ok();
        let outer = ends("192.0.2.1", "192.0.2.2");
        let addresses = Addresses::V4 {
            source: ([0, 0, 0, 0].into(), 0),
            destination: ([192, 0, 2, 2].into(), 32),
        };
        let policy = Policy {
            templates: Templates::one(Template::tunnel(outer, 0x77)),
            ..Policy::new(Selector::of(addresses), PolicyDirection::Out, Action::Allow)
        };
        let told = told(
            |ipsec| {
                ipsec.set_policy(&policy).unwrap();
                let _ = command("busybox ping -c 1 -W 1 192.0.2.2");
            },
            |message| matches!(message, Message::Acquire(_)),
        );
        let Some(Message::Acquire(acquire)) = told.last() else { panic!("{told:?}") };
        assert_eq!((acquire.ends, acquire.protocol), (outer, 50));
        assert_eq!(acquire.policy.templates.as_slice()[0].request_id, 0x77);
        assert!(acquire.sequence != 0);
    });
}
