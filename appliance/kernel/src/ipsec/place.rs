use super::{Installed, Ipsec};
use crate::{
    Error, Result,
    xfrm::{Offload, OffloadKind, State},
};

/// A state, where it ended up, and why not at a better place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedState {
    /// As it was read back.
    pub installed: Installed<State>,
    /// The better places, in the order in which they were tried.
    pub fallbacks: Vec<Fallback>,
}

/// A place that did not take a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fallback {
    /// What was asked of the card.
    pub wanted: OffloadKind,
    /// The refusal in the kernel's words, or what reading back showed.
    pub why: String,
}

/// Adds a state at the best place that takes it: packet offload and then crypto offload, then software.
/// The offload of `state` says which card and which direction, and its kind is the best that is tried; a state without offload is
/// added in software.
///
/// # Errors
/// When software does not take it either.
pub fn place_state(ipsec: &mut dyn Ipsec, state: &State) -> Result<PlacedState> {
    let kinds: &[OffloadKind] = match state.offload.map(|offload| offload.kind) {
        Some(OffloadKind::Packet) => &[OffloadKind::Packet, OffloadKind::Crypto],
        Some(OffloadKind::Crypto) => &[OffloadKind::Crypto],
        None => &[],
    };
    let mut fallbacks = Vec::new();
    for &wanted in kinds {
        let offload = state.offload.map(|offload| Offload { kind: wanted, ..offload });
        let why = match ipsec.add_state(&State { offload, ..state.clone() }) {
            Ok(installed) if installed.is_as_requested() => {
                return Ok(PlacedState { installed, fallbacks });
            }
            Ok(installed) => {
                let shown = match installed.actual {
                    Some(actual) => format!("{} on link {}", actual.kind, actual.ifindex),
                    None => "no offload".to_owned(),
                };
                // Where it is now is no place that anybody chose.
                ipsec.delete_state(&state.id())?;
                format!("the kernel accepted, but reading back shows {shown}")
            }
            // A state that is there already is in the way everywhere.
            Err(Error::Ipsec(refusal)) if refusal.errno == crate::Errno::EEXIST => {
                return Err(Error::Ipsec(refusal));
            }
            Err(Error::Ipsec(refusal)) => {
                refusal.words.unwrap_or_else(|| crate::error::errno_text(refusal.errno))
            }
            Err(error) => return Err(error),
        };
        fallbacks.push(Fallback { wanted, why });
    }
    let installed = ipsec.add_state(&State { offload: None, ..state.clone() })?;
    Ok(PlacedState { installed, fallbacks })
}
