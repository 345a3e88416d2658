use sluice_datapath::abi::Table;
use std::{fmt, path::PathBuf};

/// A link as people and the kernel know it. The index changes when a link is deleted and created again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkName {
    /// The name in the namespace of the calling thread; `#7` where there is no link of that index.
    pub name: String,
    /// The interface index.
    pub ifindex: u32,
}

impl fmt::Display for LinkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "link {} (index {})", self.name, self.ifindex)
    }
}

/// What an operation was about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    /// A network interface.
    Link(LinkName),
    /// One table.
    Table(Table),
    /// The set of all tables.
    Tables,
    /// A program of the host object.
    Program(String),
    /// A file or directory, mostly under the pin directory.
    Path(PathBuf),
    /// Links, addresses, routes and neighbours.
    Network,
    /// All BPF objects of the machine.
    Objects,
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link(link) => link.fmt(f),
            Self::Table(table) => write!(f, "table {}", table.name()),
            Self::Tables => f.write_str("the tables"),
            Self::Program(name) => write!(f, "program {name}"),
            Self::Path(path) => path.display().fmt(f),
            Self::Network => f.write_str("the network configuration"),
            Self::Objects => f.write_str("the BPF objects of this machine"),
        }
    }
}
