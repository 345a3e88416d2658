//! What every backend promises, on the one in memory.

use super::{difference, place_state};
use crate::{
    Errno, Error, Fallback, Ipsec as _, IpsecEvent, Owner, chaos, fake,
    fake::{IpsecCard, Taking},
    xfrm::{
        Action, Addresses, Aead, Algorithms, DefaultAction, Defaults, Direction, Ends, Filter, Key,
        Message, Offload, OffloadKind, Policy, PolicyDirection, Selector, State, Suite,
    },
};
use futures_util::StreamExt;

const CARD: u32 = 7;

fn state(spi: u32, suite: Suite, offload: Option<OffloadKind>) -> State {
    let ends = Ends::new([192, 0, 2, 1].into(), [198, 51, 100, 2].into()).unwrap();
    let key = Key::new(&vec![9; suite.key_bytes()]).unwrap();
    let direction = Direction::Out;
    State {
        offload: offload.map(|kind| Offload { ifindex: CARD, kind, direction }),
        ..State::tunnel(ends, spi, Algorithms::Aead(Aead::of(suite, key).unwrap()))
    }
}

fn with_card(card: IpsecCard) -> fake::Ipsec {
    let ipsec = fake::Ipsec::new();
    ipsec.set_card(CARD, card);
    ipsec
}

#[test]
fn a_state_falls_from_place_to_place_with_each_reason() {
    let mut ipsec = with_card(IpsecCard::netdevsim());
    let wanted = |spi| state(spi, Suite::AesGcm128, Some(OffloadKind::Packet));
    for spi in 1..=33 {
        let placed = place_state(&mut ipsec, &wanted(spi)).unwrap();
        let kind = placed.installed.actual.map(|offload| offload.kind);
        assert_eq!(kind, Some(OffloadKind::Crypto));
        let why = "Unsupported ipsec offload type".to_owned();
        assert_eq!(placed.fallbacks, [Fallback { wanted: OffloadKind::Packet, why }]);
    }
    let placed = place_state(&mut ipsec, &wanted(34)).unwrap();
    assert_eq!(placed.installed.actual, None);
    let last = placed.fallbacks.last().unwrap();
    assert_eq!(last.wanted, OffloadKind::Crypto);
    assert_eq!(last.why, "No space for SA in Rx table!");
    assert_eq!(ipsec.counts().unwrap().0.states, 34);
}

#[test]
fn an_offload_that_reading_back_does_not_show_is_none() {
    let mut ipsec = with_card(IpsecCard::default());
    let wanted = state(1, Suite::AesGcm128, Some(OffloadKind::Packet));
    let installed = ipsec.add_state(&wanted).unwrap();
    assert!(!installed.is_as_requested());
    assert_eq!((installed.actual, installed.shown.offload), (None, None));
    ipsec.delete_state(&wanted.id()).unwrap();
    let placed = place_state(&mut ipsec, &wanted).unwrap();
    let silent = "the kernel accepted, but reading back shows no offload";
    assert!(placed.fallbacks.iter().all(|fallback| fallback.why == silent));
    assert_eq!(placed.fallbacks.len(), 2);
    assert_eq!(ipsec.states(&Filter::default()).unwrap().len(), 1, "nothing is there twice");
}

#[test]
fn a_suite_that_a_card_keeps_wrong_is_not_given_to_it() {
    let mut ipsec = with_card(IpsecCard::netdevsim());
    for suite in [Suite::AesGcm256, Suite::ChaCha20Poly1305] {
        let wanted = state(suite as u32, suite, Some(OffloadKind::Crypto));
        let placed = place_state(&mut ipsec, &wanted).unwrap();
        assert_eq!(placed.installed.actual, None);
        assert!(placed.fallbacks[0].why.contains("keeps 128 of them"), "{placed:?}");
    }
}

#[test]
fn a_state_that_is_there_is_not_taken_for_a_refusal_of_the_card() {
    let mut ipsec = with_card(IpsecCard::netdevsim());
    let wanted = state(1, Suite::AesGcm128, Some(OffloadKind::Crypto));
    place_state(&mut ipsec, &wanted).unwrap();
    let error = place_state(&mut ipsec, &wanted).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::EEXIST));
    let text = error.to_string();
    assert!(text.contains("0x00000001 to 198.51.100.2") && text.contains("another SPI"), "{text}");
}

