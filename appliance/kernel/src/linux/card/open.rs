use super::{
    CardOptions, Cards, CardsOpened, filter,
    found::Found,
    hook::mode,
    object::PROGRAM,
    pins::{self, CardPins},
};
use crate::{
    Error, LinkName, Result,
    linux::{
        pins::{Pins, at},
        sys::Kernel,
        xdp::{self, kernel_error},
    },
};
use std::sync::Arc;

pub(super) fn open(options: &CardOptions) -> Result<(Cards, CardsOpened)> {
    let cards = Cards {
        kernel: Kernel::new(options.faults.clone()),
        pins: Arc::new(Pins::open(&pins::root(&options.pin_directory))?),
        emulation: options.emulation,
    };
    let mut notes = Vec::new();
    cards.recover(&mut notes)?;
    cards.take_off_strays(&mut notes)?;
    let placed = crate::Cards::placed(&cards)?;
    Ok((cards, CardsOpened { placed, notes }))
}

impl Cards {
    /// Ends what an earlier process began: forwards if the card runs the new program, else back.
    fn recover(&self, notes: &mut Vec<String>) -> Result<()> {
        let (placed, next) = pins::list(&self.pins)?;
        for ifindex in next {
            let (place, next) =
                (CardPins::of(&self.pins, ifindex), CardPins::next(&self.pins, ifindex));
            let new = self.found_at(ifindex, next.clone())?;
            if new.is_some_and(|new| self.runs(&new).unwrap_or(false)) {
                let failed = || at(&next.0, "put the pins of the running program into place");
                if place.0.is_dir() {
                    self.kernel.exchange(&next.0, &place.0).map_err(failed())?;
                } else {
                    self.kernel.rename(&next.0, &place.0).map_err(failed())?;
                }
            }
            self.unpin(&next)?;
            notes.push(format!("ended an interrupted change of the card's program ({ifindex})"));
        }
        for ifindex in placed {
            if self.found(ifindex)?.is_none() {
                self.unpin(&CardPins::of(&self.pins, ifindex))?;
                notes.push(format!("removed incomplete pins of a card's program ({ifindex})"));
            }
        }
        Ok(())
    }

    fn runs(&self, found: &Found) -> Result<bool> {
        match &found.program {
            Some((_, id)) => Ok(self.actual(&found.link, &found.about, *id)?.runs()),
            None => Ok(false),
        }
    }

    /// Takes off programs of ours that nothing pins, such as after somebody emptied the directory: their tables cannot be
    /// told from those of others.
    fn take_off_strays(&self, notes: &mut Vec<String>) -> Result<()> {
        let found = self.all_found()?;
        let known: Vec<u32> =
            found.iter().filter_map(|found| found.program.as_ref()).map(|(_, id)| *id).collect();
        for link in xdp::links()? {
            self.take_off_strays_on(&link, &known, notes)?;
        }
        Ok(())
    }

    /// As before, from one link. `known` are the programs that are pinned.
    pub(super) fn take_off_strays_on(
        &self,
        link: &LinkName,
        known: &[u32],
        notes: &mut Vec<String>,
    ) -> Result<()> {
        let mode = mode(self.emulation.is_some());
        let failed = |errno| kernel_error(link, "look at the card's program", errno);
        let programs = match xdp::programs_on(link) {
            Err(Error::NoSuchLink { .. }) => return Ok(()),
            programs => programs?,
        };
        for (_, id) in programs.iter().filter(|(at, id)| *at == mode && !known.contains(id)) {
            let Some(program) = self.kernel.program_by_id(*id).map_err(failed)? else { continue };
            if self.kernel.program_info(&program).map_err(failed)?.name() == PROGRAM {
                xdp::take_off(link, mode, &program)?;
                notes.push(format!("{link}: took off a program of ours that nothing pinned"));
            }
        }
        // Links that can hold no filters say so in many ways.
        let filters = filter::list(link.ifindex).unwrap_or_default();
        let stray = |filter: &filter::Filter| {
            filter.looks_like_ours() && !filter.program.is_some_and(|id| known.contains(&id))
        };
        if filters.iter().any(stray) {
            filter::remove(link.ifindex).map_err(|refusal| {
                xdp::refused(link, "remove a filter of ours that nothing pins", refusal)
            })?;
            notes.push(format!("{link}: removed a filter of ours that nothing pinned"));
        }
        Ok(())
    }
}
