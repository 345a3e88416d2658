//! Taking over the state of versions of Sluice that kept it in one file.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;
use sluice_model::objects::{Objects, Source};
use sluice_model::{Name, Object, Port};
use tracing::info;

use super::database::{Pended, Since, Write};
use super::{Author, Desired, Store, StoreError, new_revision};
use crate::health::BackendKey;
use crate::wire::RevisionOrigin;

/// The only form that the file had.
const FORMAT: u32 = 1;

const NAME: &str = "desired.json";
/// What it is called once it was taken over.
const OLD: &str = "desired.json.old";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Read {
    format: u32,
    revision: u64,
    objects: Vec<ReadObject>,
    #[serde(default)]
    since: Vec<BackendSince>,
}

#[derive(Deserialize)]
struct ReadObject {
    source: Source,
    object: Object,
}

#[derive(Deserialize)]
struct BackendSince {
    service: Name,
    address: IpAddr,
    port: Option<Port>,
    since: Timestamp,
}

/// Takes over the file of an older version, if there is one and nothing newer. A power cut on the way repeats it.
pub(super) fn run(store: &mut Store, directory: &Path) -> Result<(), StoreError> {
    let path = directory.join(NAME);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(StoreError::io(&path, "read", error)),
    };
    if store.load()?.desired.revision == 0 {
        let read: Read =
            serde_json::from_slice(&text).map_err(|error| StoreError::content(&path, error))?;
        if read.format != FORMAT {
            let error = format!("its format is {}, this version reads {FORMAT}", read.format);
            return Err(StoreError::content(&path, error));
        }
        take_over(store, read)?;
        info!(file = %path.display(), "state of an older version taken over");
    }
    fs::rename(&path, directory.join(OLD)).map_err(|error| StoreError::io(&path, "rename", error))
}

fn take_over(store: &mut Store, read: Read) -> Result<(), StoreError> {
    let mut objects = Objects::new();
    for ReadObject { source, object } in read.objects {
        objects.replace(object, source, None);
    }
    let key = |BackendSince { service, address, port, since }| {
        (BackendKey { service, address, port }, since)
    };
    let since: Since = read.since.into_iter().map(key).collect();
    let before = Desired::default();
    let after = Desired { objects: Arc::new(objects), revision: read.revision };
    let diff = before.objects.diff(&after.objects);
    let author = Author::local("sluiced");
    let mut revision = new_revision(after.revision, &author, RevisionOrigin::Migration, &diff);
    revision.message = Some("taken over from an older version".to_owned());
    store.put(&Write {
        before: &before,
        after: &after,
        since: (&Since::new(), &since),
        revision: (after.revision > 0).then_some((&revision, &diff)),
        pending: Pended::Stays,
        directory: None,
        candidate_of: None,
    })
}
