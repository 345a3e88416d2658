//! Sluice's programs for cards on a simulated NIC: what is asked for is what the kernel shows, each refusal is named with
//! the kernel's words, and nothing is left behind.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it fails")]

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use sluice_datapath::abi::{CardPrefix, CardPrefixKey4, CardSlot, CardTable, PrefilterWord};
use sluice_kernel::chaos::Faults;
use sluice_kernel::linux::{CardOptions, Cards, CardsOpened, detach_all, object_ids};
use sluice_kernel::{
    CardActual, CardForeign, CardHook, CardProgram, CardRequest, CardSizes, CardState, CardStep,
    CardTableContents, Cards as _, Errno, Error, XdpMode, card_tables,
};
use sluice_netdevsim::{DeviceKnob, PortKnob};
use sluice_vm_tests::{Nic, Pins, Program, command, in_guest};

/// A NIC, and a place for the pins.
struct Bench {
    nic: Nic,
    pins: Pins,
}

impl Bench {
    fn new() -> Option<Self> {
        if !in_guest() {
            return None;
        }
        Some(Self { nic: new_nic(), pins: Pins::create() })
    }

    fn options(&self) -> CardOptions {
        CardOptions::default().pinned_in(self.pins.folder())
    }

    fn open(&self) -> Cards {
        Cards::open(&self.options()).unwrap().0
    }

    fn request(&self, hook: CardHook) -> CardRequest {
        request(self.nic.ifindex, hook, CardProgram::Prefilter)
    }

    fn pin_folder(&self) -> PathBuf {
        self.pins.folder().join("cards").join(self.nic.ifindex.to_string())
    }

    /// Takes the program off by hand.
    fn switch_off(&self, hook: CardHook) {
        match hook {
            CardHook::Xdp => drop(self.nic.detach_xdp("xdpoffload").ok()),
            CardHook::Tc => self.nic.remove_filters(),
        }
    }
}

fn new_nic() -> Nic {
    let nic = Nic::create("card0");
    let _ = command("ethtool -K card0 hw-tc-offload on").ok();
    nic
}

fn request(ifindex: u32, hook: CardHook, program: CardProgram) -> CardRequest {
    let sizes = CardSizes::smallest()
        .with(CardTable::Prefixes4, 2)
        .with(CardTable::Slots, 2)
        .with(CardTable::Backends, 2);
    CardRequest::new(ifindex, hook, program, sizes)
}

fn key(last: u8) -> CardPrefixKey4 {
    CardPrefixKey4 { bits: 32, address: u32::from_ne_bytes([192, 0, 2, last]) }
}

fn deny() -> CardPrefix {
    CardPrefix { word: PrefilterWord::new(32, true), ..CardPrefix::default() }
}

fn only(cards: &Cards) -> CardState {
    let mut placed = cards.placed().unwrap();
    assert_eq!(placed.len(), 1);
    placed.remove(0)
}

#[test]
fn every_program_is_placed_and_the_kernel_says_so() {
    let Some(bench) = Bench::new() else { return };
    let nic = &bench.nic;
    let mut cards = bench.open();
    for hook in CardHook::ALL {
        for program in CardProgram::ALL.into_iter().filter(|program| program.fits(hook)) {
            let state = cards.place(&request(nic.ifindex, hook, program)).unwrap().state;
            let about = format!("{program} as {hook}");
            assert_eq!((state.hook, state.program), (hook, program), "{about}");
            assert_eq!((&state.actual, state.current), (&CardActual::OnCard, true), "{about}");
            assert_eq!(state.tables.len(), program.tables().len(), "{about}");
            assert!(state.tables.iter().all(|table| table.on_card), "{about}: {state:?}");
            assert_eq!(only(&cards), state, "{about}");
            // Others see it too.
            assert_eq!(nic.offloaded(), state.program_id, "{about}");
            assert!(nic.bound(state.program_id).unwrap().is_loaded, "{about}");
            match hook {
                CardHook::Xdp => {
                    let shown = nic.shown();
                    assert!(shown.contains("xdpoffload"), "{about}: {shown}");
                    assert!(shown.contains(&format!("id {}", state.program_id)), "{shown}");
                }
                CardHook::Tc => {
                    let shown = nic.filters();
                    for part in ["sluice-card-prefilter", "direct-action", "skip_sw", "in_hw"] {
                        assert!(shown.contains(part), "{about}: no {part} in {shown}");
                    }
                }
            }
        }
    }
    cards.remove(nic.ifindex).unwrap().unwrap();
    assert_eq!(nic.offloaded(), 0);
    nic.assert_unbound();
}

