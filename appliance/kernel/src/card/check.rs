//! What every backend checks before it asks the card.

use super::{CardProgram, CardRefusal, CardRequest, CardStep};
use crate::{Error, LinkName, Result};
use nix::errno::Errno;
use sluice_datapath::abi::CardTable;

/// Whether a program has a table, and a key and a value of these lengths fit it.
pub(crate) fn entry(
    link: &LinkName,
    program: CardProgram,
    table: CardTable,
    key: &[u8],
    value: Option<&[u8]>,
) -> Result<()> {
    if !program.tables().contains(&table) {
        return Err(Error::NoSuchCardTable { link: link.clone(), program, table });
    }
    let sizes = [
        ("key", table.key_size(), key.len()),
        ("value", table.value_size(), value.map_or(table.value_size(), <[u8]>::len)),
    ];
    match sizes.into_iter().find(|(_, expected, found)| expected != found) {
        None => Ok(()),
        Some((what, expected, found)) => {
            Err(Error::CardEntrySize { link: link.clone(), table, what, expected, found })
        }
    }
}

/// Whether a request can be met at all, and its contents fit its program.
pub(crate) fn request(link: &LinkName, request: &CardRequest) -> Result<()> {
    let (hook, program) = (request.hook, request.program);
    if !program.fits(hook) {
        return Err(Error::NoCardProgram { hook, program });
    }
    for contents in &request.contents {
        entry(link, program, contents.table, &vec![0; contents.table.key_size()], None)?;
        for one in &contents.entries {
            entry(link, program, contents.table, &one.key, Some(&one.value))?;
        }
    }
    Ok(())
}

/// The error for something that a card did not take.
pub(crate) fn refused(
    link: &LinkName,
    step: CardStep,
    errno: Errno,
    words: Option<String>,
) -> Error {
    Error::Card(Box::new(CardRefusal { link: link.clone(), step, errno, words }))
}
