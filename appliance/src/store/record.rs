//! How an object is written into the database, and how the way back from its next version is.
//!
//! A record is a head (source, version) and a body (the object). The way back is the body's part that differs: a change
//! of one prefix among a million is kept in some bytes, though the object has 20 MB.

use serde::{Deserialize, Serialize};
use sluice_model::Object;
use sluice_model::objects::{Entry, Source};

/// An object as it is written: two lines, each JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    head: Vec<u8>,
    body: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct Head {
    source: Source,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<String>,
}

/// The kinds of undo, as their first byte.
const WAS_ABSENT: u8 = 0;
const WAS_WHOLE: u8 = 1;
const WAS_SIMILAR: u8 = 2;

/// What cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum RecordError {
    #[error("an object in it is cut off")]
    CutOff,
    #[error("an object in it cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    #[error("its history does not fit to its objects")]
    History,
}

impl Record {
    pub(super) fn of(entry: &Entry) -> Result<Self, RecordError> {
        let version = entry.resource_version().map(str::to_owned);
        let head = serde_json::to_vec(&Head { source: entry.source.clone(), version })?;
        // The version stands in the head: else a change at the end would differ from the beginning on.
        let body = if entry.resource_version().is_some() {
            let mut object = (*entry.object).clone();
            object.metadata_mut().resource_version = None;
            serde_json::to_vec(&object)?
        } else {
            serde_json::to_vec(&*entry.object)?
        };
        Ok(Self { head, body })
    }

    pub(super) fn entry(&self) -> Result<Entry, RecordError> {
        let Head { source, version } = serde_json::from_slice(&self.head)?;
        let mut object: Object = serde_json::from_slice(&self.body)?;
        object.metadata_mut().resource_version = version;
        Ok(Entry { object: object.into(), source, location: None })
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        [&self.head[..], b"\n", &self.body].concat()
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        // JSON without indentation holds no newline.
        let end = bytes.iter().position(|byte| *byte == b'\n').ok_or(RecordError::CutOff)?;
        Ok(Self { head: bytes[..end].to_vec(), body: bytes[end + 1..].to_vec() })
    }

    /// What leads from `after` back to `before`.
    pub(super) fn undo(before: Option<&Self>, after: Option<&Self>) -> Vec<u8> {
        let Some(before) = before else { return vec![WAS_ABSENT] };
        let Some(after) = after else { return [&[WAS_WHOLE][..], &before.to_bytes()].concat() };
        let (old, new) = (&before.body, &after.body);
        let start = old.iter().zip(new).take_while(|(old, new)| old == new).count();
        let rest = old[start..].iter().rev().zip(new[start..].iter().rev());
        let end = rest.take_while(|(old, new)| old == new).count();
        let number = |number: usize| (number as u64).to_le_bytes();
        [
            &[WAS_SIMILAR][..],
            &number(before.head.len()),
            &before.head,
            &number(start),
            &number(end),
            &old[start..old.len() - end],
        ]
        .concat()
    }

    /// What was before `after`.
    pub(super) fn undone(undo: &[u8], after: Option<&Self>) -> Result<Option<Self>, RecordError> {
        match undo.split_first().ok_or(RecordError::CutOff)? {
            (&WAS_ABSENT, _) => Ok(None),
            (&WAS_WHOLE, bytes) => Self::from_bytes(bytes).map(Some),
            (&WAS_SIMILAR, bytes) => {
                let after = after.ok_or(RecordError::History)?;
                let (length, bytes) = number(bytes)?;
                let (head, bytes) = bytes.split_at_checked(length).ok_or(RecordError::CutOff)?;
                let (start, bytes) = number(bytes)?;
                let (end, middle) = number(bytes)?;
                let start = after.body.get(..start).ok_or(RecordError::History)?;
                let end = after.body.len().checked_sub(end).ok_or(RecordError::History)?;
                let body = [start, middle, &after.body[end..]].concat();
                Ok(Some(Self { head: head.to_vec(), body }))
            }
            _ => Err(RecordError::History),
        }
    }
}

fn number(bytes: &[u8]) -> Result<(usize, &[u8]), RecordError> {
    let (number, rest) = bytes.split_first_chunk().ok_or(RecordError::CutOff)?;
    let number = usize::try_from(u64::from_le_bytes(*number)).map_err(|_| RecordError::History)?;
    Ok((number, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(head: &str, body: &str) -> Record {
        Record { head: head.into(), body: body.into() }
    }

    #[test]
    fn every_way_back_leads_back() {
        let bodies = ["", "a", "ab", "aab", "abcabc", "abcXabc", "XabcabcY", "aaaa", "aaaaa"];
        let records: Vec<_> = bodies
            .iter()
            .enumerate()
            .map(|(number, body)| Some(record(&number.to_string(), body)))
            .chain([None])
            .collect();
        for before in &records {
            for after in &records {
                let undo = Record::undo(before.as_ref(), after.as_ref());
                assert_eq!(Record::undone(&undo, after.as_ref()).unwrap(), *before);
            }
        }
    }

    #[test]
    fn small_change_of_a_large_object_is_kept_in_few_bytes() {
        let before = record("{}", &"10.0.0.0/24,".repeat(100_000));
        let mut after = before.clone();
        after.body.splice(600_000..600_000, *b"10.1.0.0/24,");
        assert!(Record::undo(Some(&before), Some(&after)).len() < 100);
    }

    #[test]
    fn damaged_ways_back_are_refused() {
        let (before, after) = (record("h", "abc"), record("h", "abd"));
        let undo = Record::undo(Some(&before), Some(&after));
        for length in 0..undo.len() - 1 {
            assert!(Record::undone(&undo[..length], Some(&after)).is_err(), "{length}");
        }
        assert!(Record::undone(&undo, None).is_err());
        assert!(Record::undone(&undo, Some(&record("h", ""))).is_err());
    }
}
