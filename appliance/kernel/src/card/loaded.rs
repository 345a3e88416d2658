use super::{CardHook, CardProgram, CardRequest, CardSizes};
use crate::{Error, Result};
use std::any::Any;
use std::fmt;

/// Loads programs for cards, so that somebody else than the owner of [`crate::Cards`] may wait for the driver.
pub trait CardLoader: Send {
    /// Makes the tables of a request and loads its program; the driver verifies and translates it. Nothing of what is
    /// on the card changes, and the request's contents are not looked at.
    ///
    /// # Errors
    /// As [`crate::Cards::place`], up to the point where the program would be hooked. Nothing is left.
    fn load(&self, request: &CardRequest) -> Result<LoadedCard>;
}

/// A program that was loaded for a card, with its tables, and is not hooked. Dropping it frees both.
pub struct LoadedCard {
    ifindex: u32,
    hook: CardHook,
    program: CardProgram,
    sizes: CardSizes,
    kept: Box<dyn Any + Send>,
}

impl LoadedCard {
    /// What a backend keeps of a request that it loaded.
    pub(crate) fn new(request: &CardRequest, kept: impl Any + Send) -> Self {
        let &CardRequest { ifindex, hook, program, sizes, .. } = request;
        Self { ifindex, hook, program, sizes, kept: Box::new(kept) }
    }

    /// Whether a request can be met with it: whatever its contents, card, hook, program and sizes are the same.
    pub fn fits(&self, request: &CardRequest) -> bool {
        let &CardRequest { ifindex, hook, program, sizes, .. } = request;
        let same_tables = program.tables().iter().all(|&t| sizes.get(t) == self.sizes.get(t));
        (self.ifindex, self.hook, self.program) == (ifindex, hook, program) && same_tables
    }

    /// What the backend kept, for a request that it fits.
    ///
    /// # Errors
    /// [`Error::LoadedForAnother`].
    pub(crate) fn open<T: Any>(self, request: &CardRequest) -> Result<T> {
        let fits = self.fits(request);
        match self.kept.downcast() {
            Ok(kept) if fits => Ok(*kept),
            _ => Err(Error::LoadedForAnother { ifindex: request.ifindex }),
        }
    }
}

impl fmt::Debug for LoadedCard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ifindex, hook, program, sizes, .. } = self;
        f.debug_struct("LoadedCard")
            .field("ifindex", ifindex)
            .field("hook", hook)
            .field("program", program)
            .field("sizes", sizes)
            .finish_non_exhaustive()
    }
}
