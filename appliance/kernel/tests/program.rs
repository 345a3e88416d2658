//! The programs themselves: single packets, clock, events, counters.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it fails")]

mod support;

use futures_util::StreamExt;
use sluice_datapath::abi::{
    EventKind, Features, PREFILTER4_BITMAP_WORDS, PrefilterEntry4, PrefilterHeader4,
    PrefilterLine4, PrefilterWord, Reason, Settings, Slot, Table,
};
use sluice_kernel::{
    AttachRequest, Datapath as _, Errno, chaos::Faults, linux::TestProgram, tables,
};
use std::time::{Duration, Instant};
use support::{
    objects::{Objects, open_objects},
    place, request, send, service, sizes, veth,
};

const XDP_DROP: u32 = 1;
const XDP_PASS: u32 = 2;
const XDP_TX: u32 = 3;

/// Ethernet, IPv4, UDP to 10.9.0.1:9.
fn packet(source_port: u16) -> Vec<u8> {
    let mut packet = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    packet.extend([0x45, 0, 0, 33, 0, 1, 0, 0, 64, 17, 0, 0, 10, 9, 0, 2, 10, 9, 0, 1]);
    let sum: u32 = packet[14..34].chunks(2).map(|b| u32::from(b[0]) << 8 | u32::from(b[1])).sum();
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    packet[24..26].copy_from_slice(&sum.to_be_bytes());
    packet.extend(source_port.to_be_bytes());
    packet.extend([0, 9, 0, 13, 0, 0]);
    packet.extend(*b"hello");
    packet
}

#[test]
fn a_test_program_answers_with_verdict_and_packet() {
    let Some(_place) = place() else { return };
    let mut objects = Objects::default();
    // Tests that wait for this one have opened what their runtime needs.
    let open = open_objects();
    let mut program = TestProgram::load(&sizes(), &Settings::default()).unwrap();
    objects.note();
    let (verdict, bytes) = program.run(&packet(1), 0).unwrap();
    assert_eq!((verdict, bytes), (XDP_PASS, &packet(1)[..]));

    let store = program.tables();
    service::write(&*store, Slot { now: 1, before: 0 });
    service::write_backend(&*store, 1, 7);
    program.reload(&service::settings(7, &*store)).unwrap();
    let (verdict, bytes) = program.run(&packet(1), 0).unwrap();
    assert_eq!(verdict, XDP_TX);
    assert_eq!(bytes.len(), packet(1).len() + 20);
    assert_eq!(bytes[14 + 9], 4, "the outer header says IP in IP");
    assert_eq!(bytes[14 + 20..], packet(1)[14..]);
    assert_eq!(program.run(&packet(1)[..20], 0).unwrap().0, XDP_DROP);

    let counts = program.counts().unwrap();
    assert_eq!(counts[Reason::SentEncapsulated as usize].packets, 1);
    assert_eq!(counts[Reason::DropIpv4Truncated as usize].packets, 1);
    assert_eq!(program.backend_counts(&[1, 0]).unwrap()[0].forward.packets, 1);
    assert_eq!(program.service_counts(&[0]).unwrap()[0], [0; 12]);

    // A packet may pretend to come from another link than loopback.
    let link = veth("a0");
    assert_eq!(program.run(&packet(1), link).unwrap().0, XDP_TX);
    let nowhere = program.run(&packet(1), 4711).unwrap_err();
    assert_eq!(nowhere.errno(), Some(Errno::ENODEV), "{nowhere}");
    let short = program.run(&packet(1)[..13], 0).unwrap_err();
    assert_eq!(short.errno(), Some(Errno::EINVAL), "{short}");
    drop((program, store));
    objects.assert_gone();
    assert_eq!(open_objects(), open);
}

#[test]
fn test_runs_are_quick() {
    let Some(_place) = place() else { return };
    let mut program = TestProgram::load(&sizes(), &Settings::default()).unwrap();
    let packets: Vec<Vec<u8>> = (0..1000).map(packet).collect();
    let (begin, runs) = (Instant::now(), 20_000);
    for at in 0..runs {
        program.run(&packets[at % packets.len()], 0).unwrap();
    }
    let each = begin.elapsed() / runs as u32;
    assert!(each < Duration::from_micros(50), "{each:?} for each packet");
    let counted: u64 = program.counts().unwrap().iter().map(|count| count.packets).sum();
    assert_eq!(counted, runs as u64);
}

#[test]
fn a_program_that_the_kernel_refuses_is_named() {
    let Some(place) = place() else { return };
    let faults = Faults::none();
    for (errno, part) in [(Errno::EINVAL, "refused to load"), (Errno::EPERM, "run as root")] {
        faults.fail_call("program_load", 1, errno);
        let options = place.options().with_faults(faults.clone());
        let error = sluice_kernel::linux::Datapath::open(&options).err().unwrap();
        assert_eq!(error.errno(), Some(errno));
        let text = error.to_string();
        assert!(text.contains("program sluice_clock") && text.contains(part), "{text}");
    }
}

#[test]
fn the_clock_ticks_about_four_times_a_second() {
    let Some(place) = place() else { return };
    let datapath = place.open();
    let tick = datapath.tick_duration();
    assert!((Duration::from_millis(200)..Duration::from_millis(330)).contains(&tick), "{tick:?}");
    let begin = datapath.now().unwrap();
    std::thread::sleep(tick * 4);
    let ticks = datapath.now().unwrap() - begin;
    assert!((4..=5).contains(&ticks), "{ticks} ticks in {:?}", tick * 4);
}

