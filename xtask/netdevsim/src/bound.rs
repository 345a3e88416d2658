//! Programs that were loaded for a device.

use std::fs;
use std::path::Path;

use nix::errno::Errno;

use crate::{Error, bus};

/// A program that was loaded for a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundProgram {
    /// The program's id in the kernel.
    pub id: u32,
    /// How far the device has got with it: `verify`, then `xlated`.
    pub state: String,
    /// Whether it is attached.
    pub is_loaded: bool,
}

/// Each program is a folder. One that is freed meanwhile is none.
pub(crate) fn read(folder: &Path) -> Result<Vec<BoundProgram>, Error> {
    let mut programs = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::of("list", folder))? {
        let folder = entry.map_err(Error::of("list", folder))?.path();
        match read_one(&folder) {
            Ok(program) => programs.push(program),
            Err(error) if error.errno().is_some_and(is_gone) => {}
            Err(error) => return Err(error),
        }
    }
    programs.sort_by_key(|program| program.id);
    Ok(programs)
}

/// A file that is taken away between opening and reading answers `EIO` (`debugfs_file_get`).
fn is_gone(errno: Errno) -> bool {
    matches!(errno, Errno::ENOENT | Errno::EIO)
}

fn read_one(folder: &Path) -> Result<BoundProgram, Error> {
    Ok(BoundProgram {
        id: bus::read_number(&folder.join("id"))?,
        state: bus::read(&folder.join("state"))?,
        is_loaded: bus::read(&folder.join("loaded"))? == "Y",
    })
}
