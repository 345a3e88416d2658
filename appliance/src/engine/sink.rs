//! Writes of a plan into tables of the kernel.

use sluice_datapath::abi::{Plain, Table};
use sluice_kernel::{Error, ServiceName, TableStore, View, tables};
use sluice_planner::{Sink, Write};

/// Writes into tables, only what differs.
pub(super) struct Tables<'a> {
    store: &'a dyn TableStore,
    changed: u64,
    outside: Option<Error>,
}

/// Writes everything in order; how many entries differed.
///
/// # Errors
/// When a plan writes behind the end of a table; everything else is written.
pub(super) fn write(store: &dyn TableStore, writes: &[Write]) -> Result<u64, Error> {
    let mut tables = Tables { store, changed: 0, outside: None };
    for write in writes {
        write.apply(&mut tables);
    }
    match tables.outside {
        None => Ok(tables.changed),
        Some(error) => Err(error),
    }
}

impl Tables<'_> {
    fn write<T: Plain + Clone>(&mut self, table: Table, first: u32, values: &[T]) {
        let view = View::<T>::new(self.store.words(table));
        let end = u64::from(first) + values.len() as u64;
        if end > u64::from(view.len()) {
            self.outside = Some(Error::NoSuchEntry { table, index: first, entries: view.len() });
            return;
        }
        self.changed += u64::from(view.write_all(first, values));
    }
}

impl Sink for Tables<'_> {
    fn write<T: Plain + Clone>(&mut self, table: Table, first: u32, values: &[T]) {
        Tables::write(self, table, first, values);
    }

    fn write_names(&mut self, first: u32, names: &[[u64; 8]]) {
        let names: Vec<_> = names.iter().map(|name| ServiceName(*name)).collect();
        Tables::write(self, tables::SERVICE_NAMES.table(), first, &names);
    }
}
