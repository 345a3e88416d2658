//! The driver's own files.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Error;

const BUS: &str = "/sys/bus/netdevsim";
const DEBUG: &str = "/sys/kernel/debug/netdevsim";

/// Whether simulated NICs can be made here, and seen into.
///
/// # Errors
/// [`Error::NoDriver`], [`Error::NoDebugFileSystem`]
pub fn available() -> Result<(), Error> {
    let bus = PathBuf::from(BUS);
    if !bus.is_dir() {
        return Err(Error::NoDriver(bus));
    }
    let debug = PathBuf::from(DEBUG);
    if !debug.is_dir() {
        return Err(Error::NoDebugFileSystem(debug));
    }
    Ok(())
}

/// What the driver shows of a device aside of its links.
pub(crate) fn debug_folder(id: u32) -> PathBuf {
    Path::new(DEBUG).join(format!("netdevsim{id}"))
}

/// Tells the bus something.
pub(crate) fn tell(file: &str, words: &str) -> Result<(), Error> {
    write(&Path::new(BUS).join(file), words)
}

/// Tells one device on the bus something.
pub(crate) fn tell_device(id: u32, file: &str, words: &str) -> Result<(), Error> {
    write(&Path::new(BUS).join(format!("devices/netdevsim{id}")).join(file), words)
}

pub(crate) fn write(path: &Path, words: &str) -> Result<(), Error> {
    fs::write(path, words).map_err(Error::of("write", path))
}

/// The text of a file without the end of its line.
pub(crate) fn read(path: &Path) -> Result<String, Error> {
    let text = fs::read_to_string(path).map_err(Error::of("read", path))?;
    Ok(text.trim_end().to_owned())
}

/// The number in a file.
pub(crate) fn read_number(path: &Path) -> Result<u32, Error> {
    let found = read(path)?;
    found.parse().map_err(|_| Error::Unexpected {
        path: path.to_owned(),
        found,
        expected: "a number",
    })
}
