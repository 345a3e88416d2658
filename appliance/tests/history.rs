//! The history on disk: how far it reaches back, and what a change costs.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it fails")]

mod common;

use std::sync::Arc;

use common::disk::Disk;
use jiff::Timestamp;
use sluice_appliance::store::{Desired, Pended, Refusal, Since, Store, Write};
use sluice_appliance::wire::{Revision, RevisionOrigin};
use sluice_model::objects::{Objects, Source};
use sluice_model::{Name, Object, parse};

fn open(disk: &Disk) -> Store {
    let disk = disk.clone();
    Store::open_on(move || disk.clone()).unwrap()
}

fn service() -> Object {
    let backends: Vec<_> = (1..=10).map(|last| format!("{{address: 10.0.1.{last}}}")).collect();
    let yaml = common::service("web", "192.0.2.10", &format!("[{}]", backends.join(", ")));
    parse("test", &yaml).unwrap().remove(0).object
}

/// The same service under another name, changed by a label.
fn labelled(service: &Object, name: &str, number: u64) -> Object {
    let mut object = service.clone();
    let metadata = object.metadata_mut();
    metadata.name = Name::new(name).unwrap();
    metadata.labels.insert("number".to_owned(), number.to_string());
    object
}

fn changed(before: &Desired, object: Object) -> Desired {
    let mut objects = (*before.objects).clone();
    objects.replace(object, Source::Api, None);
    Desired { objects: Arc::new(objects), revision: before.revision + 1 }
}

fn write(store: &mut Store, before: &Desired, after: &Desired) {
    let diff = before.objects.diff(&after.objects);
    let number = after.revision;
    let revision = Revision {
        revision: number,
        time: Timestamp::now(),
        author: "anna".to_owned(),
        source: "198.51.100.1".to_owned(),
        origin: RevisionOrigin::Api,
        message: Some(format!("number {number}")),
        added: diff.added.len() as u64,
        changed: diff.changed.len() as u64,
        removed: 0,
        same_as: None,
        confirmation: None,
    };
    let none = Since::new();
    let write = Write {
        before,
        after,
        since: (&none, &none),
        revision: Some((&revision, &diff)),
        pending: Pended::Stays,
        directory: None,
        candidate_of: None,
    };
    store.put(&write).unwrap();
}

#[test]
fn a_thousand_revisions_are_kept_with_their_objects() {
    const COMMITS: u64 = 1200;
    let disk = Disk::default();
    let mut store = open(&disk);
    let (service, mut desired) = (service(), Desired::default());
    for number in 1..=COMMITS {
        let name = format!("s{}", number % 7);
        let next = changed(&desired, labelled(&service, &name, number));
        write(&mut store, &desired, &next);
        desired = next;
    }
    drop(store);
    let store = open(&disk);
    let kept = store.revision_count().unwrap();
    assert!(kept >= 1000, "{kept} revisions");
    let oldest = store.oldest().unwrap().unwrap();
    assert_eq!(oldest, COMMITS - kept + 1);
    let known = store.load().unwrap().desired;
    for number in [oldest, oldest + 1, COMMITS / 2, COMMITS - 1, COMMITS] {
        let objects = store.objects_of(&known, number).unwrap().unwrap();
        let name = format!("Service/s{}", number % 7);
        let changed = objects.get(&name.parse().unwrap()).unwrap();
        assert_eq!(changed.object.metadata().labels["number"], number.to_string());
        let detail = store.revision(number).unwrap().unwrap();
        assert_eq!(detail.revision.message, Some(format!("number {number}")));
        assert_eq!(detail.diff.changed[0].fields[0].field, "metadata.labels.number");
    }
    let gone = store.objects_of(&known, oldest - 1).unwrap().unwrap_err();
    assert_eq!(gone, Refusal::NoRevision { revision: oldest - 1, oldest, newest: COMMITS });
    assert!(store.revision(oldest - 1).unwrap().is_none());
}

/// 10,000 services with 10 backends each take some 20 MB; a change of one of them must not write them again.
#[test]
fn writing_a_change_costs_what_the_change_is() {
    let disk = Disk::default();
    let mut store = open(&disk);
    let service = service();
    let mut objects = Objects::new();
    for number in 0..10_000 {
        objects.replace(labelled(&service, &format!("s{number}"), 0), Source::Api, None);
    }
    let all = Desired { objects: Arc::new(objects), revision: 1 };
    write(&mut store, &Desired::default(), &all);
    let whole = disk.written();
    let one = changed(&all, labelled(&service, "s5000", 1));
    write(&mut store, &all, &one);
    let change = disk.written() - whole;
    println!("all services: {whole} bytes; one of them changed: {change} bytes");
    assert!(whole > 10_000_000, "{whole} bytes");
    assert!(change < 200_000, "{change} bytes for one change");
}
