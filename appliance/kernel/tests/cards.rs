//! Cards in memory and cards that fail on demand.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it fails")]

use sluice_datapath::abi::{CardPrefix, CardPrefixKey4, CardSlot, CardTable, Count, PrefilterWord};
use sluice_kernel::{
    CardActual, CardForeign, CardHook, CardProgram, CardRequest, CardSizes, CardStep,
    CardTableContents, Cards, Errno, Error, ForeignFilter, ForeignProgram, Link, XdpMode,
    card_tables,
    chaos::{self, Faults},
    fake::{CardBehaviour, CardNo, World},
};

const LINK: u32 = 3;

fn world(behaviour: CardBehaviour) -> World {
    let world = World::new();
    world.set_link(Link { name: "card0".into(), ifindex: LINK, ..Link::default() });
    world.set_card(LINK, Some(behaviour));
    world
}

fn request() -> CardRequest {
    let sizes = CardSizes::smallest().with(CardTable::Prefixes4, 2).with(CardTable::Slots, 2);
    CardRequest::new(LINK, CardHook::Xdp, CardProgram::Both, sizes)
}

fn key(address: u32) -> CardPrefixKey4 {
    CardPrefixKey4 { bits: 32, address }
}

fn deny() -> CardPrefix {
    CardPrefix { word: PrefilterWord::default(), ..CardPrefix::default() }
}

#[test]
fn a_placed_program_is_shown_with_its_tables_and_survives_its_process() {
    let world = world(CardBehaviour::two_entries());
    let contents = CardTableContents::of(card_tables::PREFIXES4, &[(key(1), deny())]);
    let placed =
        world.cards().place(&CardRequest { contents: vec![contents], ..request() }).unwrap();
    assert_eq!(placed.before, None);
    assert_eq!((placed.state.hook, placed.state.program), (CardHook::Xdp, CardProgram::Both));
    assert_eq!(placed.state.actual, CardActual::OnCard);
    let slots = placed.state.tables.iter().find(|state| state.table == CardTable::Slots).unwrap();
    assert_eq!((slots.entries, slots.on_card), (2, true));
    assert_eq!(placed.state.tables.len(), CardTable::ALL.len());

    let cards = world.cards();
    assert_eq!(cards.placed().unwrap(), [placed.state]);
    assert_eq!(
        (&cards as &dyn Cards).all(LINK, card_tables::PREFIXES4).unwrap(),
        [(key(1), deny())]
    );
}

#[test]
fn entries_are_written_read_counted_and_removed() {
    let world = world(CardBehaviour::default());
    let mut cards: Box<dyn Cards> = Box::new(world.cards());
    cards.place(&request()).unwrap();
    cards.set(LINK, card_tables::PREFIXES4, &key(1), &deny()).unwrap();
    let count = Count { packets: 3, bytes: 180 };
    assert!(world.on_card(LINK, card_tables::PREFIXES4, &key(1), |prefix| prefix.count = count));
    assert_eq!(cards.get(LINK, card_tables::PREFIXES4, &key(1)).unwrap().unwrap().count, count);
    assert!(cards.unset(LINK, card_tables::PREFIXES4, &key(1)).unwrap());
    assert!(!cards.unset(LINK, card_tables::PREFIXES4, &key(1)).unwrap());
    assert_eq!(cards.get(LINK, card_tables::PREFIXES4, &key(1)).unwrap(), None);

    assert_eq!(cards.all(LINK, card_tables::SLOTS).unwrap(), [(0, CardSlot(0)), (1, CardSlot(0))]);
    let error = cards.unset(LINK, card_tables::SLOTS, &0).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::EINVAL), "{error}");
}

#[test]
fn a_full_table_refuses_and_says_so() {
    let world = world(CardBehaviour::default());
    let mut cards: Box<dyn Cards> = Box::new(world.cards());
    cards.place(&request()).unwrap();
    for address in [1, 2, 2] {
        cards.set(LINK, card_tables::PREFIXES4, &key(address), &deny()).unwrap();
    }
    let error = cards.set(LINK, card_tables::PREFIXES4, &key(3), &deny()).unwrap_err();
    let refusal = error.refusal().unwrap();
    assert!(refusal.is_about_room() && refusal.errno == Errno::E2BIG);
    assert_eq!(refusal.step, CardStep::Write { table: CardTable::Prefixes4 });
    let text = error.to_string();
    for part in ["link card0 (index 3)", "CARD_PREFIXES4", "E2BIG", "fewer entries"] {
        assert!(text.contains(part), "{text}");
    }
    let error = cards.set(LINK, card_tables::SLOTS, &2, &CardSlot(1)).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::E2BIG));
}

