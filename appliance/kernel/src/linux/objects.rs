use super::sys::Kernel;
use crate::{Error, Object, Result};
use std::collections::BTreeSet;

/// The ids of BPF objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectIds {
    /// Programs.
    pub programs: BTreeSet<u32>,
    /// Maps.
    pub maps: BTreeSet<u32>,
    /// Attachments.
    pub links: BTreeSet<u32>,
}

/// All BPF objects of the machine: for those who look for leaks.
///
/// The objects are not opened. Who opens a map of programs just after its last user has gone (`bpftool map` does)
/// makes Linux 6.18 keep it for ever: `prog_array_map_clear` takes a reference for work that is already scheduled.
///
/// # Errors
/// [`Error::Kernel`] without the right to look.
pub fn object_ids() -> Result<ObjectIds> {
    let kernel = Kernel::default();
    let set = |ids: Result<Vec<u32>, _>| match ids {
        Ok(ids) => Ok(ids.into_iter().collect()),
        Err(errno) => Err(Error::kernel(Object::Objects, "list them", errno)),
    };
    Ok(ObjectIds {
        programs: set(kernel.program_ids())?,
        maps: set(kernel.map_ids())?,
        links: set(kernel.link_ids())?,
    })
}
