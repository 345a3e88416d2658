use sluice_datapath::abi::{
    Address, Backend, Move, Plain, PortRange, PrefilterControl, PrefilterHeader4, PrefilterHeader6,
    PrefilterLine4, PrefilterLine6, Service, SourceRange4, SourceRange6, Table, VipLine,
};

/// Consecutive entries of a table.
#[derive(Clone, Debug)]
pub struct Run<T> {
    /// Index of the first.
    pub first: u32,
    /// Their values.
    pub values: Vec<T>,
}

impl<T> Run<T> {
    /// One entry.
    pub fn one(index: u32, value: T) -> Self {
        Self { first: index, values: vec![value] }
    }

    /// Joins single entries, given in ascending order of their indices, to runs.
    pub fn join(entries: impl IntoIterator<Item = (u32, T)>) -> Vec<Self> {
        let mut runs: Vec<Self> = Vec::new();
        for (index, value) in entries {
            match runs.last_mut() {
                Some(run) if run.first + run.values.len() as u32 == index => run.values.push(value),
                _ => runs.push(Self::one(index, value)),
            }
        }
        runs
    }
}

/// Where writes go: the tables of the kernel, or of a test.
pub trait Sink {
    /// Writes consecutive entries of a table: ascending, in ascending words, only words that differ.
    fn write<T: Plain + Clone>(&mut self, table: Table, first: u32, values: &[T]);

    /// The same for [`Table::ServiceNames`].
    fn write_names(&mut self, first: u32, names: &[[u64; 8]]);
}

macro_rules! writes {
    ($($table:ident $value:ty;)+) => {
        /// Entries to be written into the table that the variant is named after. The order of writes in a plan
        /// matters: the datapath reads meanwhile.
        #[derive(Clone, Debug)]
        #[allow(missing_docs)]
        pub enum Write {
            $($table(Run<$value>),)+
            ServiceNames(Run<[u64; 8]>),
        }

        impl Write {
            /// The table.
            #[must_use]
            pub const fn table(&self) -> Table {
                match self {
                    $(Self::$table(_) => Table::$table,)+
                    Self::ServiceNames(_) => Table::ServiceNames,
                }
            }

            /// Index of the first entry.
            #[must_use]
            pub const fn first(&self) -> u32 {
                match self {
                    $(Self::$table(run) => run.first,)+
                    Self::ServiceNames(run) => run.first,
                }
            }

            /// How many entries.
            #[must_use]
            pub const fn entries(&self) -> usize {
                match self {
                    $(Self::$table(run) => run.values.len(),)+
                    Self::ServiceNames(run) => run.values.len(),
                }
            }

            /// Writes them.
            pub fn apply(&self, sink: &mut impl Sink) {
                match self {
                    $(Self::$table(run) => sink.write(Table::$table, run.first, &run.values),)+
                    Self::ServiceNames(run) => sink.write_names(run.first, &run.values),
                }
            }
        }
    };
}

writes! {
    Vip4 VipLine;
    Vip6 VipLine;
    PortRanges PortRange;
    Services Service;
    Slots u64;
    Moves Move;
    Backends Backend;
    Sources4 SourceRange4;
    Sources6 SourceRange6;
    NatPool Address;
    PrefilterControl PrefilterControl;
    Prefilter4Header PrefilterHeader4;
    Prefilter4Bitmap u64;
    Prefilter4Lines PrefilterLine4;
    Prefilter6Header PrefilterHeader6;
    Prefilter6Bitmap u64;
    Prefilter6Lines PrefilterLine6;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_entries_are_one_run() {
        let runs = Run::join([(3, 'a'), (4, 'b'), (7, 'c')]);
        let runs: Vec<_> = runs.into_iter().map(|run| (run.first, run.values)).collect();
        assert_eq!(runs, [(3, vec!['a', 'b']), (7, vec!['c'])]);
        assert!(Run::<char>::join([]).is_empty());
    }
}
