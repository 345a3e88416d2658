//! Tables of the real kernel: shared with the programs, taken over, grown while packets flow.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it fails")]

mod support;

use sluice_datapath::abi::{ABI_VERSION, Reason, Slot, Table};
use sluice_kernel::{
    AttachRequest, Datapath as _, Errno, Error, Sizes, TableStore, Takeover,
    chaos::Faults,
    linux::{Datapath, detach_all},
    tables,
};
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use support::{Place, Traffic, open_descriptors, place, request, seen, send, service, sizes, veth};

const SENT: usize = Reason::SentEncapsulated as usize;

/// A datapath that serves, with its program on a link.
fn serving(place: &Place, link: u32, slot: Slot) -> Datapath {
    let mut datapath = place.open();
    let store = datapath.tables();
    for id in 1..4 {
        service::write_backend(&*store, id, link);
    }
    service::write(&*store, slot);
    datapath.attach(&with_service(&*store, link)).unwrap();
    datapath
}

fn with_service(store: &dyn TableStore, link: u32) -> AttachRequest {
    AttachRequest { settings: service::settings(link, store), ..request(link) }
}

fn sent(datapath: &Datapath) -> u64 {
    datapath.counts().unwrap()[SENT].packets
}

/// The flows that are remembered.
fn remembered(store: &dyn TableStore) -> BTreeSet<u64> {
    let lines = store.view(tables::REMEMBERED);
    lines
        .iter()
        .flat_map(|line| line.flows.map(|flow| flow.get()))
        .filter(|word| *word != 0)
        .collect()
}

#[test]
fn what_is_written_reaches_the_program_and_what_it_writes_is_read() {
    let Some(place) = place() else { return };
    let link = veth("a0");
    let mut datapath = serving(&place, link, Slot { now: 2, before: 0 });
    let store = datapath.tables();
    send(3);
    assert_eq!(sent(&datapath), 3);
    let forward =
        |datapath: &Datapath, id: u32| datapath.backend_counts(&[id]).unwrap()[0].forward.packets;
    assert_eq!(forward(&datapath, 2), 3);
    assert!(remembered(&*store).is_empty());

    // The slot begins to move: the program sees it at once, and writes what it remembers.
    let tick = datapath.now().unwrap();
    store.view(tables::MOVES).read(0).since.set(tick);
    let clock = sluice_datapath::abi::Move::default();
    clock.since.set(tick);
    store.view(tables::MOVES).write(0, &clock);
    store.words(Table::Slots)[0].set(Slot { now: 2, before: 1 }.word());
    send(5);
    assert_eq!((forward(&datapath, 1), forward(&datapath, 2)), (5, 3));
    let flows = remembered(&*store);
    assert_eq!(flows.len(), 1);
    assert_eq!(flows.first().unwrap() & 0xff_ffff, 1, "the flow belongs to backend 1");
    let seen = store.view(tables::MOVES).read(0).seen.get();
    assert!((tick..=datapath.now().unwrap()).contains(&seen), "{tick} {seen}");

    // Counters of an index that is used again begin anew.
    datapath.reset_backend_count(1).unwrap();
    assert_eq!((forward(&datapath, 1), forward(&datapath, 2)), (0, 3));
    let error = datapath.backend_counts(&[16]).unwrap_err().to_string();
    assert!(error.contains("no entry 16"), "{error}");
}

#[test]
fn a_later_process_takes_everything_over_while_packets_flow() {
    let Some(place) = place() else { return };
    let link = veth("a0");
    let datapath = serving(&place, link, Slot { now: 3, before: 0 });
    let before = datapath.attached().unwrap();
    send(4);
    drop(datapath);
    send(4);

    // Other sizes are wanted now; what is there stays.
    let wanted = sizes().with(Table::Backends, 1000);
    let options = sluice_kernel::linux::Options::new(wanted).pinned_in(&place.pins);
    let (datapath, opened) = Datapath::open(&options).unwrap();
    assert_eq!(opened.takeover, Takeover::TakenOver);
    assert_eq!(opened.notes, Vec::<String>::new());
    assert_eq!(opened.attached, before);
    assert!(before[0].current);
    assert_eq!(datapath.sizes(), sizes());
    assert_eq!(datapath.tables().view(tables::BACKENDS).read(3).ifindex, link);
    send(4);
    assert_eq!(sent(&datapath), 12);
}