#[test]
fn flushing_takes_what_is_ours_and_nothing_else() {
    let mut ipsec = fake::Ipsec::new();
    for (spi, if_id) in [(1, Some(4)), (2, Some(4)), (3, Some(5)), (4, None)] {
        let state = State { if_id, ..state(spi, Suite::AesGcm128, None) };
        ipsec.add_state(&state).unwrap();
        let block = Policy {
            if_id,
            priority: spi,
            ..Policy::new(
                Selector { protocol: spi as u8, ..Selector::of(Addresses::ALL_V4) },
                PolicyDirection::Out,
                Action::Block,
            )
        };
        ipsec.set_policy(&block).unwrap();
    }
    let flushed = <dyn crate::Ipsec>::flush(&mut ipsec, Owner::Interface(4)).unwrap();
    assert_eq!((flushed.states, flushed.policies), (2, 2));
    let left: Vec<_> =
        ipsec.states(&Filter::default()).unwrap().iter().map(|state| state.spi).collect();
    assert_eq!(left, [3, 4]);
    assert_eq!(ipsec.policies().unwrap().len(), 2);
}

#[test]
fn what_differs_is_named() {
    let asked = state(1, Suite::AesGcm128, None);
    assert_eq!(difference(&asked, &asked), None);
    let key = Key::new(&[8; 20]).unwrap();
    let other = Aead::of(Suite::AesGcm128, key).unwrap();
    let shown = State { algorithms: Algorithms::Aead(other), ..asked.clone() };
    assert_eq!(difference(&asked, &shown), Some("another algorithm or key"));
    // A kernel in lockdown shows zeros.
    let zeros = Aead::of(Suite::AesGcm128, Key::new(&[0; 20]).unwrap()).unwrap();
    let shown = State { algorithms: Algorithms::Aead(zeros), ..asked.clone() };
    assert_eq!(difference(&asked, &shown), None);
    let shown = State { if_id: Some(3), ..asked.clone() };
    assert_eq!(difference(&asked, &shown), Some("another interface id"));
}

#[test]
fn every_call_fails_on_demand_and_does_nothing_then() {
    let faults = chaos::Faults::none();
    let inside = with_card(IpsecCard { crypto: Taking::Takes { room: 1 }, ..IpsecCard::default() });
    let mut ipsec = chaos::Ipsec::new(inside.clone(), faults.clone());
    faults.fail_call("add_state-offload", 1, Errno::EIO);
    let wanted = state(1, Suite::AesGcm128, Some(OffloadKind::Crypto));
    let placed = place_state(&mut ipsec, &wanted).unwrap();
    assert_eq!(placed.installed.actual, None);
    assert_eq!(placed.fallbacks[0].why, "made to fail");
    faults.fail_nth(1, Errno::EPERM);
    let Err(Error::Ipsec(refusal)) = ipsec.set_defaults(Defaults::all(DefaultAction::Block)) else {
        panic!("it was made to fail")
    };
    assert_eq!(refusal.errno, Errno::EPERM);
    assert_eq!(inside.defaults().unwrap(), Defaults::ACCEPT);
}

#[tokio::test]
async fn limits_are_told() {
    let mut ipsec = fake::Ipsec::new();
    let wanted = state(1, Suite::AesGcm128, None);
    let mut events = ipsec.watch().unwrap();
    ipsec.add_state(&wanted).unwrap();
    ipsec.expire(&wanted.id(), false);
    ipsec.expire(&wanted.id(), true);
    let mut told = Vec::new();
    for _ in 0..3 {
        let IpsecEvent::Told(message) = events.next().await.unwrap() else { panic!() };
        told.push(*message);
    }
    let hard = |message: &Message| match message {
        Message::Expired(expired) => Some(expired.hard),
        _ => None,
    };
    assert_eq!(told.iter().map(hard).collect::<Vec<_>>(), [None, Some(false), Some(true)]);
    assert_eq!(ipsec.state(&wanted.id()).unwrap(), None);
}
