//! The family `ethtool`: features, rings, queues, speed, distribution to queues.

use std::collections::BTreeMap;

use sluice_profile::Amount;

use super::generic::{Attributes, Question};
use super::{Generic, Unanswered};

const FAMILY: &str = "ethtool";
const HEADER: u16 = 1;
const DEVICE_INDEX: u16 = 1;

/// A feature of a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Feature {
    /// It is on.
    pub(crate) active: bool,
    /// It can be switched.
    pub(crate) changeable: bool,
}

fn ask(generic: &Generic, command: u8, ifindex: u32) -> Result<Attributes, Unanswered> {
    let question = Question::default().with_nested_u32(HEADER, DEVICE_INDEX, ifindex);
    generic.ask(FAMILY, command, &question)
}

/// The features by the names that `ethtool -k` prints.
pub(crate) fn features(
    generic: &Generic,
    ifindex: u32,
) -> Result<BTreeMap<String, Feature>, Unanswered> {
    const FEATURES_GET: u8 = 11;
    const HARDWARE: u16 = 2;
    const ACTIVE: u16 = 4;
    const NO_CHANGE: u16 = 5;
    let answer = ask(generic, FEATURES_GET, ifindex)?;
    let mut features: BTreeMap<String, Feature> = BTreeMap::new();
    for name in names(&answer.inner(HARDWARE)) {
        features.entry(name).or_default().changeable = true;
    }
    for name in names(&answer.inner(ACTIVE)) {
        features.entry(name).or_default().active = true;
    }
    for name in names(&answer.inner(NO_CHANGE)) {
        features.entry(name).or_default().changeable = false;
    }
    Ok(features)
}

/// The names in a bit set that is a list: with a mask a bit is set where it has a value, without one where it is there.
fn names(set: &Attributes) -> Vec<String> {
    const NO_MASK: u16 = 1;
    const BITS: u16 = 3;
    const BIT: u16 = 1;
    const NAME: u16 = 2;
    const VALUE: u16 = 3;
    let listed = set.has(NO_MASK);
    let bits = set.inner(BITS);
    let set = bits.each(BIT).filter(|bit| listed || bit.has(VALUE));
    set.filter_map(|bit| bit.text(NAME)).collect()
}

/// Receive and transmit ring.
pub(crate) fn rings(
    generic: &Generic,
    ifindex: u32,
) -> Result<(Option<Amount>, Option<Amount>), Unanswered> {
    const RINGS_GET: u8 = 15;
    let answer = ask(generic, RINGS_GET, ifindex)?;
    Ok((amount(&answer, 6, 2), amount(&answer, 9, 5)))
}

/// Receive, transmit and combined queues.
pub(crate) fn channels(generic: &Generic, ifindex: u32) -> Result<[Option<Amount>; 3], Unanswered> {
    const CHANNELS_GET: u8 = 17;
    let answer = ask(generic, CHANNELS_GET, ifindex)?;
    Ok([amount(&answer, 6, 2), amount(&answer, 7, 3), amount(&answer, 9, 5)])
}

fn amount(answer: &Attributes, now: u16, max: u16) -> Option<Amount> {
    let number = |kind| answer.number(kind).and_then(|number| u32::try_from(number).ok());
    Some(Amount { now: number(now)?, max: number(max)? })
}

/// Megabits per second; none while the link is down.
pub(crate) fn speed(generic: &Generic, ifindex: u32) -> Result<Option<u32>, Unanswered> {
    const LINKMODES_GET: u8 = 4;
    const SPEED: u16 = 5;
    let speed = ask(generic, LINKMODES_GET, ifindex)?.number(SPEED);
    Ok(speed.and_then(|speed| u32::try_from(speed).ok()).filter(|speed| *speed != u32::MAX))
}

/// How many entries the table has that spreads packets over the queues.
pub(crate) fn hash_table(generic: &Generic, ifindex: u32) -> Result<usize, Unanswered> {
    const RSS_GET: u8 = 38;
    const TABLE: u16 = 4;
    let answer = ask(generic, RSS_GET, ifindex)?;
    Ok(answer.bytes(TABLE).map_or(0, |table| table.len() / 4))
}