#[test]
fn entries_live_on_the_card_and_a_full_table_says_so() {
    let Some(bench) = Bench::new() else { return };
    let link = bench.nic.ifindex;
    let mut cards: Box<dyn sluice_kernel::Cards> = Box::new(bench.open());
    let mut request = request(link, CardHook::Xdp, CardProgram::Both);
    request.contents = vec![CardTableContents::of(card_tables::SLOTS, &[(1, CardSlot::new(7))])];
    cards.place(&request).unwrap();
    let slots = [(0, CardSlot::EMPTY), (1, CardSlot::new(7))];
    assert_eq!(cards.all(link, card_tables::SLOTS).unwrap(), slots);
    for last in [1, 2, 2] {
        cards.set(link, card_tables::PREFIXES4, &key(last), &deny()).unwrap();
    }
    let error = cards.set(link, card_tables::PREFIXES4, &key(3), &deny()).unwrap_err();
    let refusal = error.refusal().unwrap();
    assert_eq!(refusal.errno, Errno::E2BIG);
    assert_eq!(refusal.step, CardStep::Write { table: CardTable::Prefixes4 });
    let mut entries = cards.all(link, card_tables::PREFIXES4).unwrap();
    entries.sort_by_key(|(key, _)| key.address.to_be());
    assert_eq!(entries, [(key(1), deny()), (key(2), deny())]);
    assert!(cards.unset(link, card_tables::PREFIXES4, &key(1)).unwrap());
    assert!(!cards.unset(link, card_tables::PREFIXES4, &key(1)).unwrap());
    assert_eq!(cards.get(link, card_tables::PREFIXES4, &key(1)).unwrap(), None);
    cards.set(link, card_tables::PREFIXES4, &key(3), &deny()).unwrap();
    let removed = cards.remove(link).unwrap().unwrap();
    let kept = removed.contents.iter().flat_map(|table| table.read(card_tables::PREFIXES4));
    assert_eq!(kept.count(), 2);
}

