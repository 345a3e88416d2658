use super::{Cards, found::Found, hook::Hooked, load::Loaded, pins::CardPins};
use crate::{
    CardActual, CardForeign, CardRequest, CardState, CardStep, Errno, Error, LinkName, Object,
    Placed, Removed, Result,
    card::check::{self, refused},
    linux::{pins::at, xdp},
};

impl Cards {
    /// Loads a program for a card that nobody else uses.
    pub(super) fn load_program(&self, request: &CardRequest) -> Result<Loaded> {
        let link = xdp::link_name(request.ifindex);
        check::request(&link, request)?;
        // Says so if there is no such link.
        xdp::programs_on(&link)?;
        let ours = self.found(link.ifindex)?.and_then(|found| found.program.map(|(_, id)| id));
        self.check_others(&link, ours)?;
        self.load(&link, request)
    }

    fn check_others(&self, link: &LinkName, ours: Option<u32>) -> Result<()> {
        let link = link.clone();
        match self.others(&link, ours)?.into_iter().next() {
            Some(CardForeign::Program(program)) => {
                Err(Error::Foreign { link, program: Box::new(program) })
            }
            Some(CardForeign::Filter(filter)) => {
                Err(Error::ForeignFilter { link, filter: Box::new(filter) })
            }
            None => Ok(()),
        }
    }

    pub(super) fn place_program(
        &self,
        request: &CardRequest,
        mut loaded: Loaded,
    ) -> Result<Placed> {
        let link = xdp::link_name(request.ifindex);
        check::request(&link, request)?;
        xdp::programs_on(&link)?;
        let mut before = None;
        let mut old = self.found(link.ifindex)?;
        if let Some(shell) = old.take_if(|old| old.program.is_none()) {
            self.unpin(&shell.pins)?;
            before = Some(self.removed(&shell, Vec::new())?);
        }
        let ours = old.as_ref().and_then(|old| old.program.as_ref()).map(|(_, id)| *id);
        self.take_off_strays_on(&link, &Vec::from_iter(ours), &mut Vec::new())?;
        self.check_others(&link, ours)?;
        self.fill(&link, request, &loaded.tables)?;
        let next = CardPins::next(&self.pins, link.ifindex);
        self.unpin(&next)?;
        self.pin(&next, &loaded)?;
        let state = match self.exchange(&link, old.as_ref(), &mut loaded, &next) {
            Ok(state) => state,
            Err(error) => {
                // A leftover is also removed by the next start.
                let _ = self.unpin(&next);
                return Err(error);
            }
        };
        if let Some(old) = old {
            // It has seen its last packet, and its pins stand where those of the new one stood.
            let old = Found { pins: next, ..old };
            before = Some(self.removed(&old, self.last_contents(&old))?);
        }
        // The change is made. What is left here is also removed by the next change and the next start.
        let _ = self.unpin(&CardPins::next(&self.pins, link.ifindex));
        Ok(Placed { state, before })
    }

    /// Lets the new program take the hook and the pins of the old; after an error everything is as before.
    fn exchange(
        &self,
        link: &LinkName,
        old: Option<&Found>,
        new: &mut Loaded,
        next: &CardPins,
    ) -> Result<CardState> {
        let hooked = match old {
            Some(Found { about, program: Some((_, id)), .. }) => {
                let actual = self.actual(link, about, *id)?;
                actual.runs() || actual == CardActual::NotInHardware
            }
            _ => false,
        };
        let old = old.filter(|_| hooked);
        let old_hooked = old.and_then(|old| Some((old, hooked_of(old)?)));
        let same = old.is_some_and(|old| {
            (old.about.hook, old.about.emulated) == (new.about.hook, new.about.emulated)
        });
        if let Some((old, program)) = old_hooked {
            new.about.made_qdisc = same && old.about.made_qdisc;
            if !same {
                self.unhook(link, &old.about, program)?;
            }
        }
        let replaced = old_hooked.map(|(_, program)| program).filter(|_| same);
        let program = Hooked { program: &new.program, id: new.id };
        let placed = self
            .hook(link, &mut new.about, replaced, program)
            .map_err(|error| (false, error))
            .and_then(|()| self.confirm(link, new, next).map_err(|error| (true, error)));
        let (is_hooked, cause) = match placed {
            Ok(state) => return Ok(state),
            Err(failed) => failed,
        };
        match self.put_back(link, old_hooked, same, is_hooked.then_some((&*new, program))) {
            Ok(()) => Err(cause),
            Err(why) => Err(Error::NotRestored {
                object: Object::Link(link.clone()),
                what: "the card's program",
                why: Box::new(why),
                cause: Box::new(cause),
            }),
        }
    }

    /// Asks the kernel whether the card runs the new program, and makes its pins those of the card.
    fn confirm(&self, link: &LinkName, new: &Loaded, next: &CardPins) -> Result<CardState> {
        let read_back =
            |found: String| Err(refused(link, CardStep::ReadBack, Errno::EIO, Some(found)));
        let faulty = self.kernel.check("read_back").is_err();
        match self.actual(link, &new.about, new.id)? {
            _ if faulty => return read_back("made to fail".into()),
            CardActual::OnCard | CardActual::Emulated => {}
            other => return read_back(other.to_string()),
        }
        next.write_about(&self.kernel, &new.about)
            .map_err(at(&next.0, "note what is pinned here"))?;
        let found = self.found_at(link.ifindex, next.clone())?;
        let Some(found) = found else {
            return read_back("the pins of the program are gone".into());
        };
        let state = self.state_of(&found)?;
        let place = CardPins::of(&self.pins, link.ifindex);
        let failed = || at(&place.0, "put the new pins into place");
        if place.0.is_dir() {
            self.kernel.exchange(&next.0, &place.0).map_err(failed())?;
        } else {
            self.kernel.rename(&next.0, &place.0).map_err(failed())?;
        }
        Ok(state)
    }

    fn put_back(
        &self,
        link: &LinkName,
        old: Option<(&Found, Hooked<'_>)>,
        same: bool,
        new: Option<(&Loaded, Hooked<'_>)>,
    ) -> Result<()> {
        match (old, new) {
            // The kernel has kept the old one, but when a card refuses the new program of a filter, the card may have lost
            // the old one too, and refuse it now as well.
            (Some((old, program)), None) if same => {
                match self.actual(link, &old.about, program.id)? {
                    CardActual::NotInHardware => {
                        self.hook(link, &mut old.about.clone(), Some(program), program)
                    }
                    _ => Ok(()),
                }
            }
            (Some((old, program)), Some((_, new))) if same => {
                self.hook(link, &mut old.about.clone(), Some(new), program)
            }
            (old, new) => {
                if let Some((loaded, new)) = new {
                    self.unhook(link, &loaded.about, new)?;
                }
                match old {
                    Some((old, program)) => {
                        let mut about = old.about;
                        self.hook(link, &mut about, None, program)?;
                        old.pins
                            .write_about(&self.kernel, &about)
                            .map_err(at(&old.pins.0, "note what is pinned here"))
                    }
                    None => Ok(()),
                }
            }
        }
    }

    pub(super) fn removed(
        &self,
        found: &Found,
        contents: Vec<crate::CardTableContents>,
    ) -> Result<Removed> {
        let about = found.about;
        let build = super::object::CardObject::of(about.hook, about.program)?.build();
        Ok(Removed { program: about.program, current: about.build == build, contents })
    }
}

pub(super) fn hooked_of(found: &Found) -> Option<Hooked<'_>> {
    found.program.as_ref().map(|(program, id)| Hooked { program, id: *id })
}
