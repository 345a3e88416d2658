//! The plan of the cards for people.

use std::fmt;

use serde::Serialize;
use sluice_datapath::abi::CardTable;

use super::{CardsPlan, contents::placement_of, entry::CardStep, plan::CardPlan};
use crate::{LinkPlacement, LinkReport};

/// Writes into one table that are told one by one; more are told as their number.
const SINGLE_WRITES: usize = 6;

/// The plan of the cards in words; equal plans give equal reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CardsReport {
    /// Where each stage runs, link by link, and why not elsewhere.
    pub links: Vec<LinkReport>,
    /// What each card shall run.
    pub cards: Vec<CardReport>,
    /// What the operator requires and cannot have.
    pub refused: Vec<String>,
}

/// What one card shall run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CardReport {
    /// The link.
    pub link: String,
    /// The program and its place; absent if nothing of ours is on the card.
    pub program: Option<String>,
    /// Its tables with their sizes.
    pub tables: Vec<String>,
    /// What is written before the host's tables change.
    pub withdraw: Vec<String>,
    /// What is written after it.
    pub add: Vec<String>,
}

impl CardsPlan {
    /// The plan in words.
    #[must_use]
    pub fn report(&self) -> CardsReport {
        let link = |placement: &LinkPlacement| LinkReport {
            name: placement.link.clone(),
            stages: placement.stages.clone(),
        };
        CardsReport {
            links: self.placements.iter().map(link).collect(),
            cards: self.cards.iter().map(|(link, card)| card_report(link, card)).collect(),
            refused: self.refused.iter().map(ToString::to_string).collect(),
        }
    }
}

fn card_report(link: &str, card: &CardPlan) -> CardReport {
    let program = card.next.program;
    let words = program
        .map(|program| format!("{} at {}", program.stages.as_str(), placement_of(program.hook)));
    let add = match (card.is_replaced, &words) {
        (false, _) => steps(&card.change.add),
        (true, None) => vec!["take the program off".to_owned()],
        (true, Some(words)) => {
            let steps: Vec<_> = card.next.entries().into_iter().map(CardStep::add).collect();
            let mut lines = vec![format!("put the program on the card: {words}")];
            lines.extend(self::steps(&steps));
            lines
        }
    };
    CardReport {
        link: link.to_owned(),
        program: words,
        tables: card
            .next
            .sizes
            .iter()
            .map(|(table, size)| format!("{} {size}", table.name()))
            .collect(),
        withdraw: steps(&card.change.withdraw),
        add,
    }
}

/// One line per step; many into one table are one line.
fn steps(steps: &[CardStep]) -> Vec<String> {
    let table = |step: &CardStep| step.entry().table();
    let same = |a: &CardStep, b: &CardStep| table(a) == table(b);
    let mut lines = Vec::new();
    for chunk in steps.chunk_by(same) {
        match chunk {
            [first, ..] if chunk.len() > SINGLE_WRITES => {
                let table: CardTable = table(first);
                lines.push(format!("{}: {} entries", table.name(), chunk.len()));
            }
            chunk => lines.extend(chunk.iter().map(ToString::to_string)),
        }
    }
    lines
}

impl fmt::Display for CardsReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.refused.iter().try_for_each(|why| writeln!(f, "refused: {why}"))?;
        self.links.iter().try_for_each(|link| link.fmt(f))?;
        for card in &self.cards {
            let program = card.program.as_deref().unwrap_or("nothing");
            writeln!(f, "card of {}: {program}", card.link)?;
            if !card.tables.is_empty() {
                writeln!(f, "  tables: {}", card.tables.join(", "))?;
            }
            for (word, steps) in [("withdraw", &card.withdraw), ("add", &card.add)] {
                steps.iter().try_for_each(|step| writeln!(f, "  {word}: {step}"))?;
            }
        }
        Ok(())
    }
}