/// What was tried, at which point it is refused, with which number and words.
type Refusals = [(Knob, CardHook, CardStep, &'static str); 6];

#[derive(Clone, Copy, Debug)]
enum Knob {
    Device(DeviceKnob),
    Port(PortKnob),
    /// The feature `hw-tc-offload`.
    Feature,
}

impl Knob {
    fn turn(self, nic: &Nic, accept: bool) {
        match self {
            Knob::Device(knob) => nic.set_device(knob, accept),
            Knob::Port(knob) => nic.set(knob, accept),
            Knob::Feature => {
                let word = if accept { "on" } else { "off" };
                let _ = command(&format!("ethtool -K card0 hw-tc-offload {word}")).ok();
            }
        }
    }
}

fn refusals() -> Refusals {
    let table = CardStep::Table { table: CardTable::Settings, entries: 2 };
    let xdp = CardStep::Hook(CardHook::Xdp);
    let tc = CardStep::Hook(CardHook::Tc);
    [
        (Knob::Port(PortKnob::Map), CardHook::Xdp, table, ""),
        (Knob::Device(DeviceKnob::Bind), CardHook::Xdp, CardStep::Bind, ""),
        (Knob::Device(DeviceKnob::Verify), CardHook::Tc, CardStep::Verify, "Hello from netdevsim"),
        (Knob::Port(PortKnob::XdpOffload), CardHook::Xdp, xdp, "XDP offload disabled in DebugFS"),
        (
            Knob::Port(PortKnob::Tc),
            CardHook::Tc,
            tc.clone(),
            "netdevsim configured to reject BPF TC offload",
        ),
        (Knob::Feature, CardHook::Tc, tc, "TC offload is disabled on net device"),
    ]
}

#[test]
fn each_refusal_names_its_point_with_the_kernels_words_and_leaves_nothing() {
    let Some(bench) = Bench::new() else { return };
    let nic = &bench.nic;
    let mut cards = bench.open();
    for (knob, hook, step, words) in refusals() {
        knob.turn(nic, false);
        let error = cards.place(&bench.request(hook)).unwrap_err();
        knob.turn(nic, true);
        let refusal = error.refusal().unwrap_or_else(|| panic!("{knob:?}: {error}"));
        assert_eq!((&refusal.step, refusal.errno), (&step, Errno::EOPNOTSUPP), "{error}");
        assert!(refusal.words.as_deref().unwrap_or_default().contains(words), "{error}");
        assert!(error.to_string().contains("link card0"), "{error}");
        assert_eq!(cards.placed().unwrap(), [], "{knob:?}");
        assert!(!bench.pin_folder().exists(), "{knob:?}");
        assert!(!command("tc qdisc show dev card0").ok().contains("clsact"), "{knob:?}");
        nic.assert_unbound();

        assert_eq!(cards.place(&bench.request(hook)).unwrap().state.actual, CardActual::OnCard);
        cards.remove(nic.ifindex).unwrap().unwrap();
    }
}

#[test]
fn a_refused_replacement_leaves_the_old_program_on_the_card() {
    let Some(bench) = Bench::new() else { return };
    let nic = &bench.nic;
    let mut cards = bench.open();
    for (knob, hook, _, _) in refusals() {
        // A feature cannot be switched off while a filter is on the card.
        let old = match (knob, hook) {
            (Knob::Feature, _) => CardHook::Xdp,
            (_, hook) => hook,
        };
        let before = cards.place(&bench.request(old)).unwrap().state;
        knob.turn(nic, false);
        let error = cards.place(&bench.request(hook)).unwrap_err();
        knob.turn(nic, true);
        assert!(error.refusal().is_some(), "{error}");
        let mut expected = before;
        if matches!(knob, Knob::Port(PortKnob::Tc)) {
            // The kernel took the old program off for the new one, and the card refused to have it back.
            assert!(matches!(error, Error::NotRestored { .. }), "{error}");
            expected.actual = CardActual::NotInHardware;
        } else {
            assert_eq!(nic.offloaded(), expected.program_id, "{knob:?}: {error}");
        }
        assert_eq!(only(&cards), expected, "{knob:?}: {error}");
        nic.assert_bound(&[expected.program_id]);
        let placed = cards.place(&bench.request(hook)).unwrap();
        assert_eq!((placed.state.actual, placed.before.is_some()), (CardActual::OnCard, true));
        cards.remove(nic.ifindex).unwrap().unwrap();
    }
}

#[test]
fn a_table_too_large_for_the_card_is_refused_by_its_name() {
    let Some(bench) = Bench::new() else { return };
    let mut cards = bench.open();
    let mut request = bench.request(CardHook::Xdp);
    request.sizes = request.sizes.with(CardTable::Prefixes6, 3);
    let error = cards.place(&request).unwrap_err();
    let refusal = error.refusal().unwrap();
    assert_eq!(refusal.step, CardStep::Table { table: CardTable::Prefixes6, entries: 3 });
    assert_eq!((refusal.errno, refusal.is_about_room()), (Errno::ENOMEM, true));
    bench.nic.assert_unbound();
}

#[test]
fn the_hook_changes_although_the_card_runs_one_of_both() {
    let Some(bench) = Bench::new() else { return };
    let nic = &bench.nic;
    let mut cards = bench.open();
    for hook in [CardHook::Xdp, CardHook::Tc, CardHook::Xdp, CardHook::Tc, CardHook::Tc] {
        let state = cards.place(&bench.request(hook)).unwrap().state;
        assert_eq!(nic.offloaded(), state.program_id, "{hook}");
        nic.assert_bound(&[state.program_id]);
    }
}

#[test]
fn what_others_have_on_the_card_is_named_and_kept() {
    let Some(bench) = Bench::new() else { return };
    let nic = &bench.nic;
    let theirs = Pins::create();
    let mut cards = bench.open();

    let program = Program::xdp(&theirs, "somebody", nic.ifindex);
    let _ = nic.attach_xdp("xdpoffload", &program).ok();
    for hook in CardHook::ALL {
        let error = cards.place(&bench.request(hook)).unwrap_err();
        let Error::Foreign { program: found, .. } = &error else { panic!("{hook}: {error}") };
        assert_eq!((found.id, found.mode), (program.id, XdpMode::Hardware), "{hook}");
        assert_eq!(found.name, "somebody", "{hook}");
        assert!(matches!(cards.foreign(nic.ifindex).unwrap()[..], [CardForeign::Program(_)]));
        assert_eq!(nic.offloaded(), program.id, "{hook}");
    }
    let _ = nic.detach_xdp("xdpoffload").ok();

    let filter = Program::tc(&theirs, "theirs", nic.ifindex);
    let _ = command("tc qdisc add dev card0 clsact").ok();
    let _ = nic.add_filter("skip_sw", &filter).ok();
    for hook in CardHook::ALL {
        let error = cards.place(&bench.request(hook)).unwrap_err();
        let Error::ForeignFilter { filter: found, .. } = &error else { panic!("{hook}: {error}") };
        assert_eq!((found.program, found.priority), (Some(filter.id), 1), "{hook}");
        assert!(error.to_string().contains("tc filter del dev card0 ingress prio 1"), "{error}");
        assert_eq!(cards.remove(nic.ifindex).unwrap(), None, "{hook}");
        assert_eq!(nic.offloaded(), filter.id, "{hook}");
    }
    nic.remove_filters();
    assert_eq!(cards.place(&bench.request(CardHook::Tc)).unwrap().state.actual, CardActual::OnCard);
}

#[test]
fn a_program_in_the_driver_is_no_obstacle() {
    let Some(bench) = Bench::new() else { return };
    let nic = &bench.nic;
    let host = Program::xdp(&bench.pins, "on_host", 0);
    let _ = nic.attach_xdp("xdpdrv", &host).ok();
    let mut cards = bench.open();
    let state = cards.place(&bench.request(CardHook::Xdp)).unwrap().state;
    assert_eq!(state.actual, CardActual::OnCard);
    assert_eq!(cards.foreign(nic.ifindex).unwrap(), []);
    let shown = nic.shown();
    assert!(shown.contains(&format!("id {}", host.id)), "{shown}");
    cards.remove(nic.ifindex).unwrap().unwrap();
    assert!(nic.shown().contains(&format!("id {}", host.id)), "it stays: {}", nic.shown());
}

#[test]
fn a_program_that_was_switched_off_by_hand_is_shown_and_comes_back() {
    let Some(bench) = Bench::new() else { return };
    let mut cards = bench.open();
    for hook in CardHook::ALL {
        cards.place(&bench.request(hook)).unwrap();
        bench.switch_off(hook);
        let state = only(&cards);
        assert!(matches!(state.actual, CardActual::NotHooked { .. }), "{hook}: {state:?}");
        let placed = cards.place(&bench.request(hook)).unwrap();
        assert_eq!(placed.state.actual, CardActual::OnCard, "{hook}");
        assert!(placed.before.is_some(), "{hook}");
        bench.switch_off(hook);
        assert!(cards.remove(bench.nic.ifindex).unwrap().is_some(), "{hook}");
        bench.nic.assert_unbound();
    }
}

#[test]
fn a_later_process_goes_on_with_what_is_on_the_card() {
    let Some(bench) = Bench::new() else { return };
    let link = bench.nic.ifindex;
    for hook in CardHook::ALL {
        let mut cards = bench.open();
        let state = cards.place(&bench.request(hook)).unwrap().state;
        let cards_dyn: &mut dyn sluice_kernel::Cards = &mut cards;
        cards_dyn.set(link, card_tables::PREFIXES4, &key(1), &deny()).unwrap();
        drop(cards);
        let (mut cards, opened) = Cards::open(&bench.options()).unwrap();
        assert_eq!(opened, CardsOpened { placed: vec![state], notes: Vec::new() }, "{hook}");
        let cards_dyn: &mut dyn sluice_kernel::Cards = &mut cards;
        let found = cards_dyn.get(link, card_tables::PREFIXES4, &key(1)).unwrap();
        assert_eq!(found, Some(deny()), "{hook}");
        assert!(cards.remove(link).unwrap().is_some(), "{hook}");
        bench.nic.assert_unbound();
    }
}

#[test]
fn programs_that_lost_their_pins_are_taken_off_the_card() {
    let Some(bench) = Bench::new() else { return };
    for hook in CardHook::ALL {
        let mut cards = bench.open();
        cards.place(&bench.request(hook)).unwrap();
        drop(cards);
        fs::remove_dir_all(bench.pin_folder()).unwrap();
        assert_ne!(bench.nic.offloaded(), 0, "{hook}: the card keeps it");
        let (_, opened) = Cards::open(&bench.options()).unwrap();
        assert_eq!((opened.placed.len(), opened.notes.len()), (0, 1), "{hook}: {opened:?}");
        bench.nic.assert_unbound();
    }
}

#[test]
fn a_device_that_went_leaves_a_shell_that_is_removed_and_comes_back_clean() {
    let Some(Bench { mut nic, pins }) = Bench::new() else { return };
    let options = CardOptions::default().pinned_in(pins.folder());
    let before = object_ids().unwrap();
    for hook in CardHook::ALL {
        let mut cards = Cards::open(&options).unwrap().0;
        let link = nic.ifindex;
        cards.place(&request(link, hook, CardProgram::Prefilter)).unwrap();
        nic.device.remove().unwrap();
        let state = only(&cards);
        assert_eq!((&state.actual, state.tables.len()), (&CardActual::DeviceGone, 0), "{hook}");
        let cards_dyn: &mut dyn sluice_kernel::Cards = &mut cards;
        let error = cards_dyn.set(link, card_tables::PREFIXES4, &key(1), &deny()).unwrap_err();
        let refusal = error.refusal().unwrap();
        assert_eq!(refusal.errno, Errno::ENODEV, "{error}");
        assert!(refusal.is_about_absence(), "{error}");
        drop(cards);

        // A later process sees the shell too.
        let (mut cards, opened) = Cards::open(&options).unwrap();
        assert_eq!(opened.placed.len(), 1, "{hook}: {opened:?}");
        assert_eq!(cards.remove(link).unwrap().unwrap().contents, [], "{hook}");
        assert_eq!(cards.placed().unwrap(), []);

        nic = new_nic();
        let again = request(nic.ifindex, hook, CardProgram::Prefilter);
        assert_eq!(cards.place(&again).unwrap().state.actual, CardActual::OnCard, "{hook}");
        cards.remove(nic.ifindex).unwrap();
        nic.assert_unbound();
    }
    assert_nothing_new(&before);
}

fn assert_nothing_new(before: &sluice_kernel::linux::ObjectIds) {
    let mut left = (0, 0);
    for _ in 0..100 {
        let now = object_ids().unwrap();
        let new = (
            now.programs.difference(&before.programs).count(),
            now.maps.difference(&before.maps).count(),
        );
        if new == (0, 0) {
            return;
        }
        left = new;
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("left behind: {left:?} programs and maps");
}

#[test]
fn a_slow_card_is_waited_for() {
    let Some(bench) = Bench::new() else { return };
    let mut cards = bench.open();
    let delay = Duration::from_millis(800);
    bench.nic.device.delay_verification(800).unwrap();
    let started = Instant::now();
    assert_eq!(
        cards.place(&bench.request(CardHook::Xdp)).unwrap().state.actual,
        CardActual::OnCard
    );
    assert!(started.elapsed() >= delay, "{:?}", started.elapsed());
    bench.nic.device.delay_verification(0).unwrap();
}

/// Every call fails once in the tests with emulated cards; here those in which the card has a part.
#[test]
fn a_failure_at_any_point_leaves_the_old_program_on_the_card() {
    let Some(bench) = Bench::new() else { return };
    let nic = &bench.nic;
    let faults = Faults::none();
    let mut cards = Cards::open(&bench.options().with_faults(faults.clone())).unwrap().0;
    let before = cards.place(&bench.request(CardHook::Xdp)).unwrap().state;
    for new in [CardHook::Xdp, CardHook::Tc] {
        let calls =
            ["map_create", "card_bind", "card_verify", "pin", "hook", "read_back", "exchange"];
        for call in calls {
            faults.clear();
            faults.fail_call(call, 1, Errno::EIO);
            let error = cards.place(&bench.request(new)).unwrap_err();
            assert_eq!(error.errno(), Some(Errno::EIO), "{call}: {error}");
            assert_eq!(only(&cards), before, "{call}: {error}");
            assert_eq!(nic.offloaded(), before.program_id, "{call}: {error}");
        }
    }
    faults.clear();
    drop(cards);
    assert_eq!(detach_all(bench.pins.folder()).unwrap().cards, 1);
    fs::create_dir(bench.pins.folder()).unwrap();
    nic.assert_unbound();
}
