use super::{
    CardOptions, Cards, CardsOpened, filter,
    found::Found,
    hook::{Hooked, mode},
    object::PROGRAM,
    pins::{self, About, CardPins},
};
use crate::{
    CardHook, CardProgram, Result,
    linux::{
        network,
        pins::{Pins, at},
        sys::Kernel,
        xdp,
    },
};
