use super::{CardOptions, Cards, filter, pins, place::hooked_of};
use crate::{Error, Removed, Result, linux::pins::at};
use std::path::Path;

impl Cards {
    pub(super) fn remove_program(&self, ifindex: u32) -> Result<Option<Removed>> {
        let Some(found) = self.found(ifindex)? else { return Ok(None) };
        if let Some(program) = hooked_of(&found) {
            match self.unhook(&found.link, &found.about, program) {
                Ok(()) | Err(Error::NoSuchLink { .. }) => {}
                // The device went while we were at it.
                Err(error) if error.refusal().is_some_and(|r| r.is_about_absence()) => {}
                Err(error) => return Err(error),
            }
        }
        let removed = self.removed(&found, self.last_contents(&found))?;
        self.unpin(&found.pins)?;
        Ok(Some(removed))
    }
}

/// Takes the programs of ours off all cards, and removes what is pinned for cards below a pin directory; how many
/// programs there were, and how many pinned files.
pub(in crate::linux) fn remove_all_below(pin_directory: &Path) -> Result<(usize, usize)> {
    if !pins::root(pin_directory).is_dir() {
        return Ok((0, 0));
    }
    let (cards, _) = Cards::open(&CardOptions::default().pinned_in(pin_directory))?;
    let (mut programs, mut files) = (0, 0);
    for found in cards.all_found()? {
        files += crate::linux::pins::files(&found.pins.0)?.len();
        programs += usize::from(cards.remove_program(found.link.ifindex)?.is_some());
    }
    for ifindex in pins::made_qdiscs(&cards.pins)? {
        // One that is not empty is somebody else's by now, and one of a link that is gone is gone too.
        let _ = filter::remove_empty_qdisc(ifindex);
        let note = pins::made_qdisc(&cards.pins, ifindex);
        cards.kernel.unpin(&note).map_err(at(&note, "remove the note"))?;
        files += 1;
    }
    let root = cards.pins.root();
    cards.kernel.remove_directory(root).map_err(at(root, "remove the directory"))?;
    Ok((programs, files))
}
