//! Changes of the desired objects: all or nothing, one writer per object, nothing lost.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it fails")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::json;
use sluice_appliance::store::{Change, Desired, Directory, Refusal, Snapshot, Store, watch};
use sluice_model::{Kind, Name, ObjectId, Parsed, parse};
use tokio::sync::mpsc;
use tokio::time::timeout;

fn id(name: &str) -> ObjectId {
    ObjectId { kind: Kind::Service, name: Name::new(name).unwrap() }
}

fn service(name: &str, address: &str, weight: u16) -> String {
    format!(
        "apiVersion: sluice.dev/v1\nkind: Service\nmetadata: {{name: {name}}}\nspec:\n  address: {address}\n  \
         protocol: TCP\n  port: 80\n  mode: dsr\n  backends: [{{address: 10.0.1.1, weight: {weight}}}]\n---\n"
    )
}

/// A gateway at revision 1: without one, no service is valid.
fn base() -> Desired {
    apply(
        &Desired::default(),
        "{apiVersion: sluice.dev/v1, kind: Gateway, metadata: {name: gateway}, spec: {}}",
    )
    .unwrap()
}

fn parsed(yaml: &str) -> Vec<Parsed> {
    parse("request", yaml).unwrap()
}

fn apply(desired: &Desired, yaml: &str) -> Result<Desired, Refusal> {
    desired.propose(Change::Apply(parsed(yaml))).map(|proposal| proposal.desired)
}

fn versions(desired: &Desired) -> Vec<(String, String)> {
    desired
        .objects
        .of_kind(Kind::Service)
        .map(|(id, entry)| {
            (id.name.to_string(), entry.resource_version().unwrap_or("none").to_owned())
        })
        .collect()
}

fn pair(name: &str, version: &str) -> (String, String) {
    (name.to_owned(), version.to_owned())
}

fn put(desired: &Desired, yaml: &str, force: bool) -> Result<Desired, Refusal> {
    let parsed = parsed(yaml).remove(0);
    let id = parsed.object.id();
    let change = Change::Put { id, parsed: Box::new(parsed), force };
    desired.propose(change).map(|proposal| proposal.desired)
}

fn with_version(yaml: &str, version: &str) -> String {
    yaml.replace("}\nspec", &format!(", resourceVersion: \"{version}\"}}\nspec"))
}

#[test]
fn revision_counts_changes_and_marks_what_changed() {
    let one =
        apply(&base(), &(service("a", "192.0.2.1", 1) + &service("b", "192.0.2.2", 1))).unwrap();
    assert_eq!(one.revision, 2);
    let two = apply(&one, &service("b", "192.0.2.2", 2)).unwrap();
    assert_eq!(two.revision, 3);
    assert_eq!(versions(&two), [pair("a", "2"), pair("b", "3")]);
    let same = apply(&two, &service("b", "192.0.2.2", 2)).unwrap();
    assert_eq!((same.revision, versions(&same)), (3, versions(&two)), "no change is no revision");
}

#[test]
fn one_bad_object_refuses_all() {
    let one = apply(&base(), &service("a", "192.0.2.1", 1)).unwrap();
    let both = service("b", "192.0.2.2", 1) + &service("c", "192.0.2.2", 1);
    let Err(Refusal::Invalid(problems)) = apply(&one, &both) else {
        panic!("two services at one address and port")
    };
    assert!(problems[0].to_string().starts_with("request:"), "{}", problems[0]);
}

#[test]
fn stale_writer_is_refused() {
    let one = apply(&base(), &service("a", "192.0.2.1", 1)).unwrap();
    let seen = with_version(&service("a", "192.0.2.1", 7), "2");
    let two = put(&one, &seen, false).unwrap();
    assert_eq!(versions(&two), [pair("a", "3")]);
    for refused in [put(&two, &seen, false), put(&two, &seen, true), apply(&two, &seen)] {
        let Err(refusal @ Refusal::Stale { .. }) = refused else { panic!("{refused:?}") };
        assert_eq!(
            refusal.to_string(),
            "Service/a was changed in between: its resourceVersion is 3, the request says 2; get it again and repeat the \
             change"
        );
    }
    let delete = Change::Delete { id: id("a"), version: Some("1".into()) };
    assert!(matches!(two.propose(delete), Err(Refusal::Stale { .. })));
    let patch = Change::Patch { id: id("a"), patch: json!({"metadata": {"resourceVersion": "1"}}) };
    assert!(matches!(two.propose(patch), Err(Refusal::Stale { .. })));
}

