//! Whose number is whose: read from the tables themselves, so that what is shown is what the datapath uses.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use sluice_datapath::abi::{Backend, BackendFlags, ServiceFlags, Table, ip_address};
use sluice_kernel::{TableStore, tables};
use sluice_model::{Name, Port};
use sluice_planner::Step;

use crate::health::BackendKey;

/// Numbers of services and backends.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Index {
    services: HashMap<Name, Numbers>,
    names: HashMap<u32, Name>,
    backends: HashMap<u32, BackendKey>,
    at_address: HashMap<IpAddr, Vec<u32>>,
}

/// Numbers whose entries a plan writes.
#[derive(Debug, Default)]
pub(super) struct Numbered {
    services: BTreeSet<u32>,
    backends: BTreeSet<u32>,
}

impl Numbered {
    /// Those of these steps.
    pub(super) fn of(steps: &[Step]) -> Self {
        let mut numbered = Self::default();
        let filled = steps.iter().flat_map(|step| match step {
            Step::Grow(grow) => grow.fill.as_slice(),
            Step::Write(write) => std::slice::from_ref(write),
            _ => &[],
        });
        for write in filled {
            let numbers = write.first()..write.first() + write.entries() as u32;
            match write.table() {
                Table::Services | Table::ServiceNames => numbered.services.extend(numbers),
                Table::Backends => numbered.backends.extend(numbers),
                _ => {}
            }
        }
        numbered
    }
}

/// Numbers of one service.
#[derive(Debug, PartialEq, Eq)]
struct Numbers {
    service: u32,
    /// Its backends by address and port.
    backends: BTreeMap<(IpAddr, Option<Port>), u32>,
}

impl Index {
    pub(super) fn read(store: &dyn TableStore) -> Self {
        let mut index = Self::default();
        let (names, services) = (store.view(tables::SERVICE_NAMES), store.view(tables::SERVICES));
        for number in 0..names.len().min(services.len()) {
            let used = services.read(number).flags.has(ServiceFlags::USED);
            if let (true, Some(name)) = (used, name(&names.read(number).0)) {
                let numbers = Numbers { service: number, backends: BTreeMap::new() };
                index.services.insert(name.clone(), numbers);
                index.names.insert(number, name);
            }
        }
        for (id, backend) in (0..).zip(store.view(tables::BACKENDS).iter()) {
            if backend.flags.has(BackendFlags::USED) {
                index.add(id, &backend);
            }
        }
        index
    }

    /// Takes in what was written under these numbers.
    pub(super) fn read_again(&mut self, store: &dyn TableStore, written: &Numbered) {
        let mut backends = written.backends.clone();
        let (names, services) = (store.view(tables::SERVICE_NAMES), store.view(tables::SERVICES));
        for &number in &written.services {
            let is_used = number < names.len().min(services.len())
                && services.read(number).flags.has(ServiceFlags::USED);
            let name = if is_used { name(&names.read(number).0) } else { None };
            if self.names.get(&number) == name.as_ref() {
                continue;
            }
            if let Some(gone) = self.names.remove(&number)
                && self.services.get(&gone).is_some_and(|numbers| numbers.service == number)
            {
                let numbers = self.services.remove(&gone);
                backends
                    .extend(numbers.into_iter().flat_map(|numbers| numbers.backends.into_values()));
            }
            if let Some(name) = name {
                let numbers = Numbers { service: number, backends: BTreeMap::new() };
                self.services.insert(name.clone(), numbers);
                self.names.insert(number, name);
            }
        }
        let view = store.view(tables::BACKENDS);
        for &id in &backends {
            self.remove(id);
        }
        for id in backends.into_iter().filter(|&id| id < view.len()) {
            let backend = view.read(id);
            if backend.flags.has(BackendFlags::USED) {
                self.add(id, &backend);
            }
        }
    }