#[test]
fn each_refusal_names_its_point_and_words_and_leaves_the_old_program() {
    let world = world(CardBehaviour::default());
    let mut cards = world.cards();
    let before = cards.place(&request()).unwrap().state;
    let no = |words: &str| Some(CardNo::new(Errno::EINVAL, words));
    let larger = CardRequest { sizes: request().sizes.with(CardTable::Prefixes4, 3), ..request() };
    let last = CardStep::Table { table: CardTable::Prefixes4, entries: 3 };
    let cases: [(CardBehaviour, &CardRequest, CardStep); 5] = [
        (CardBehaviour { max_entries: Some(2), ..Default::default() }, &larger, last),
        (CardBehaviour { bind: no("b"), ..Default::default() }, &request(), CardStep::Bind),
        (CardBehaviour { verify: no("v"), ..Default::default() }, &request(), CardStep::Verify),
        (
            CardBehaviour { xdp: no("x"), ..Default::default() },
            &request(),
            CardStep::Hook(CardHook::Xdp),
        ),
        (
            CardBehaviour { tc: no("t"), ..Default::default() },
            &CardRequest { hook: CardHook::Tc, program: CardProgram::Prefilter, ..request() },
            CardStep::Hook(CardHook::Tc),
        ),
    ];
    for (behaviour, request, step) in cases {
        let words = [&behaviour.bind, &behaviour.verify, &behaviour.xdp, &behaviour.tc];
        let words = words.into_iter().flatten().next().and_then(|no| no.words.clone());
        world.set_card(LINK, Some(behaviour));
        let error = cards.place(request).unwrap_err();
        let refusal = error.refusal().unwrap();
        assert_eq!((&refusal.step, &refusal.words), (&step, &words), "{error}");
        assert_eq!(cards.placed().unwrap(), std::slice::from_ref(&before), "{error}");
    }
}

#[test]
fn a_filter_that_the_card_does_not_run_is_shown() {
    let world = world(CardBehaviour { not_in_hardware: true, ..Default::default() });
    let mut cards = world.cards();
    let error = cards.place(&CardRequest { hook: CardHook::Tc, ..request() }).unwrap_err();
    assert!(error.to_string().contains("a filter cannot send a packet out again"), "{error}");
    let (hook, program) = (CardHook::Tc, CardProgram::Prefilter);
    let request = CardRequest { hook, program, ..request() };
    assert_eq!(cards.place(&request).unwrap().state.actual, CardActual::NotInHardware);
}

#[test]
fn replacing_and_removing_return_what_was_counted_last() {
    let world = world(CardBehaviour::default());
    let mut cards = world.cards();
    cards.place(&request()).unwrap();
    world.on_card(LINK, card_tables::SENT, &0, |count| count.packets = 7);
    let placed = cards.place(&request()).unwrap();
    let sent = |contents: &[CardTableContents]| {
        contents.iter().flat_map(|table| table.read(card_tables::SENT)).next().unwrap().1.packets
    };
    assert_eq!(sent(&placed.before.unwrap().contents), 7);
    assert_eq!(sent(&cards.remove(LINK).unwrap().unwrap().contents), 0);
    assert_eq!(cards.remove(LINK).unwrap(), None);
    let error = cards.entries(LINK, CardTable::Sent).unwrap_err();
    assert!(matches!(error, Error::NotPlaced { .. }), "{error}");
}

#[test]
fn a_device_that_is_gone_leaves_a_shell_until_it_is_removed() {
    let world = world(CardBehaviour::default());
    let mut cards: Box<dyn Cards> = Box::new(world.cards());
    cards.place(&request()).unwrap();
    world.remove_link(LINK);
    assert_eq!(cards.placed().unwrap()[0].actual, CardActual::DeviceGone);
    let error = cards.set(LINK, card_tables::PREFIXES4, &key(1), &deny()).unwrap_err();
    assert!(error.refusal().unwrap().is_about_absence(), "{error}");
    assert!(cards.all(LINK, card_tables::SLOTS).unwrap_err().refusal().unwrap().is_about_absence());
    assert!(matches!(cards.place(&request()), Err(Error::NoSuchLink { .. })));
    assert_eq!(cards.remove(LINK).unwrap().unwrap().contents, []);
    assert_eq!(cards.placed().unwrap(), []);
}

