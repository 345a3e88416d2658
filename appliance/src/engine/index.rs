//! Whose number is whose: read from the tables themselves, so that what is shown is what the datapath uses.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use sluice_datapath::abi::{Backend, BackendFlags, ServiceFlags, ip_address};
use sluice_kernel::{TableStore, tables};
use sluice_model::{Name, Port};

use crate::health::BackendKey;

/// Numbers of services and backends.
#[derive(Debug, Default)]
pub(super) struct Index {
    services: HashMap<Name, Numbers>,
    names: HashMap<u32, Name>,
    backends: HashMap<u32, BackendKey>,
    at_address: HashMap<IpAddr, Vec<u32>>,
}

/// Numbers of one service.
#[derive(Debug)]
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
