use crate::{TableOf, View};
use sluice_datapath::abi::{Plain, Shared64, Table};

/// A set of tables in memory that the datapath reads while it is written.
pub trait TableStore: Send + Sync {
    /// The words of a table of kind [`sluice_datapath::abi::TableKind::Shared`]; empty for the others.
    fn words(&self, table: Table) -> &[Shared64];

    /// Number of entries (bytes for the ring).
    fn entries(&self, table: Table) -> u32;
}

impl dyn TableStore + '_ {
    /// A table by its type, such as `store.view(tables::BACKENDS)`.
    pub fn view<T: Plain + Clone>(&self, table: TableOf<T>) -> View<'_, T> {
        View::new(self.words(table.table()))
    }
}