#[test]
fn put_over_an_object_needs_its_version_or_force() {
    let one = put(&base(), &service("a", "192.0.2.1", 1), false).unwrap();
    let refused = put(&one, &service("a", "192.0.2.1", 2), false);
    assert!(
        matches!(&refused, Err(Refusal::NoVersion { found, .. }) if found == "2"),
        "{refused:?}"
    );
    assert_eq!(put(&one, &service("a", "192.0.2.1", 2), true).unwrap().revision, 3);
}

#[test]
fn version_of_an_object_that_is_gone_creates_nothing() {
    let yaml = with_version(&service("a", "192.0.2.1", 1), "5");
    assert!(matches!(put(&base(), &yaml, false), Err(Refusal::Gone { .. })));
}

#[test]
fn patch_merges_and_is_checked_as_a_whole() {
    let one = apply(&base(), &service("a", "192.0.2.1", 1)).unwrap();
    let patch = json!({"spec": {"affinity": "source", "backends": [{"address": "10.0.1.9"}]}});
    let two = one.propose(Change::Patch { id: id("a"), patch }).unwrap().desired;
    let spec = &two.objects.get(&id("a")).unwrap().object.as_service().unwrap().spec;
    assert_eq!(spec.backends[0].address.to_string(), "10.0.1.9");
    assert_eq!(spec.affinity, sluice_model::Affinity::Source);

    let patch = json!({"spec": {"protcol": "UDP"}});
    let Err(Refusal::Invalid(problems)) = one.propose(Change::Patch { id: id("a"), patch }) else {
        panic!()
    };
    assert_eq!(
        (problems[0].line(), problems[0].file.as_deref()),
        (None, None),
        "a merged text has no lines to show"
    );
    let patch = json!({"metadata": {"name": "b"}});
    assert!(matches!(
        one.propose(Change::Patch { id: id("a"), patch }),
        Err(Refusal::OtherObject { .. })
    ));
    let patch = Change::Patch { id: id("z"), patch: json!({}) };
    assert!(matches!(one.propose(patch), Err(Refusal::NotFound(_))));
}

fn from_directory(desired: &Desired, path: &Path) -> Result<Desired, Refusal> {
    let files = Directory::new(path).read().map_err(Refusal::Invalid)?.unwrap();
    desired.propose(Change::Directory(files)).map(|proposal| proposal.desired)
}

#[test]
fn files_own_their_objects() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("web.yaml");
    fs::write(&file, format!("# two\n{}", service("a", "192.0.2.1", 1))).unwrap();
    let one = from_directory(&base(), directory.path()).unwrap();
    let two = apply(&one, &service("b", "192.0.2.2", 1)).unwrap();

    let place = format!("{}:2:1", file.display());
    for change in [
        Change::Apply(parsed(&service("a", "192.0.2.1", 2))),
        Change::Delete { id: id("a"), version: None },
        Change::Patch { id: id("a"), patch: json!({"spec": {"port": 81}}) },
    ] {
        let refusal = two.propose(change).unwrap_err().to_string();
        assert!(refusal.starts_with(&format!("Service/a is declared in {place}")), "{refusal}");
    }

    // A file that declares what the API made is refused, and names both.
    fs::write(directory.path().join("more.yml"), service("b", "192.0.2.3", 1)).unwrap();
    let refusal = from_directory(&two, directory.path()).unwrap_err().to_string();
    assert!(refusal.contains("more.yml:") && refusal.contains("Service/b"), "{refusal}");

    // What leaves the files leaves the configuration; what the API made stays.
    fs::remove_file(directory.path().join("more.yml")).unwrap();
    fs::remove_file(&file).unwrap();
    let three = from_directory(&two, directory.path()).unwrap();
    assert_eq!(versions(&three), [pair("b", "3")]);
    assert_eq!(three.revision, 4);
}

