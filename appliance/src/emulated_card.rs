//! Cards that are not there: the programs for a link's card run in the kernel, on the outer end of a pair of links through
//! which the link's packets come. For the laboratory, where no card is.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::str::FromStr;
use std::{fs, path::Path};

use futures_util::future::BoxFuture;
use sluice_datapath::abi::CardTable;
use sluice_kernel::chaos::Faults;
use sluice_kernel::linux::{self, CardOptions, CardsOpened, Emulation};
use sluice_kernel::{
    CardEntry, CardForeign, CardLoader, CardRequest, CardState, Cards, Errno, Error, LinkName,
    LoadedCard, Placed, Removed, Result,
};
use sluice_profile::{Profile, shipped};

use crate::engine::CardProber;
use crate::probe_card::MachineProber;

/// An emulated card claims to be able to do what this profile says.
const PROFILE: &str = "nfp";
/// As many entries as a table of that profile may have.
const EMULATION: Emulation = Emulation { max_entries: 1 << 20 };

/// `LINK=OUTER`: the card of a link, and the link on which its programs run instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Emulated {
    link: String,
    outer: String,
}

impl FromStr for Emulated {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((link, outer)) if !link.is_empty() && !outer.is_empty() && link != outer => {
                Ok(Self { link: link.to_owned(), outer: outer.to_owned() })
            }
            _ => Err(format!("{text}: write LINK=OUTER, two different links such as eth0=outer0")),
        }
    }
}

/// The index that a link has now.
fn index_of(link: &str) -> Option<u32> {
    let text = fs::read_to_string(Path::new("/sys/class/net").join(link).join("ifindex")).ok()?;
    text.trim().parse().ok()
}

/// Where the programs of a link's card are. Links without a card stand for themselves.
fn outer(cards: &[Emulated], ifindex: u32) -> Result<u32> {
    let Some(card) = cards.iter().find(|card| index_of(&card.link) == Some(ifindex)) else {
        return Ok(ifindex);
    };
    let name = card.outer.clone();
    index_of(&name).ok_or(Error::NoSuchLink { link: LinkName { name, ifindex: 0 } })
}

/// Lets the operation of the kernel fail that the file names, such as `card_bind`.
fn obey(faults: &Faults, refuses: Option<&Path>) {
    faults.clear();
    if let Some(operation) = refuses.and_then(|file| fs::read_to_string(file).ok()) {
        faults.fail_call(operation.trim(), 1, Errno::EOPNOTSUPP);
    }
}

/// Loads for the outer link of a card.
struct EmulatedLoader {
    inner: Box<dyn CardLoader>,
    cards: Vec<Emulated>,
    faults: Faults,
    refuses: Option<PathBuf>,
}

impl CardLoader for EmulatedLoader {
    fn load(&self, request: &CardRequest) -> Result<LoadedCard> {
        let ifindex = outer(&self.cards, request.ifindex)?;
        obey(&self.faults, self.refuses.as_deref());
        self.inner.load(&CardRequest { ifindex, ..request.clone() })
    }
}

/// Calls for the card of a link, carried out on another link.
pub(crate) struct EmulatedCards {
    inner: linux::Cards,
    cards: Vec<Card>,
    faults: Faults,
    /// The file that says what is refused.
    refuses: Option<PathBuf>,
}

struct Card {
    names: Emulated,
    /// Indices of links that had programs of ours: the outer link, and those of its name that are gone.
    used: BTreeSet<u32>,
}

impl EmulatedCards {
    /// Opens them; what an earlier daemon left is taken over.
    pub(crate) fn open(
        pins: &Path,
        emulated: &[Emulated],
        refuses: Option<PathBuf>,
    ) -> Result<(Self, CardsOpened)> {
        let faults = Faults::none();
        let options = CardOptions::default().pinned_in(pins).emulated(EMULATION);
        let (inner, opened) = linux::Cards::open(&options.with_faults(faults.clone()))?;
        let card = |names: &Emulated| Card {
            names: names.clone(),
            used: index_of(&names.outer).into_iter().collect(),
        };
        let cards = emulated.iter().map(card).collect();
        Ok((Self { inner, cards, faults, refuses }, opened))
    }

    fn card(&self, ifindex: u32) -> Option<&Card> {
        self.cards.iter().find(|card| index_of(&card.names.link) == Some(ifindex))
    }

    /// Where the programs of a link's card are. Links without a card stand for themselves.
    fn outer(&self, ifindex: u32) -> Result<u32> {
        let names: Vec<_> = self.cards.iter().map(|card| card.names.clone()).collect();
        outer(&names, ifindex)
    }

    /// Lets the operation of the kernel fail that the file names, such as `card_bind`.
    fn obey(&self) {
        obey(&self.faults, self.refuses.as_deref());
    }