#[test]
fn only_one_process_works_with_a_directory() {
    let Some(place) = place() else { return };
    let _first = place.open();
    let error = Datapath::open(&place.options()).err().unwrap();
    assert!(matches!(error, Error::InUse(_)), "{error}");
    assert!(error.to_string().contains("stop the other sluiced"), "{error}");
}

#[test]
fn tables_of_another_version_are_replaced_and_programs_run_on() {
    let Some(place) = place() else { return };
    let link = veth("a0");
    drop(serving(&place, link, Slot { now: 3, before: 0 }));
    let map = aya::maps::MapData::from_pin(place.pins.join("tables/ABI")).unwrap();
    let map = aya::maps::Map::Array(map);
    let mut map = aya::maps::Array::<_, u64>::try_from(map).unwrap();
    map.set(0, u64::from(ABI_VERSION) + 1, 0).unwrap();

    let (mut datapath, opened) = Datapath::open(&place.options()).unwrap();
    let Takeover::Replaced { why } = &opened.takeover else { panic!("{opened:?}") };
    assert!(why.contains(&format!("version {}", ABI_VERSION + 1)), "{why}");
    assert!(!opened.attached[0].current, "the program still uses the old tables");
    assert_eq!(datapath.tables().view(tables::BACKENDS).read(3).ifindex, 0);
    send(4);
    assert_eq!(sent(&datapath), 0);
    // Attaching again is what brings the program to the new tables, without a gap.
    let attached = datapath.attach(&request(link)).unwrap();
    assert!(attached.updated);
    assert!(datapath.attached().unwrap()[0].current);
    send(4);
    assert_eq!(seen(&datapath), 4);
}

#[test]
fn a_set_that_is_not_whole_is_replaced() {
    let Some(place) = place() else { return };
    drop(place.open());
    std::fs::remove_file(place.pins.join("tables/SLOTS")).unwrap();
    let (_, opened) = Datapath::open(&place.options()).unwrap();
    let why = "table SLOTS is missing".to_owned();
    assert_eq!(opened.takeover, Takeover::Replaced { why });
}

#[test]
fn a_directory_elsewhere_is_refused_with_advice() {
    let Some(_place) = place() else { return };
    let directory = std::env::temp_dir().join("sluice-kernel-test-no-bpf");
    let options = sluice_kernel::linux::Options::new(sizes()).pinned_in(&directory);
    let error = Datapath::open(&options).err().unwrap().to_string();
    assert!(
        error.contains("not on a BPF file system") && error.contains("mount -t bpf"),
        "{error}"
    );
    assert!(!directory.exists());
}

/// Every table that may grow, once more as large.
fn doubled(sizes: &Sizes) -> Sizes {
    let fixed = [Table::Counts, Table::Limits, Table::Vip4, Table::Vip6, Table::PrefilterControl];
    let double =
        |(table, entries)| (table, if fixed.contains(&table) { entries } else { 2 * entries });
    sizes.iter().map(double).collect()
}