    fn remove(&mut self, id: u32) {
        let Some(key) = self.backends.remove(&id) else { return };
        if let Some(numbers) = self.services.get_mut(&key.service) {
            numbers.backends.retain(|_, other| *other != id);
        }
        if let Some(ids) = self.at_address.get_mut(&key.address) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.at_address.remove(&key.address);
            }
        }
    }

    fn add(&mut self, id: u32, backend: &Backend) {
        let Some(name) = self.names.get(&backend.service) else { return };
        let Some(numbers) = self.services.get_mut(name) else { return };
        let address = ip_address(backend.address, backend.flags.has(BackendFlags::IPV6));
        let port = Port::new(backend.port);
        numbers.backends.insert((address, port), id);
        self.at_address.entry(address).or_default().push(id);
        self.backends.insert(id, BackendKey { service: name.clone(), address, port });
    }

    /// The number of a service.
    pub(super) fn service(&self, name: &Name) -> Option<u32> {
        self.services.get(name).map(|numbers| numbers.service)
    }

    /// The service with this number.
    pub(super) fn service_name(&self, number: u32) -> Option<&Name> {
        self.names.get(&number)
    }

    /// All services with their numbers.
    pub(super) fn services(&self) -> impl Iterator<Item = (&Name, u32)> {
        self.services.iter().map(|(name, numbers)| (name, numbers.service))
    }

    /// The id of a backend. The table has no port where packets keep theirs, though the service may have only one.
    pub(super) fn backend(&self, key: &BackendKey) -> Option<u32> {
        let backends = &self.services.get(&key.service)?.backends;
        let at = |port| backends.get(&(key.address, port)).copied();
        at(key.port).or_else(|| at(None))
    }

    /// The backend with this id. Its port is absent where packets keep theirs.
    pub(super) fn backend_key(&self, id: u32) -> Option<&BackendKey> {
        self.backends.get(&id)
    }

    /// All backends with their ids.
    pub(super) fn backends(&self) -> impl Iterator<Item = (&BackendKey, u32)> {
        self.backends.iter().map(|(id, key)| (key, *id))
    }

    /// The backends of a service with their ids, by address and port.
    pub(super) fn backends_of(&self, service: &Name) -> impl Iterator<Item = (&BackendKey, u32)> {
        let numbers = self.services.get(service).into_iter();
        let ids = numbers.flat_map(|numbers| numbers.backends.values());
        ids.filter_map(|id| Some((self.backends.get(id)?, *id)))
    }

    /// The backends at an address.
    pub(super) fn at_address(&self, address: IpAddr) -> impl Iterator<Item = &BackendKey> {
        let ids = self.at_address.get(&address).into_iter().flatten();
        ids.filter_map(|id| self.backends.get(id))
    }
}

/// The name in the words of [`tables::SERVICE_NAMES`].
fn name(words: &[u64; 8]) -> Option<Name> {
    let bytes: Vec<u8> =
        words.iter().flat_map(|word| word.to_ne_bytes()).take_while(|byte| *byte != 0).collect();
    Name::new(String::from_utf8(bytes).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sluice_datapath::abi::{Service, ServiceFlags, address4};
    use sluice_kernel::{Datapath, ServiceName, Sizes, fake};

    const SERVICES: u32 = 4;
    const BACKENDS: u32 = 8;

    /// What is written: a service with this name (`None`: it is unused), or a backend of a service.
    #[derive(Clone, Debug)]
    enum Entry {
        Service(u32, Option<u8>),
        Backend(u32, Option<(u32, u8)>),
    }

    fn entry() -> impl Strategy<Value = Entry> {
        prop_oneof![
            (0..SERVICES, prop::option::of(0_u8..3))
                .prop_map(|(at, name)| Entry::Service(at, name)),
            (0..BACKENDS, prop::option::of((0..SERVICES, 1_u8..4)))
                .prop_map(|(at, backend)| Entry::Backend(at, backend)),
        ]
    }

    fn write(store: &dyn TableStore, entry: &Entry) {
        match *entry {
            Entry::Service(at, name) => {
                let mut words = ServiceName::default();
                words.0[0] =
                    u64::from(b'a' + at as u8) | name.map_or(0, |name| u64::from(b'a' + name) << 8);
                store.view(tables::SERVICE_NAMES).write(at, &words);
                let flags = ServiceFlags(name.map_or(0, |_| ServiceFlags::USED));
                store.view(tables::SERVICES).write(at, &Service { flags, ..Service::default() });
            }
            Entry::Backend(at, backend) => {
                let backend = backend.map_or_else(Backend::default, |(service, host)| Backend {
                    service,
                    // Two backends of a service have two addresses.
                    address: address4([10, 0, host, at as u8].into()),
                    flags: BackendFlags(BackendFlags::USED),
                    ..Backend::default()
                });
                store.view(tables::BACKENDS).write(at, &backend);
            }
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_all_that_must_be_read_again(
            plans in prop::collection::vec(prop::collection::vec(entry(), 1..6), 1..12),
        ) {
            let sizes = Sizes::smallest()
                .with(Table::Services, SERVICES)
                .with(Table::ServiceNames, SERVICES)
                .with(Table::Backends, BACKENDS);
            let (datapath, _) = fake::World::new().open(&sizes).unwrap();
            let store = datapath.tables();
            let mut index = Index::read(&*store);
            for plan in plans {
                let mut written = Numbered::default();
                for entry in &plan {
                    write(&*store, entry);
                    match *entry {
                        // Whoever names a service writes its backends, too.
                        Entry::Service(at, _) => {
                            written.services.insert(at);
                            let backends = (0..).zip(store.view(tables::BACKENDS).iter());
                            let own = backends.filter(|(_, backend)| backend.service == at);
                            written.backends.extend(own.map(|(id, _)| id));
                        }
                        Entry::Backend(at, _) => _ = written.backends.insert(at),
                    }
                }
                index.read_again(&*store, &written);
                let mut all = Index::read(&*store);
                for index in [&mut index, &mut all] {
                    index.at_address.values_mut().for_each(|ids| ids.sort_unstable());
                }
                prop_assert_eq!(&index, &all);
            }
        }
    }
}
