//! Programs for cards on the real kernel, on cards that are emulated: the same objects as native XDP or as a filter in
//! software, so that packets meet them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it fails")]

mod support;

use sluice_datapath::abi::{
    CardCounts, CardFlags, CardLength, CardPrefix, CardPrefixKey4, CardSettings, CardTable,
    PrefilterWord,
};
use sluice_kernel::{
    CardActual, CardForeign, CardHook, CardProgram, CardRequest, CardSizes, CardState, CardStep,
    CardTableContents, Cards as _, Errno, Error, Removed, XdpMode, card_tables,
    chaos::Faults,
    linux::{CardOptions, Cards, CardsOpened, Emulation, detach_all},
};
use std::{
    fs,
    net::UdpSocket,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use support::{Place, ip, objects::Objects, open_descriptors, place, run, send, veth};

const EMULATION: Emulation = Emulation { max_entries: 2 };

fn options(place: &Place) -> CardOptions {
    CardOptions::default().pinned_in(&place.pins).emulated(EMULATION)
}

fn open(place: &Place) -> Cards {
    Cards::open(&options(place)).unwrap().0
}

/// The prefilter with the settings to ask for prefixes of 32 bits.
fn request(ifindex: u32, hook: CardHook) -> CardRequest {
    let sizes = CardSizes::smallest().with(CardTable::Prefixes4, 2);
    let mut settings =
        CardSettings { flags: CardFlags(CardFlags::PREFILTER), ..Default::default() };
    settings.lengths[0] = CardLength::new(32);
    let contents = CardTableContents::of(card_tables::SETTINGS, &[(CardSettings::IPV4, settings)]);
    CardRequest {
        contents: vec![contents],
        ..CardRequest::new(ifindex, hook, CardProgram::Prefilter, sizes)
    }
}

fn address(last: u8) -> CardPrefixKey4 {
    CardPrefixKey4 { bits: 32, address: u32::from_ne_bytes([10, 9, 0, last]) }
}

/// The sender of the packets.
fn sender() -> CardPrefixKey4 {
    address(2)
}

fn deny() -> CardPrefix {
    CardPrefix { word: PrefilterWord::new(32, true), ..CardPrefix::default() }
}

fn set_deny(cards: &mut Cards, ifindex: u32, key: CardPrefixKey4) -> Result<(), Error> {
    (cards as &mut dyn sluice_kernel::Cards).set(ifindex, card_tables::PREFIXES4, &key, &deny())
}

/// Packets that were denied, and those of which the card knew nothing.
fn counts(cards: &Cards, ifindex: u32) -> (u64, u64) {
    let cards = cards as &dyn sluice_kernel::Cards;
    let counts: CardCounts = cards.get(ifindex, card_tables::COUNTS, &0).unwrap().unwrap();
    (counts.denied.packets, counts.missed)
}

fn last_counts(removed: &Removed) -> (u64, u64) {
    let counts = removed.contents.iter().flat_map(|table| table.read(card_tables::COUNTS)).next();
    let (_, counts) = counts.unwrap();
    (counts.denied.packets, counts.missed)
}

fn only(cards: &Cards) -> CardState {
    let mut placed = cards.placed().unwrap();
    assert_eq!(placed.len(), 1);
    placed.remove(0)
}

#[test]
fn packets_meet_the_program_at_each_hook_and_its_tables_change_under_them() {
    let Some(place) = place() else { return };
    let link = veth("c0");
    let mut cards = open(&place);
    for hook in CardHook::ALL {
        let placed = cards.place(&request(link, hook)).unwrap();
        let state = &placed.state;
        assert_eq!((state.hook, state.program), (hook, CardProgram::Prefilter));
        assert_eq!((&state.actual, state.current), (&CardActual::Emulated, true));
        let sizes: Vec<_> = state.tables.iter().map(|table| (table.table, table.entries)).collect();
        use CardTable::{Counts, Prefixes4, Prefixes6, Settings};
        assert_eq!(sizes, [(Settings, 2), (Prefixes4, 2), (Prefixes6, 1), (Counts, 1)]);
        assert_eq!(only(&cards), *state);

        send(5);
        assert_eq!(counts(&cards, link), (0, 5), "{hook}");
        set_deny(&mut cards, link, sender()).unwrap();
        send(3);
        assert_eq!(counts(&cards, link), (3, 5), "{hook}");
        let dynamic = &mut cards as &mut dyn sluice_kernel::Cards;
        let entries = dynamic.all(link, card_tables::PREFIXES4).unwrap();
        assert_eq!((entries.len(), entries[0].1.count.packets), (1, 3), "{hook}");
        assert!(dynamic.unset(link, card_tables::PREFIXES4, &sender()).unwrap());
        assert!(!dynamic.unset(link, card_tables::PREFIXES4, &sender()).unwrap());
        send(2);
        assert_eq!(counts(&cards, link), (3, 7), "{hook}");
    }
    let removed = cards.remove(link).unwrap().unwrap();
    assert_eq!(last_counts(&removed), (3, 7));
    assert_eq!(cards.remove(link).unwrap(), None);
    assert_eq!(cards.placed().unwrap(), []);
}

#[test]
fn a_replaced_program_gives_back_what_it_counted() {
    let Some(place) = place() else { return };
    let link = veth("c0");
    let mut cards = open(&place);
    for hook in CardHook::ALL {
        cards.place(&request(link, hook)).unwrap();
        send(4);
        let contents = CardTableContents::of(card_tables::PREFIXES4, &[(sender(), deny())]);
        let mut with_deny = request(link, hook);
        with_deny.contents.push(contents);
        let placed = cards.place(&with_deny).unwrap();
        assert_eq!(last_counts(&placed.before.unwrap()), (0, 4), "{hook}");
        send(6);
        assert_eq!(
            counts(&cards, link),
            (6, 0),
            "{hook}: the entries were there from the first packet"
        );
    }
}

#[test]
fn the_limits_of_the_card_are_kept() {
    let Some(place) = place() else { return };
    let link = veth("c0");
    let mut cards = open(&place);
    let mut larger = request(link, CardHook::Xdp);
    larger.sizes = larger.sizes.with(CardTable::Prefixes4, 3);
    let error = cards.place(&larger).unwrap_err();
    let refusal = error.refusal().unwrap();
    assert_eq!(refusal.step, CardStep::Table { table: CardTable::Prefixes4, entries: 3 });
    assert!(refusal.is_about_room(), "{error}");
    assert_eq!(cards.placed().unwrap(), []);

    cards.place(&request(link, CardHook::Xdp)).unwrap();
    for last in [1, 2, 2] {
        set_deny(&mut cards, link, address(last)).unwrap();
    }
    let error = set_deny(&mut cards, link, address(3)).unwrap_err();
    let refusal = error.refusal().unwrap();
    assert_eq!(
        (refusal.errno, &refusal.step),
        (Errno::E2BIG, &CardStep::Write { table: CardTable::Prefixes4 },)
    );
    assert!(error.to_string().contains("link c0"), "{error}");
}

#[test]
fn a_later_process_goes_on_with_what_is_there() {
    let Some(place) = place() else { return };
    let link = veth("c0");
    for hook in CardHook::ALL {
        let mut cards = open(&place);
        let placed = cards.place(&request(link, hook)).unwrap().state;
        set_deny(&mut cards, link, sender()).unwrap();
        send(2);
        drop(cards);
        send(2);
        let (mut cards, opened) = Cards::open(&options(&place)).unwrap();
        assert_eq!(opened, CardsOpened { placed: vec![placed], notes: Vec::new() });
        assert_eq!(counts(&cards, link), (4, 0), "{hook}");
        set_deny(&mut cards, link, address(9)).unwrap();
        cards.remove(link).unwrap().unwrap();
    }
}

#[test]
fn only_one_process_at_a_time_has_the_cards() {
    let Some(place) = place() else { return };
    let _cards = open(&place);
    assert!(matches!(Cards::open(&options(&place)), Err(Error::InUse(_))));
}

#[test]
fn a_foreign_program_is_named_and_kept() {
    let Some(place) = place() else { return };
    let link = veth("c0");
    let other = support::foreign::Foreign::load("somebody");
    let _held = other.attach(link, false, XdpMode::Native);
    let mut cards = open(&place);
    let error = cards.place(&request(link, CardHook::Xdp)).unwrap_err();
    let Error::Foreign { program, .. } = &error else { panic!("{error}") };
    assert_eq!((program.id, program.name.as_str()), (other.id, "somebody"));
    assert_eq!(cards.foreign(link).unwrap(), [CardForeign::Program((**program).clone())]);
    assert_eq!(support::foreign::on(link), [(XdpMode::Native, other.id)]);
    assert_eq!(cards.remove(link).unwrap(), None);
    assert_eq!(support::foreign::on(link), [(XdpMode::Native, other.id)]);
    assert_eq!(cards.placed().unwrap(), []);
}

#[test]
fn a_program_that_somebody_took_off_is_shown_and_can_be_placed_again() {
    let Some(place) = place() else { return };
    let link = veth("c0");
    let mut cards = open(&place);
    for (hook, command) in [
        (CardHook::Xdp, ("ip", "link set dev c0 xdpdrv off")),
        (CardHook::Tc, ("tc", "filter del dev c0 ingress")),
    ] {
        cards.place(&request(link, hook)).unwrap();
        send(3);
        run(command.0, command.1);
        let state = only(&cards);
        assert!(matches!(state.actual, CardActual::NotHooked { .. }), "{state:?}");
        assert_eq!(counts(&cards, link), (0, 3), "its tables can still be read");
        let placed = cards.place(&request(link, hook)).unwrap();
        assert_eq!(placed.state.actual, CardActual::Emulated);
        assert_eq!(last_counts(&placed.before.unwrap()), (0, 3));
        run(command.0, command.1);
        assert!(cards.remove(link).unwrap().is_some());
    }
}

#[test]
fn a_program_in_whose_place_is_another_is_shown_and_the_other_kept() {
    let Some(place) = place() else { return };
    let link = veth("c0");
    let mut cards = open(&place);
    cards.place(&request(link, CardHook::Xdp)).unwrap();
    ip("link set dev c0 xdpdrv off");
    let other = support::foreign::Foreign::load("somebody");
    let _held = other.attach(link, false, XdpMode::Native);
    let CardActual::NotHooked { found } = only(&cards).actual else { panic!() };
    assert!(found.contains("somebody"), "{found}");
    assert!(matches!(cards.place(&request(link, CardHook::Xdp)), Err(Error::Foreign { .. })));
    assert!(cards.remove(link).unwrap().is_some());
    assert_eq!(support::foreign::on(link), [(XdpMode::Native, other.id)]);
}

#[test]
fn a_device_that_is_gone_leaves_nothing_once_it_is_removed() {
    let Some(place) = place() else { return };
    let mut objects = Objects::default();
    let mut cards = open(&place);
    for hook in CardHook::ALL {
        let link = veth("c0");
        let state = cards.place(&request(link, hook)).unwrap().state;
        objects.add("program", state.program_id);
        state.tables.iter().for_each(|table| objects.add("map", table.id));
        ip("link delete c0");
        assert_eq!(only(&cards).actual, CardActual::DeviceGone, "{hook}");
        assert!(matches!(cards.place(&request(link, hook)), Err(Error::NoSuchLink { .. })));
        assert!(cards.remove(link).unwrap().is_some());
        assert_eq!(cards.placed().unwrap(), []);
    }
    objects.assert_gone();
}

#[test]
fn the_place_for_filters_goes_with_the_last_trace_unless_somebody_else_uses_it() {
    let Some(place) = place() else { return };
    let link = veth("c0");
    let qdiscs = || {
        let output = Command::new("tc").args(["qdisc", "show", "dev", "c0"]).output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    let place_and_detach = |meanwhile: &dyn Fn()| {
        let mut cards = open(&place);
        cards.place(&request(link, CardHook::Tc)).unwrap();
        cards.place(&request(link, CardHook::Xdp)).unwrap();
        cards.remove(link).unwrap();
        meanwhile();
        drop(cards);
        // A later process knows who made it.
        drop(open(&place));
        detach_all(&place.pins).unwrap();
    };
    place_and_detach(&|| assert!(qdiscs().contains("clsact"), "it stays while we are here"));
    assert!(!qdiscs().contains("clsact"));

    // A classifier that every kernel has: in the old instruction set, it lets everything pass.
    place_and_detach(&|| {
        let theirs = ["bytecode", "1,6 0 0 4294967295"];
        let place_of_theirs = "filter add dev c0 egress prio 5 bpf".split(' ');
        let added = Command::new("tc").args(place_of_theirs).args(theirs).status().unwrap();
        assert!(added.success());
    });
    assert!(qdiscs().contains("clsact"), "somebody has a filter there");
    run("tc", "filter del dev c0 egress");
    place_and_detach(&|| ());
    assert!(qdiscs().contains("clsact"), "it was there before");
}

#[test]
fn programs_come_and_go_and_are_refused_without_a_lost_packet() {
    let Some(place) = place() else { return };
    let link = veth("c0");
    let faults = Faults::none();
    let (mut cards, _) = Cards::open(&options(&place).with_faults(faults.clone())).unwrap();
    // The first filter of a link costs: the kernel adds the place for filters.
    cards.place(&request(link, CardHook::Tc)).unwrap();
    ip("address add 10.8.0.1/24 dev c0");
    ip("neighbour replace 10.8.0.2 lladdr 02:00:00:00:00:02 dev c0");
    let before = dropped("c0");
    let done = AtomicBool::new(false);
    let sent = std::thread::scope(|scope| {
        let sending = scope.spawn(|| {
            let socket = UdpSocket::bind("10.8.0.1:0").unwrap();
            let mut sent = 0_u64;
            while !done.load(Ordering::Relaxed) {
                socket.send_to(b"hello", "10.8.0.2:9").unwrap();
                sent += 1;
                std::thread::sleep(Duration::from_micros(100));
            }
            sent
        });
        for _ in 0..10 {
            for hook in CardHook::ALL {
                cards.place(&request(link, hook)).unwrap();
                for point in ["hook", "read_back", "map_create"] {
                    faults.fail_call(point, 1, Errno::EOPNOTSUPP);
                    cards.place(&request(link, hook)).unwrap_err();
                    faults.clear();
                }
            }
            cards.remove(link).unwrap();
        }
        done.store(true, Ordering::Relaxed);
        sending.join().unwrap()
    });
    assert!(sent > 1000, "{sent} packets were sent meanwhile");
    assert_eq!(dropped("c0") - before, 0, "of {sent}");
}

/// How many packets a link was to send and did not.
fn dropped(link: &str) -> u64 {
    let text = fs::read_to_string("/proc/thread-self/net/dev").unwrap();
    let counters = text.lines().find_map(|line| line.trim().strip_prefix(link)?.strip_prefix(':'));
    // Eight of what came in; then bytes, packets, errors and drops of what went out.
    counters.unwrap().split_whitespace().nth(11).unwrap().parse().unwrap()
}

#[test]
fn programs_that_lost_their_pins_are_taken_off_at_the_next_start() {
    let Some(place) = place() else { return };
    let link = veth("c0");
    for hook in CardHook::ALL {
        let mut objects = Objects::default();
        let mut cards = open(&place);
        let state = cards.place(&request(link, hook)).unwrap().state;
        objects.add("program", state.program_id);
        state.tables.iter().for_each(|table| objects.add("map", table.id));
        drop(cards);
        fs::remove_dir_all(place.pins.join("cards").join(link.to_string())).unwrap();
        let (_, opened) = Cards::open(&options(&place)).unwrap();
        assert_eq!(opened.placed, []);
        assert!(opened.notes.iter().any(|note| note.contains("link c0")), "{:?}", opened.notes);
        objects.assert_gone();
    }
}

#[test]
fn an_interrupted_change_is_ended() {
    let Some(place) = place() else { return };
    let link = veth("c0");
    let pins = place.pins.join("cards");
    let (current, next) = (pins.join(link.to_string()), pins.join(format!("{link}-next")));
    let mut cards = open(&place);
    let state = cards.place(&request(link, CardHook::Xdp)).unwrap().state;
    drop(cards);

    // The new program runs, but its pins are not in place.
    fs::rename(&current, &next).unwrap();
    let (cards, opened) = Cards::open(&options(&place)).unwrap();
    assert_eq!((opened.placed.as_slice(), opened.notes.len()), ([state.clone()].as_slice(), 1));
    drop(cards);

    // The new program does not run.
    fs::create_dir(&next).unwrap();
    let (cards, opened) = Cards::open(&options(&place)).unwrap();
    assert_eq!((opened.placed.as_slice(), opened.notes.len()), ([state].as_slice(), 1));
    assert!(!next.exists() && current.exists());
    drop(cards);

    // Half of the pins.
    fs::remove_file(current.join("program")).unwrap();
    let (_, opened) = Cards::open(&options(&place)).unwrap();
    assert_eq!(opened.placed, []);
    assert_eq!(opened.notes.len(), 2, "the pins, and the program without one: {:?}", opened.notes);
}

#[test]
fn every_single_failure_leaves_what_was_there_and_no_objects() {
    let Some(place) = place() else { return };
    let link = veth("c0");
    // The place for filters stays once it is there.
    run("tc", "qdisc add dev c0 clsact");
    let faults = Faults::none();
    let mut cards = Cards::open(&options(&place).with_faults(faults.clone())).unwrap().0;
    for (old, new) in [
        (None, CardHook::Xdp),
        (None, CardHook::Tc),
        (Some(CardHook::Xdp), CardHook::Xdp),
        (Some(CardHook::Tc), CardHook::Tc),
        (Some(CardHook::Xdp), CardHook::Tc),
        (Some(CardHook::Tc), CardHook::Xdp),
    ] {
        faults.clear();
        if let Some(hook) = old {
            cards.place(&request(link, hook)).unwrap();
        }
        let shown_before = shown(&cards);
        let pinned = place.pinned();
        let descriptors = open_descriptors();
        let mut failures = 0;
        for nth in 1.. {
            faults.clear();
            faults.fail_nth(nth, Errno::EIO);
            let result = cards.place(&request(link, new));
            let call = faults.calls().get(nth - 1).copied();
            faults.clear();
            let Some(call) = call else { break };
            match result {
                Err(error) => {
                    failures += 1;
                    let about = format!("{old:?} to {new}: {call}: {error}");
                    assert_eq!(shown(&cards), shown_before, "{about}");
                    assert_eq!(place.pinned(), pinned, "{about}");
                    assert_eq!(open_descriptors(), descriptors, "{about}");
                }
                Ok(placed) => {
                    // The new program runs; something went wrong with reading or removing the old.
                    let late = ["unpin", "remove_directory", "pinned", "entry_keys", "entry_read"];
                    assert!(late.contains(&call), "{old:?} to {new}: {call} failed unnoticed");
                    assert_eq!(shown(&cards), [(new, placed.state.actual)]);
                    cards.remove(link).unwrap().unwrap();
                    if let Some(hook) = old {
                        cards.place(&request(link, hook)).unwrap();
                    }
                }
            }
        }
        assert!(failures > 10, "{failures}");
        cards.remove(link).unwrap();
        // What a failed removal left.
        let pins = place.pins.join("cards");
        drop(cards);
        cards = Cards::open(&options(&place).with_faults(faults.clone())).unwrap().0;
        assert_eq!(fs::read_dir(pins).unwrap().count(), 0);
    }
}

fn shown(cards: &Cards) -> Vec<(CardHook, CardActual)> {
    cards.placed().unwrap().into_iter().map(|state| (state.hook, state.actual)).collect()
}

#[test]
fn an_unread_answer_is_not_believed() {
    let Some(place) = place() else { return };
    let link = veth("c0");
    let faults = Faults::none();
    let mut cards = Cards::open(&options(&place).with_faults(faults.clone())).unwrap().0;
    faults.fail_call("read_back", 1, Errno::EIO);
    let error = cards.place(&request(link, CardHook::Xdp)).unwrap_err();
    assert_eq!(error.refusal().unwrap().step, CardStep::ReadBack);
    assert!(error.to_string().contains("accepted the program, but does not run it"), "{error}");
    assert_eq!(cards.placed().unwrap(), []);
    assert_eq!(support::foreign::on(link), []);
}

#[test]
fn detaching_everything_takes_programs_off_cards() {
    let Some(place) = place() else { return };
    let (xdp, tc) = (veth("c0"), veth_alone("c1"));
    let mut objects = Objects::default();
    let mut cards = open(&place);
    for (link, hook) in [(xdp, CardHook::Xdp), (tc, CardHook::Tc)] {
        let state = cards.place(&request(link, hook)).unwrap().state;
        objects.add("program", state.program_id);
        state.tables.iter().for_each(|table| objects.add("map", table.id));
    }
    assert!(matches!(detach_all(&place.pins), Err(Error::InUse(_))));
    drop(cards);
    let detached = detach_all(&place.pins).unwrap();
    assert_eq!((detached.links, detached.cards), (0, 2));
    assert!(!place.pins.exists());
    objects.assert_gone();
}

/// A pair of links without addresses.
fn veth_alone(name: &str) -> u32 {
    ip(&format!("link add {name} type veth peer name {name}-peer"));
    support::index(name)
}

#[test]
fn a_link_without_a_card_refuses_with_the_kernels_number() {
    let Some(place) = place() else { return };
    let link = veth("c0");
    let mut cards = Cards::open(&CardOptions::default().pinned_in(&place.pins)).unwrap().0;
    for hook in CardHook::ALL {
        let error = cards.place(&request(link, hook)).unwrap_err();
        let refusal = error.refusal().unwrap();
        assert!(matches!(refusal.step, CardStep::Table { .. } | CardStep::Bind), "{error}");
        assert!(matches!(refusal.errno, Errno::EINVAL | Errno::EOPNOTSUPP), "{error}");
        assert!(error.to_string().contains("takes no programs at all"), "{error}");
    }
    assert_eq!(cards.placed().unwrap(), []);
}