#[test]
fn broken_files_are_all_told_and_none_is_used() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(
        directory.path().join("good.json"),
        "{\"apiVersion\": \"sluice.dev/v1\", \"kind\": \"Prefilter\",
        \"metadata\": {\"name\": \"p\"}, \"spec\": {}}",
    )
    .unwrap();
    fs::write(
        directory.path().join("bad.yaml"),
        service("a", "192.0.2.1", 1).replace("TCP", "SCTP"),
    )
    .unwrap();
    fs::write(directory.path().join("binary.yml"), [0xff, 0xfe, 0]).unwrap();
    fs::write(directory.path().join(".bad.yaml.swp"), "not: read").unwrap();
    fs::write(directory.path().join("README.txt"), "not: read").unwrap();
    let problems = Directory::new(directory.path()).read().unwrap_err();
    let shown: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(problems.len(), 2, "{shown:#?}");
    assert!(shown[0].contains("bad.yaml:6:13: Service/a: spec.protocol: "), "{}", shown[0]);
    assert!(shown[1].contains("binary.yml: cannot be read: "), "{}", shown[1]);
}

#[test]
fn migration_takes_over_the_file_of_older_versions() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("desired.json");
    let object = |name: &str| {
        json!({"apiVersion": "sluice.dev/v1", "kind": "Prefilter",
               "metadata": {"name": name, "resourceVersion": "7"}, "spec": {"deny": ["10.9.0.0/16"]}})
    };
    let old = json!({
        "format": 1,
        "revision": 7,
        "objects": [
            {"source": {"type": "api"}, "object": object("a")},
            {"source": {"type": "file", "path": "/etc/sluice/b.yaml"}, "object": object("b")},
        ],
        "since": [{"service": "web", "address": "10.0.1.1", "port": 80, "since": "2026-01-02T03:04:05Z"}],
    });
    fs::write(&file, old.to_string()).unwrap();
    for _ in 0..2 {
        let store = Store::open(directory.path()).unwrap();
        let Snapshot { desired, since, .. } = store.load().unwrap();
        let found: Vec<_> = desired
            .objects
            .iter()
            .map(|(id, entry)| (id.to_string(), entry.resource_version(), entry.source.to_string()))
            .collect();
        assert_eq!(
            found,
            [
                ("Prefilter/a".to_owned(), Some("7"), "the API".to_owned()),
                ("Prefilter/b".to_owned(), Some("7"), "/etc/sluice/b.yaml".to_owned()),
            ]
        );
        assert_eq!((desired.revision, since.len()), (7, 1));
        let history = store.revisions(u64::MAX, 10).unwrap();
        assert_eq!((history.len(), history[0].revision, history[0].added), (1, 7, 2));
        assert!(!file.exists() && directory.path().join("desired.json.old").exists());
    }
}

#[test]
fn damaged_state_is_named_and_not_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let old = directory.path().join("desired.json");
    for (text, expected) in [
        ("{\"format\": 1", "restore it"),
        ("{\"format\": 9, \"revision\": 1, \"objects\": []}", "its format is 9"),
    ] {
        fs::write(&old, text).unwrap();
        let error = Store::open(directory.path()).unwrap_err().to_string();
        assert!(error.contains("desired.json") && error.contains(expected), "{error}");
        assert_eq!(fs::read_to_string(&old).unwrap(), text);
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("sluice.redb");
    fs::write(&file, "something else").unwrap();
    let error = Store::open(directory.path()).unwrap_err().to_string();
    assert!(error.contains("sluice.redb"), "{error}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "something else");
}

#[test]
fn state_directory_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let _store = Store::open(directory.path().join("state")).unwrap();
    let mode = |path: &str| {
        fs::metadata(directory.path().join(path)).unwrap().permissions().mode() & 0o777
    };
    assert_eq!((mode("state"), mode("state/sluice.redb")), (0o700, 0o600));
}

#[tokio::test]
async fn changes_of_the_directory_are_told_also_if_it_comes_late() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("sluice");
    let (sender, mut changed) = mpsc::channel(1);
    tokio::spawn(watch(Directory::new(&path), sender));
    tokio::task::yield_now().await;
    fs::create_dir(&path).unwrap();
    fs::write(path.join("a.yaml"), "a").unwrap();
    timeout(Duration::from_secs(10), changed.recv()).await.expect("the directory appears").unwrap();
    // Now it is watched: told within the time that changes are awaited, not at the next look.
    tokio::time::sleep(Duration::from_millis(300)).await;
    fs::write(path.join("next"), "abc").unwrap();
    fs::rename(path.join("next"), path.join("a.yaml")).unwrap();
    timeout(Duration::from_secs(3), changed.recv()).await.expect("the file is replaced").unwrap();
    assert!(
        timeout(Duration::from_millis(600), changed.recv()).await.is_err(),
        "one change is told once"
    );
}