#[test]
fn what_others_have_on_the_card_is_named_and_kept() {
    let world = world(CardBehaviour::default());
    let mut cards = world.cards();
    let program = ForeignProgram {
        id: 9,
        name: "somebody".into(),
        kind: "xdp".into(),
        mode: XdpMode::Hardware,
        bpf_link: None,
    };
    let filter = ForeignFilter {
        kind: "bpf".into(),
        name: "theirs".into(),
        priority: 7,
        handle: 1,
        program: Some(10),
    };
    for (foreign, parts) in [
        (CardForeign::Program(program), ["somebody", "ip link set dev card0 xdpoffload off"]),
        (CardForeign::Filter(filter), ["theirs", "tc filter del dev card0 ingress prio 7"]),
    ] {
        world.set_card_foreign(LINK, vec![foreign.clone()]);
        let text = cards.place(&request()).unwrap_err().to_string();
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
        assert_eq!(cards.foreign(LINK).unwrap(), [foreign]);
        assert_eq!(cards.placed().unwrap(), []);
    }
}

#[test]
fn a_program_that_was_taken_off_by_hand_is_shown_as_not_hooked() {
    let world = world(CardBehaviour::default());
    let mut cards = world.cards();
    cards.place(&request()).unwrap();
    world.tear_off_card(LINK);
    let state = cards.placed().unwrap().remove(0);
    assert!(matches!(state.actual, CardActual::NotHooked { .. }) && !state.actual.runs());
    assert_eq!(cards.place(&request()).unwrap().state.actual, CardActual::OnCard);
}

#[test]
fn entries_of_wrong_tables_and_sizes_are_refused_before_the_card_is_asked() {
    let world = world(CardBehaviour::default());
    let mut cards = world.cards();
    cards.place(&CardRequest { program: CardProgram::Prefilter, ..request() }).unwrap();
    let error = cards.upsert(LINK, CardTable::Slots, &[0; 4], &[0; 4]).unwrap_err().to_string();
    assert!(error.contains("prefilter") && error.contains("CARD_SLOTS"), "{error}");
    let error = cards.upsert(LINK, CardTable::Prefixes4, &[0; 7], &[0; 24]).unwrap_err();
    assert!(error.to_string().contains("a key has 8 bytes, not 7"), "{error}");
    let error = cards.upsert(LINK, CardTable::Prefixes4, &[0; 8], &[0; 23]).unwrap_err();
    assert!(error.to_string().contains("a value has 24 bytes, not 23"), "{error}");
}

#[test]
fn chaos_fails_each_call_and_each_point_once() {
    let world = world(CardBehaviour::default());
    let faults = Faults::none();
    let mut cards = chaos::Cards::new(world.cards(), faults.clone());
    for (call, step) in [
        ("place-bind", CardStep::Bind),
        ("place-verify", CardStep::Verify),
        ("place-hook", CardStep::Hook(CardHook::Xdp)),
        ("place-read-back", CardStep::ReadBack),
    ] {
        faults.fail_call(call, 1, Errno::EIO);
        assert_eq!(cards.place(&request()).unwrap_err().refusal().unwrap().step, step);
        assert_eq!(cards.placed().unwrap(), [], "{call}");
    }
    faults.fail_call("place-table", 1, Errno::ENOMEM);
    assert!(cards.place(&request()).unwrap_err().refusal().unwrap().is_about_room());
    cards.place(&request()).unwrap();

    faults.fail_call("upsert", 1, Errno::E2BIG);
    cards.upsert(LINK, CardTable::Slots, &[0; 4], &[1; 4]).unwrap_err();
    cards.upsert(LINK, CardTable::Slots, &[0; 4], &[2; 4]).unwrap();
    faults.fail_call("delete", 1, Errno::ENODEV);
    cards.delete(LINK, CardTable::Prefixes4, &[0; 8]).unwrap_err();
    faults.fail_call("read", 1, Errno::ENODEV);
    cards.read(LINK, CardTable::Slots, &[0; 4]).unwrap_err();
    assert_eq!(cards.read(LINK, CardTable::Slots, &[0; 4]).unwrap(), Some(vec![2; 4]));
    for call in ["entries", "placed", "foreign", "remove"] {
        faults.fail_call(call, 1, Errno::ENODEV);
    }
    cards.entries(LINK, CardTable::Slots).unwrap_err();
    cards.placed().unwrap_err();
    cards.foreign(LINK).unwrap_err();
    cards.remove(LINK).unwrap_err();
    assert!(cards.remove(LINK).unwrap().is_some());
}