#[test]
fn tables_grow_while_packets_flow_and_nothing_is_lost() {
    let Some(place) = place() else { return };
    let link = veth("a0");
    // Half of the flows are remembered: everything that the datapath writes is in use.
    let mut datapath = serving(&place, link, Slot { now: 3, before: 1 });
    let clock = sluice_datapath::abi::Move::default();
    clock.since.set(datapath.now().unwrap());
    datapath.tables().view(tables::MOVES).write(0, &clock);
    let traffic = Traffic::start();
    let mut last = 0;
    for round in 0..6 {
        std::thread::sleep(Duration::from_millis(100));
        let old = datapath.tables();
        let wanted = doubled(&datapath.sizes());
        let staged = datapath.stage(&wanted).unwrap();
        assert_eq!(staged.entries(Table::Backends), 2 * old.entries(Table::Backends));
        service::write_backend(&*staged, old.entries(Table::Backends), link);
        let flows = remembered(&*old);
        let committed = datapath.commit(&[service::settings(link, &*staged)]).unwrap();
        assert_eq!(committed.switched[0].ifindex, link);
        assert_eq!(datapath.sizes(), wanted);

        let new = datapath.tables();
        assert!(flows.is_subset(&remembered(&*new)), "round {round}: a flow was forgotten");
        let added = new.view(tables::BACKENDS).read(old.entries(Table::Backends));
        assert_eq!(added.ifindex, link);
        let counted = datapath.backend_counts(&[1]).unwrap()[0].forward.packets;
        assert!(counted >= last, "round {round}: counters went back from {last} to {counted}");
        last = counted;
        assert!(datapath.attached().unwrap()[0].current);
        let descriptors = open_descriptors();
        assert!(descriptors < 150, "{descriptors} descriptors are open");
    }
    let packets = traffic.stop();
    std::thread::sleep(Duration::from_millis(50));
    // `COUNTS` never grew; the counters of the backends grew six times.
    let ids: Vec<u32> = (0..16).collect();
    let by_backend: u64 =
        datapath.backend_counts(&ids).unwrap().iter().map(|count| count.forward.packets).sum();
    assert_eq!(by_backend, sent(&datapath));
    assert_eq!(seen(&datapath), packets, "every packet met a program");
    assert!(packets > 500, "{packets} packets are too few to prove anything");
    assert_eq!(place.pinned().iter().filter(|name| name.starts_with("staged")).count(), 0);

    // What was counted before the tables grew is known to a later process, too.
    drop(datapath);
    let datapath = place.open();
    let again: u64 =
        datapath.backend_counts(&ids).unwrap().iter().map(|count| count.forward.packets).sum();
    assert_eq!(again, by_backend);
}

#[test]
fn a_link_that_vanished_does_not_stop_a_commit() {
    let Some(place) = place() else { return };
    let (one, two) = (veth("a0"), veth("b0"));
    let mut datapath = place.open();
    for link in [one, two] {
        datapath.attach(&request(link)).unwrap();
    }
    datapath.stage(&doubled(&sizes())).unwrap();
    let missing = datapath.commit(&[request(one).settings]).unwrap_err();
    assert!(matches!(missing, Error::NoSettings { .. }), "{missing}");
    support::ip("link delete b0");
    let committed = datapath.commit(&[request(one).settings]).unwrap();
    assert_eq!(committed.switched.len(), 1);
    assert_eq!(datapath.attached().unwrap().len(), 1);
    let left: Vec<String> = place
        .pinned()
        .into_iter()
        .filter(|name| name.starts_with(&format!("links/{two}")))
        .collect();
    assert_eq!(left, Vec::<String>::new());
}

