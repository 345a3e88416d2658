use super::{
    card,
    pins::{Pins, at, files, remove_all},
    sys::Kernel,
};
use crate::Result;
use std::{os::fd::AsFd, path::Path};

/// What [`detach_all`] removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Detached {
    /// Programs that were taken off links that still exist.
    pub links: usize,
    /// Programs that were taken off cards.
    pub cards: usize,
    /// Pinned files: tables, attachments and what is on cards.
    pub pins: usize,
}

/// Takes our programs off all links and cards and removes everything under a pin directory, and the directory. Programs and maps
/// end with their last pin. Nothing else is touched; without the directory there is nothing to do.
///
/// # Errors
/// [`crate::Error::InUse`] while another process works with the directory.
pub fn detach_all(pin_directory: &Path) -> Result<Detached> {
    let kernel = Kernel::default();
    let mut detached = Detached::default();
    let Some(pins) = Pins::existing(pin_directory)? else { return Ok(detached) };
    (detached.cards, detached.pins) = card::remove_all_below(pin_directory)?;
    for ifindex in pins.link_pins()? {
        let path = pins.link(ifindex);
        let failed = || at(&path, "detach what is pinned here");
        let Some(link) = kernel.pinned(&path).map_err(failed())? else { continue };
        if kernel.link_info(&link).map_err(failed())?.ifindex().is_some() {
            kernel.link_detach(link.as_fd()).map_err(failed())?;
            detached.links += 1;
        }
    }
    for directory in [pins.links(), pins.staged(), pins.tables()] {
        detached.pins += files(&directory)?.len();
        remove_all(&kernel, &directory)?;
    }
    let root = pins.root();
    kernel.remove_directory(root).map_err(at(root, "remove the directory"))?;
    Ok(detached)
}
