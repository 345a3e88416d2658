//! One UDP service at 10.9.0.1:9, delivered in tunnels.

use sluice_datapath::abi::{
    Backend, BackendFlags, Features, Service, ServiceFlags, Settings, Slot, SlotRange, VipFlags,
    VipLine, VipPort, address4, port_key,
};
use sluice_kernel::{TableStore, tables};

const UDP: u8 = 17;

/// Settings of a program that knows the service.
pub fn settings(ifindex: u32, store: &dyn TableStore) -> Settings {
    Settings {
        features: Features(Features::SERVICE | Features::DSR | Features::EVENTS),
        ifindex,
        mtu: 1500,
        tick_shift: 6,
        remembered_mask: store.view(tables::REMEMBERED).len() - 1,
        fragment_mask: store.view(tables::FRAGMENTS).len() - 1,
        fragment_ticks: 100,
        drop_events_per_tick: 1000,
        flow_sample_shift: 0,
        ..Settings::default()
    }
}

/// The service with one slot, number zero.
pub fn write(store: &dyn TableStore, slot: Slot) {
    let service = Service {
        flags: ServiceFlags(ServiceFlags::USED),
        idle_ticks: 100_000,
        grace_ticks: 100_000,
        address: address4([10, 9, 0, 1].into()),
        ..Service::default()
    };
    service.slots.set(SlotRange { base: 0, mask: 0 }.word());
    store.view(tables::SERVICES).write(0, &service);
    store.words(sluice_datapath::abi::Table::Slots)[0].set(slot.word());
    let mut vip = VipLine {
        address: address4([10, 9, 0, 1].into()),
        flags: VipFlags(VipFlags::USED | VipFlags::SERVICES),
        ..VipLine::default()
    };
    vip.ports[0] = VipPort { key: port_key(UDP, 9), service: 0 };
    store.view(tables::VIP4).write(0, &vip);
}

/// A backend that is reached over a link.
pub fn write_backend(store: &dyn TableStore, id: u32, ifindex: u32) {
    let backend = Backend {
        address: address4([10, 1, 0, id as u8].into()),
        tunnel_source: address4([10, 1, 0, 254].into()),
        next_hop: [2, 0, id as u16],
        source_mac: [2, 0, 1],
        max_length: 1480,
        ifindex,
        flags: BackendFlags(BackendFlags::USED | BackendFlags::RESOLVED),
        ..Backend::default()
    };
    store.view(tables::BACKENDS).write(id, &backend);
}