/// Each kind of call, with the numbers of some: the first ones, one in the middle, the last.
fn some_of(calls: &[&'static str]) -> BTreeSet<(&'static str, usize)> {
    let count = |name| calls.iter().filter(|call| **call == name).count();
    calls
        .iter()
        .flat_map(|name| [1, 2, count(*name) / 2, count(*name)].map(|nth| (*name, nth)))
        .filter(|(name, nth)| (1..=count(*name)).contains(nth))
        .collect()
}

#[test]
fn every_failure_of_a_commit_leaves_the_old_state() {
    let Some(place) = place() else { return };
    let links = [veth("b0"), veth("a0")];
    let faults = Faults::none();
    let mut datapath = place.open_with(&faults);
    for link in links {
        datapath.attach(&request(link)).unwrap();
    }
    let settings = links.map(|link| request(link).settings);
    let shown = |datapath: &Datapath| -> Vec<(u32, bool)> {
        datapath.attached().unwrap().iter().map(|link| (link.program, link.current)).collect()
    };
    // A pin that could not be removed is removed by the next commit or start.
    let pinned = || -> Vec<String> {
        place.pinned().into_iter().filter(|name| !name.starts_with("staged")).collect()
    };
    // One that succeeds shows what can fail.
    datapath.stage(&doubled(&sizes())).unwrap();
    faults.clear();
    datapath.commit(&settings).unwrap();
    let sweep = some_of(&faults.calls());
    faults.clear();

    let mut failed = BTreeSet::new();
    for (call, nth) in sweep {
        datapath.stage(&datapath.sizes().with(Table::Moves, 64)).unwrap();
        let (before, pins, tables) = (shown(&datapath), pinned(), datapath.tables());
        let descriptors = open_descriptors();
        faults.fail_call(call, nth, Errno::ENOSPC);
        let committed = datapath.commit(&settings);
        faults.clear();
        if let Err(error) = committed {
            failed.insert(call);
            assert_eq!(error.errno(), Some(Errno::ENOSPC), "{call} {nth}: {error}");
            assert!(!matches!(error, Error::NotRestored { .. }), "{call} {nth}: {error}");
            assert_eq!(shown(&datapath), before, "{call} {nth}");
            assert_eq!(pinned(), pins, "{call} {nth}");
            assert_eq!(open_descriptors(), descriptors, "{call} {nth}");
            assert!(Arc::ptr_eq(&tables, &datapath.tables()));
        }
        assert!(shown(&datapath).iter().all(|(_, current)| *current), "{call} {nth}");
        let counted = seen(&datapath);
        send(2);
        assert!(seen(&datapath) - counted >= 2, "{call} {nth}: packets still flow");
    }
    for call in ["program_load", "map_create", "map_write", "pin", "exchange", "link_update"] {
        assert!(failed.contains(call), "{call} was never made to fail: {failed:?}");
    }
}

#[test]
fn what_cannot_be_restored_is_named() {
    let Some(place) = place() else { return };
    let links = [veth("a0"), veth("b0")];
    let faults = Faults::none();
    let mut datapath = place.open_with(&faults);
    for link in links {
        datapath.attach(&request(link)).unwrap();
    }
    datapath.stage(&doubled(&sizes())).unwrap();
    // The second link refuses, then the first refuses its old program.
    faults.fail_call("link_update", 2, Errno::ENOSPC);
    faults.fail_call("link_update", 3, Errno::EIO);
    let error = datapath.commit(&links.map(|link| request(link).settings)).unwrap_err();
    let Error::NotRestored { cause, why, .. } = &error else { panic!("{error}") };
    assert_eq!((cause.errno(), why.errno()), (Some(Errno::ENOSPC), Some(Errno::EIO)));
    let text = error.to_string();
    assert!(text.contains("link a0") && text.contains("link b0"), "{text}");
    // Attaching heals it.
    assert!(datapath.attached().unwrap().iter().any(|link| !link.current));
    faults.clear();
    for link in links {
        datapath.attach(&request(link)).unwrap();
    }
    assert!(datapath.attached().unwrap().iter().all(|link| link.current));
}

#[test]
fn an_interrupted_change_is_ended_by_the_next_process() {
    let Some(place) = place() else { return };
    let link = veth("a0");
    let mut datapath = place.open();
    datapath.attach(&request(link)).unwrap();
    drop(datapath);
    let (staged, tables) = (place.pins.join("staged"), place.pins.join("tables"));

    // Killed while it pinned the new tables.
    std::fs::create_dir(&staged).unwrap();
    let map = aya::maps::MapData::from_pin(tables.join("SLOTS")).unwrap();
    map.pin(staged.join("SLOTS")).unwrap();
    drop(map);
    let (datapath, opened) = Datapath::open(&place.options()).unwrap();
    assert_eq!(opened.takeover, Takeover::TakenOver);
    assert!(opened.notes[0].contains("interrupted"), "{:?}", opened.notes);
    assert!(opened.attached[0].current && !staged.exists());
    drop(datapath);

    // Killed when the new tables were in place and no program used them yet: the old ones come back.
    let other = place.pins.with_file_name("sluice-kernel-test-other");
    let options = sluice_kernel::linux::Options::new(doubled(&sizes())).pinned_in(&other);
    drop(Datapath::open(&options).unwrap());
    std::fs::rename(&tables, &staged).unwrap();
    std::fs::rename(other.join("tables"), &tables).unwrap();
    detach_all(&other).unwrap();
    let (datapath, opened) = Datapath::open(&place.options()).unwrap();
    assert!(opened.notes[0].contains("undid"), "{:?}", opened.notes);
    assert!(opened.attached[0].current && !staged.exists());
    assert_eq!(datapath.sizes(), sizes());
}
