//! The fake and chaos backends keep the contracts of the traits.

use futures_util::StreamExt;
use sluice_datapath::abi::{Backend, Event, Reason, Settings, Table};
use sluice_kernel::{
    AttachMode, AttachRequest, Datapath, Errno, Error, ForeignProgram, Link, Network, NetworkEvent,
    Sizes, Takeover, Unroutable, XdpMode, chaos, fake::World, tables,
};

fn link(ifindex: u32, name: &str) -> Link {
    Link { ifindex, name: name.into(), mtu: 1500, up: true, carrier: true, ..Link::default() }
}

fn request(ifindex: u32) -> AttachRequest {
    AttachRequest {
        settings: Settings { ifindex, ..Settings::default() },
        mode: AttachMode::Auto,
        replace_foreign: false,
    }
}

fn sizes() -> Sizes {
    Sizes::smallest().with(Table::Backends, 4).with(Table::BackendCounts, 4)
}

#[test]
fn a_second_daemon_finds_tables_and_programs_of_the_first() {
    let world = World::new();
    world.set_link(link(2, "eth0"));
    let (mut first, opened) = world.open(&sizes()).unwrap();
    assert_eq!(opened.takeover, Takeover::Created);
    let backend = Backend { port: 80, ..Backend::default() };
    first.tables().view(tables::BACKENDS).write(3, &backend);
    let attached = first.attach(&request(2)).unwrap();
    drop(first);

    let (second, opened) = world.open(&sizes()).unwrap();
    assert_eq!(opened.takeover, Takeover::TakenOver);
    assert_eq!(second.tables().view(tables::BACKENDS).read(3), backend);
    assert_eq!(opened.attached[0].program, attached.program);
    assert!(opened.attached[0].current);
}

#[test]
fn staged_tables_act_only_after_the_commit() {
    let world = World::new();
    world.set_link(link(2, "eth0"));
    let (mut datapath, _) = world.open(&sizes()).unwrap();
    datapath.attach(&request(2)).unwrap();
    assert!(matches!(datapath.commit(&[]), Err(Error::NothingStaged)));

    let staged = datapath.stage(&sizes().with(Table::Backends, 8)).unwrap();
    staged.view(tables::BACKENDS).write(7, &Backend { port: 1, ..Backend::default() });
    assert_eq!(datapath.tables().entries(Table::Backends), 4);
    assert!(matches!(datapath.commit(&[]), Err(Error::NoSettings { .. })));
    let committed = datapath.commit(&[request(2).settings]).unwrap();
    assert_eq!(committed.switched[0].name, "eth0");
    assert_eq!(datapath.tables().view(tables::BACKENDS).read(7).port, 1);
    assert!(datapath.attached().unwrap()[0].current);
}

#[test]
fn a_foreign_program_is_named_and_kept() {
    let world = World::new();
    world.set_link(link(2, "eth0"));
    let foreign = ForeignProgram {
        id: 99,
        name: "other".into(),
        kind: "xdp".into(),
        mode: XdpMode::Native,
        bpf_link: None,
    };
    world.set_foreign(2, Some(foreign.clone()));
    let (mut datapath, _) = world.open(&sizes()).unwrap();
    let error = datapath.attach(&request(2)).unwrap_err().to_string();
    for part in ["eth0", "'other'", "id 99", "ip link set dev eth0 xdpdrv off"] {
        assert!(error.contains(part), "{error}");
    }
    let mut replace = request(2);
    replace.replace_foreign = true;
    assert_eq!(datapath.attach(&replace).unwrap().replaced, Some(foreign));
}

#[test]
fn a_driver_that_refuses_leads_to_generic_with_the_reason() {
    let world = World::new();
    world.set_link(link(2, "eth0"));
    world.refuse_native(2, Some("no native mode"));
    let (mut datapath, _) = world.open(&sizes()).unwrap();
    let attached = datapath.attach(&request(2)).unwrap();
    assert_eq!(
        (attached.mode, attached.why.as_deref()),
        (XdpMode::Generic, Some("no native mode"))
    );
    let native = AttachRequest { mode: AttachMode::Native, ..request(2) };
    let error = datapath.attach(&native).unwrap_err().to_string();
    assert!(error.contains("no native mode"), "{error}");
}

#[test]
fn counters_of_entries_that_do_not_exist_are_errors() {
    let world = World::new();
    let (mut datapath, _) = world.open(&sizes()).unwrap();
    world.count(Reason::DropDenied, 2, 120);
    assert_eq!(datapath.counts().unwrap()[Reason::DropDenied as usize].packets, 2);
    assert_eq!(datapath.backend_counts(&[0, 3]).unwrap().len(), 2);
    let error = datapath.backend_counts(&[4]).unwrap_err().to_string();
    assert!(error.contains("BACKEND_COUNTS") && error.contains("no entry 4"), "{error}");
    assert!(datapath.reset_backend_count(4).is_err());
}

#[tokio::test]
async fn events_and_changes_arrive() {
    let world = World::new();
    let (mut datapath, _) = world.open(&sizes()).unwrap();
    let mut events = datapath.events().unwrap();
    world.emit(Event { backend: 5, ..Event::default() });
    assert_eq!(events.next().await.unwrap().backend, 5);

    let network = world.network();
    let mut changes = network.watch().unwrap();
    world.set_link(link(2, "eth0"));
    world.remove_link(2);
    world.overrun();
    assert_eq!(changes.next().await, Some(NetworkEvent::Link(link(2, "eth0"))));
    assert_eq!(
        changes.next().await,
        Some(NetworkEvent::LinkGone { name: "eth0".into(), ifindex: 2 })
    );
    assert_eq!(changes.next().await, Some(NetworkEvent::Overrun));
    let routing = network.route("192.0.2.1".parse().unwrap()).await.unwrap();
    assert_eq!(routing, sluice_kernel::Routing::Not(Unroutable::NoRoute));
}

#[tokio::test]
async fn chaos_fails_the_named_call_and_does_nothing() {
    let world = World::new();
    world.set_link(link(2, "eth0"));
    let faults = chaos::Faults::none();
    let (inner, _) = world.open(&sizes()).unwrap();
    let mut datapath = chaos::Datapath::new(inner, faults.clone());
    faults.fail_call("attach", 1, Errno::EBUSY);
    let error = datapath.attach(&request(2)).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::EBUSY));
    assert!(datapath.attached().unwrap().is_empty());
    datapath.attach(&request(2)).unwrap();

    let network = chaos::Network::new(world.network(), faults.clone());
    faults.fail_call("links", 1, Errno::ENOBUFS);
    assert_eq!(network.links().await.unwrap_err().errno(), Some(Errno::ENOBUFS));
    assert_eq!(network.links().await.unwrap().len(), 1);
}