#[test]
fn a_hundred_thousand_counters_are_read_in_milliseconds() {
    let Some(place) = place() else { return };
    let many = 100_000;
    let sizes = sizes().with(Table::BackendCounts, many);
    let options = sluice_kernel::linux::Options::new(sizes).pinned_in(&place.pins);
    let mut datapath = sluice_kernel::linux::Datapath::open(&options).unwrap().0;
    let link = veth("a0");
    let store = datapath.tables();
    service::write(&*store, Slot { now: 7, before: 0 });
    service::write_backend(&*store, 7, link);
    let settings = service::settings(link, &*store);
    datapath.attach(&AttachRequest { settings, ..request(link) }).unwrap();
    send(9);

    let ids: Vec<u32> = (0..many).collect();
    let begin = Instant::now();
    let all = datapath.backend_counts(&ids).unwrap();
    let took = begin.elapsed();
    assert!(took < Duration::from_millis(500), "{took:?}");
    assert_eq!(all[7].forward.packets, 9);
    assert_eq!(all.iter().map(|count| count.forward.packets).sum::<u64>(), 9);
    // Any order, gaps and repetitions.
    let some = datapath.backend_counts(&[99_999, 7, 0, 7, 5_000]).unwrap();
    let packets: Vec<u64> = some.iter().map(|count| count.forward.packets).collect();
    assert_eq!(packets, [0, 9, 0, 9, 0]);
    assert!(datapath.backend_counts(&[]).unwrap().is_empty());
    println!("{many} counters in {took:?}");
}

#[test]
fn prefixes_that_hit_are_read() {
    let Some(place) = place() else { return };
    let sizes = sizes()
        .with(Table::Prefilter4Bitmap, 2 * PREFILTER4_BITMAP_WORDS)
        .with(Table::Prefilter4Lines, 2);
    let options = sluice_kernel::linux::Options::new(sizes).pinned_in(&place.pins);
    let mut datapath = sluice_kernel::linux::Datapath::open(&options).unwrap().0;
    let link = veth("a0");
    let store = datapath.tables();
    // 10.0.0.0/8 is denied, and the first level sends every packet to the second.
    let ten = u32::from_ne_bytes([10, 0, 0, 0]);
    let mut header = PrefilterHeader4 { mask: 0, lengths: 1, ..PrefilterHeader4::default() };
    (header.masks[0], header.bits[0]) = (u32::from_ne_bytes([255, 0, 0, 0]), 8);
    store.view(tables::PF4_HEADER).write(0, &header);
    let mut line = PrefilterLine4::default();
    line.entries[0] = PrefilterEntry4 { address: ten, word: PrefilterWord::new(8, true) };
    store.view(tables::PF4_LINES).write(0, &line);
    store.words(Table::Prefilter4Bitmap).iter().for_each(|word| word.set(u64::MAX));
    let settings = Settings {
        features: Features(Features::PREFILTER4),
        ifindex: link,
        prefilter4_half: 1,
        prefilter_hit_mask: 3,
        ..Settings::default()
    };
    datapath.attach(&AttachRequest { settings, ..request(link) }).unwrap();
    assert!(datapath.prefilter_hits().unwrap().is_empty());
    send(6);
    assert_eq!(datapath.counts().unwrap()[Reason::DropDenied as usize].packets, 6);
    let hits = datapath.prefilter_hits().unwrap();
    assert!(hits.iter().all(|hit| (hit.family, hit.address[0]) == (4, ten)), "{hits:?}");
    assert_eq!(hits.iter().map(|hit| hit.hits).sum::<u64>(), 6, "{hits:?}");
}

#[tokio::test]
async fn events_arrive_while_packets_are_dropped() {
    let Some(place) = place() else { return };
    let link = veth("a0");
    let mut datapath = place.open();
    let store = datapath.tables();
    // No backend: every packet is dropped, and told.
    service::write(&*store, Slot { now: 0, before: 0 });
    let settings = service::settings(link, &*store);
    assert!(settings.features.has(Features::EVENTS));
    datapath.attach(&AttachRequest { settings, ..request(link) }).unwrap();
    let mut events = datapath.events().unwrap();
    for _ in 0..3 {
        send(1);
        let event = tokio::time::timeout(Duration::from_secs(5), events.next());
        let event = event.await.expect("no event came").unwrap();
        assert_eq!(event.kind, EventKind::Drop as u32);
        assert_eq!(Reason::from_number(event.reason), Some(Reason::DropNoBackend));
        assert_eq!((event.ifindex, event.service, event.destination_port), (link, 0, 9));
    }
    assert_eq!(events.malformed(), 0);

    // Another ring ends the stream; the next one goes on.
    let staged = datapath.stage(&sizes().with(Table::Events, 1 << 16)).unwrap();
    datapath.commit(&[service::settings(link, &*staged)]).unwrap();
    let end = tokio::time::timeout(Duration::from_secs(5), events.next());
    assert_eq!(end.await.expect("the stream goes on"), None);
    let mut earlier = datapath.events().unwrap();
    let mut events = datapath.events().unwrap();
    assert_eq!(earlier.next().await, None, "there is one reader");
    send(1);
    let event = tokio::time::timeout(Duration::from_secs(5), events.next());
    assert!(event.await.expect("no event came").is_some());
    assert_eq!(datapath.tables().view(tables::SLOTS).read(0).get(), 0);
}