    /// The program for a link's card is on its outer link now.
    fn placed_on(&mut self, link: u32, outer: u32, placed: Placed) -> Placed {
        let is_its = |card: &&mut Card| index_of(&card.names.link) == Some(link);
        if let Some(card) = self.cards.iter_mut().find(is_its) {
            card.used.insert(outer);
        }
        Placed { state: self.seen_from_inside(placed.state), ..placed }
    }

    /// Speaks of the link instead of the outer one.
    fn seen_from_inside(&self, mut state: CardState) -> CardState {
        let card = self.cards.iter().find(|card| card.used.contains(&state.link.ifindex));
        if let Some((card, ifindex)) =
            card.and_then(|card| Some((card, index_of(&card.names.link)?)))
        {
            state.link = LinkName { name: card.names.link.clone(), ifindex };
        }
        state
    }
}

impl Cards for EmulatedCards {
    fn place(&mut self, request: &CardRequest) -> Result<Placed> {
        let outer = self.outer(request.ifindex)?;
        self.obey();
        let placed = self.inner.place(&CardRequest { ifindex: outer, ..request.clone() })?;
        Ok(self.placed_on(request.ifindex, outer, placed))
    }

    fn loader(&self) -> Box<dyn CardLoader> {
        Box::new(EmulatedLoader {
            inner: self.inner.loader(),
            cards: self.cards.iter().map(|card| card.names.clone()).collect(),
            faults: self.faults.clone(),
            refuses: self.refuses.clone(),
        })
    }

    fn place_loaded(&mut self, request: &CardRequest, loaded: LoadedCard) -> Result<Placed> {
        let outer = self.outer(request.ifindex)?;
        self.obey();
        let on_outer = CardRequest { ifindex: outer, ..request.clone() };
        let placed = self.inner.place_loaded(&on_outer, loaded)?;
        Ok(self.placed_on(request.ifindex, outer, placed))
    }

    fn remove(&mut self, ifindex: u32) -> Result<Option<Removed>> {
        let Some(card) = self.card(ifindex) else { return self.inner.remove(ifindex) };
        let (used, now) = (card.used.clone(), index_of(&card.names.outer));
        let mut last = None;
        for index in used {
            last = self.inner.remove(index)?.or(last);
        }
        let card = self.cards.iter_mut().find(|card| index_of(&card.names.link) == Some(ifindex));
        if let Some(card) = card {
            card.used.retain(|index| Some(*index) == now);
        }
        Ok(last)
    }

    fn placed(&self) -> Result<Vec<CardState>> {
        let placed = self.inner.placed()?;
        Ok(placed.into_iter().map(|state| self.seen_from_inside(state)).collect())
    }

    fn foreign(&self, ifindex: u32) -> Result<Vec<CardForeign>> {
        self.inner.foreign(self.outer(ifindex)?)
    }

    fn upsert(&mut self, ifindex: u32, table: CardTable, key: &[u8], value: &[u8]) -> Result<()> {
        let outer = self.outer(ifindex)?;
        self.obey();
        self.inner.upsert(outer, table, key, value)
    }

    fn delete(&mut self, ifindex: u32, table: CardTable, key: &[u8]) -> Result<bool> {
        let outer = self.outer(ifindex)?;
        self.obey();
        self.inner.delete(outer, table, key)
    }

    fn read(&self, ifindex: u32, table: CardTable, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.inner.read(self.outer(ifindex)?, table, key)
    }

    fn entries(&self, ifindex: u32, table: CardTable) -> Result<Vec<CardEntry>> {
        self.inner.entries(self.outer(ifindex)?, table)
    }
}

/// Knows what emulated cards can do, and asks the machine about the others.
#[derive(Clone, Debug)]
pub(crate) struct EmulatedProber(pub(crate) Vec<Emulated>);

impl CardProber for EmulatedProber {
    fn probe<'a>(
        &'a self,
        link: &'a sluice_model::LinkName,
    ) -> BoxFuture<'a, std::result::Result<Profile, String>> {
        let Some(card) = self.0.iter().find(|card| card.link == link.as_str()) else {
            return MachineProber.probe(link);
        };
        let found = if index_of(&card.outer).is_none() {
            Err(format!("the link's emulated card is gone: there is no link {}", card.outer))
        } else {
            match shipped::profile(PROFILE) {
                Some(profile) => profile.map_err(|error| error.to_string()),
                None => Err(format!("no profile {PROFILE} comes with Sluice")),
            }
        };
        Box::pin(std::future::ready(found))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

    use super::*;

    #[test]
    fn an_emulated_card_is_named_with_two_links() {
        let card: Emulated = "eth0=outer0".parse().unwrap();
        assert_eq!((&*card.link, &*card.outer), ("eth0", "outer0"));
        for wrong in ["eth0", "eth0=", "=outer0", "eth0=eth0"] {
            let error = wrong.parse::<Emulated>().unwrap_err();
            assert!(error.contains("LINK=OUTER"), "{error}");
        }
    }
}
