//! What editors prepare, how it takes effect, and the way back.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it fails")]

mod common;

use std::fs;
use std::time::Duration;

use common::{GATEWAY, Gateway, service};
use sluice_appliance::access::Connection;
use sluice_appliance::engine::ChangeError;
use sluice_appliance::event::EventKind;
use sluice_appliance::store::{Author, Change, Order, Refusal, SessionEnds};
use sluice_appliance::wire::{Applied, Candidate, ConfirmationState, RevisionOrigin};
use sluice_model::status::HealthState;
use sluice_model::{Kind, Name, ObjectId, parse};

fn web(backends: &str) -> String {
    service("web", "192.0.2.10", backends)
}

fn id(name: &str) -> ObjectId {
    ObjectId { kind: Kind::Service, name: Name::new(name).unwrap() }
}

fn author(name: &str) -> Author {
    Author { name: name.to_owned(), source: "198.51.100.1".to_owned() }
}

/// A gateway with one service, at revision 1.
async fn gateway() -> Gateway {
    let gateway = Gateway::start().await;
    gateway.apply(&(GATEWAY.to_owned() + &web("[{address: 10.0.1.1}]"))).await.unwrap();
    gateway
}

async fn submit(gateway: &Gateway, order: Order) -> Result<Applied, ChangeError> {
    gateway.handle.submit(order).await
}

async fn edit(gateway: &Gateway, editor: &str, yaml: &str) -> Result<Applied, ChangeError> {
    let change = Change::Apply(parse("edit", yaml).unwrap());
    let order = Order { author: author(editor), to_candidate: true, ..Order::local(change) };
    submit(gateway, order).await
}

fn commit(editor: &str) -> Order {
    Order { author: author(editor), ..Order::local(Change::Candidate) }
}

async fn candidate(gateway: &Gateway, editor: &'static str) -> Candidate {
    gateway.handle.read(move |engine| engine.candidate(editor)).await.unwrap()
}

async fn revision(gateway: &Gateway) -> u64 {
    gateway.handle.read(|engine| engine.status()).await.unwrap().unwrap().revision
}

async fn yaml(gateway: &Gateway) -> String {
    gateway.handle.read(|engine| engine.export(None)).await.unwrap().unwrap()
}

fn refused(result: Result<Applied, ChangeError>) -> Refusal {
    match result.unwrap_err() {
        ChangeError::Refused(refusal) => refusal,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn edits_take_effect_when_they_are_committed_and_not_before() {
    let gateway = gateway().await;
    let before = (yaml(&gateway).await, gateway.contents());
    let edited = edit(&gateway, "anna", &web("[{address: 10.0.1.1, weight: 5}]")).await.unwrap();
    assert!(edited.candidate && edited.pending.is_none());
    assert_eq!(edited.diff.changed[0].fields[0].field, "spec.backends[0].weight");
    edit(&gateway, "anna", &service("api", "192.0.2.11", "[{address: 10.0.1.2}]")).await.unwrap();
    assert_eq!((yaml(&gateway).await, gateway.contents()), before);

    let mine = candidate(&gateway, "anna").await;
    let touched: Vec<_> = mine.edits.iter().map(|edit| edit.object.to_string()).collect();
    assert_eq!((mine.base, touched), (1, vec!["Service/api".to_owned(), "Service/web".to_owned()]));
    let diff = gateway.handle.read(|engine| engine.candidate_diff("anna", None)).await.unwrap();
    let diff = diff.unwrap().diff;
    assert_eq!((diff.added, diff.changed.len()), (vec![id("api")], 1));
    let check = gateway.handle.read(|engine| engine.validate_candidate("anna", None)).await;
    assert!(check.unwrap().valid);
    let plan = submit(&gateway, Order { dry_run: true, ..commit("anna") }).await.unwrap().plan;
    let actions = plan.unwrap().actions;
    assert!(actions.iter().any(|action| action.starts_with("Service/api: ")), "{actions:?}");
    assert_eq!((yaml(&gateway).await, gateway.contents()), before);

    let order = Order { message: Some("more weight".to_owned()), ..commit("anna") };
    assert_eq!(submit(&gateway, order).await.unwrap().revision, 2);
    assert_eq!(gateway.status_of("api").await.backends[0].share, 1.0);
    assert!(candidate(&gateway, "anna").await.edits.is_empty());
    assert_eq!(refused(submit(&gateway, commit("anna")).await), Refusal::EmptyCandidate);
    let detail = gateway.handle.read(|engine| engine.revision_detail(2)).await.unwrap().unwrap();
    assert_eq!((&*detail.revision.author, &*detail.revision.source), ("anna", "198.51.100.1"));
    assert_eq!(detail.revision.origin, RevisionOrigin::Candidate);
    assert_eq!(detail.revision.message.as_deref(), Some("more weight"));
    assert_eq!(detail.diff.added, [id("api")]);
}

#[tokio::test]
async fn two_editors_see_each_other_and_contradictions_are_told_by_field() {
    let gateway = gateway().await;
    edit(&gateway, "anna", &web("[{address: 10.0.1.1, weight: 5}]")).await.unwrap();
    edit(&gateway, "bert", &web("[{address: 10.0.1.1, weight: 7}]")).await.unwrap();
    let list = gateway.handle.read(|engine| engine.candidates()).await.unwrap();
    assert_eq!(list.items.len(), 2);
    let told = &list.items[1].conflicts[0];
    assert_eq!((&*list.items[1].editor, &*told.with), ("bert", "anna"));
    assert_eq!(told.field, "spec.backends[0].weight");
    let values = [&told.base, &told.mine, &told.theirs].map(|value| value.clone().unwrap());
    assert_eq!(values, [1, 7, 5].map(serde_json::Value::from));

    submit(&gateway, commit("anna")).await.unwrap();
    let Refusal::Conflicts(conflicts) = refused(submit(&gateway, commit("bert")).await) else {
        panic!("bert overwrites anna")
    };
    assert_eq!((&*conflicts[0].with, conflicts.len()), ("running", 1));
    let check = gateway.handle.read(|engine| engine.validate_candidate("bert", None)).await;
    assert!(!check.unwrap().valid);
    assert_eq!(revision(&gateway).await, 2);

    // Whoever says which version is in force has seen it.
    let seen = web("[{address: 10.0.1.1, weight: 7}]")
        .replace("{name: web}", "{name: web, resourceVersion: \"2\"}");
    edit(&gateway, "bert", &seen).await.unwrap();
    assert_eq!(submit(&gateway, commit("bert")).await.unwrap().revision, 3);
    assert!(yaml(&gateway).await.contains("weight: 7"));
}

#[tokio::test]
async fn different_fields_of_one_object_are_put_together() {
    let gateway = gateway().await;
    edit(&gateway, "anna", &web("[{address: 10.0.1.1, weight: 5}]")).await.unwrap();
    let drain = web("[{address: 10.0.1.1}]").replace("port: 80", "port: 80\n  drainTimeout: 9s");
    edit(&gateway, "bert", &drain).await.unwrap();
    assert!(candidate(&gateway, "bert").await.conflicts.is_empty());
    submit(&gateway, commit("anna")).await.unwrap();
    let applied = submit(&gateway, commit("bert")).await.unwrap();
    let fields: Vec<_> =
        applied.diff.changed[0].fields.iter().map(|field| field.field.clone()).collect();
    assert_eq!(fields, ["spec.drainTimeout"]);
    let yaml = yaml(&gateway).await;
    assert!(yaml.contains("weight: 5") && yaml.contains("drainTimeout: 9s"), "{yaml}");
}

#[tokio::test]
async fn invalid_candidate_is_kept_and_told_and_changes_nothing() {
    let gateway = gateway().await;
    // Two services at one address and port: neither alone is wrong.
    let twin = service("twin", "192.0.2.10", "[{address: 10.0.1.2}]");
    edit(&gateway, "anna", &twin).await.unwrap();
    let check = gateway.handle.read(|engine| engine.validate_candidate("anna", None)).await;
    let check = check.unwrap();
    assert!(!check.valid && check.problems[0].text.contains("twin"), "{check:?}");
    assert!(matches!(refused(submit(&gateway, commit("anna")).await), Refusal::Invalid(_)));
    assert_eq!(revision(&gateway).await, 1);
    // It can be mended.
    edit(&gateway, "anna", &twin.replace("port: 80", "port: 81")).await.unwrap();
    assert_eq!(submit(&gateway, commit("anna")).await.unwrap().revision, 2);
}

#[tokio::test]
async fn candidates_survive_a_restart_and_are_thrown_away_on_request() {
    let gateway = gateway().await;
    edit(&gateway, "anna", &web("[{address: 10.0.1.1, weight: 5}]")).await.unwrap();
    edit(&gateway, "bert", &service("api", "192.0.2.11", "[]")).await.unwrap();
    let before = gateway.handle.read(|engine| engine.candidates()).await.unwrap();
    let (world, directory) = gateway.stop().await;
    let gateway = Gateway::start_on(world, directory).await;
    assert_eq!(gateway.handle.read(|engine| engine.candidates()).await.unwrap(), before);
    let thrown = gateway.handle.read(|engine| engine.discard("anna")).await.unwrap().unwrap();
    assert_eq!(thrown.edits.len(), 1);
    let left = gateway.handle.read(|engine| engine.candidates()).await.unwrap();
    assert_eq!(left.items.len(), 1);
    let (world, directory) = gateway.stop().await;
    let gateway = Gateway::start_on(world, directory).await;
    assert_eq!(gateway.handle.read(|engine| engine.candidates()).await.unwrap(), left);
    assert_eq!(revision(&gateway).await, 1);
}

#[tokio::test]
async fn files_are_one_source_among_several() {
    let gateway = gateway().await;
    let file = gateway.config().join("api.yaml");
    fs::write(&file, service("api", "192.0.2.11", "[{address: 10.0.1.2}]")).unwrap();
    gateway.until("the file is in force", async || revision(&gateway).await == 2).await;
    let detail = gateway.handle.read(|engine| engine.revision_detail(2)).await.unwrap().unwrap();
    assert_eq!((&*detail.revision.author, &*detail.revision.source), ("directory", "local"));
    let owned = refused(edit(&gateway, "anna", &service("api", "192.0.2.11", "[]")).await);
    assert!(owned.to_string().contains("api.yaml:1:1: change it there"), "{owned}");

    // A commit goes back without the file, which is in force again when it changes.
    submit(&gateway, Order::local(Change::Rollback { to: 1 })).await.unwrap();
    assert!(!yaml(&gateway).await.contains("name: api"));
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(revision(&gateway).await, 3);
    fs::write(&file, service("api", "192.0.2.11", "[{address: 10.0.1.3}]")).unwrap();
    gateway.until("the file is in force again", async || revision(&gateway).await == 4).await;
}

#[tokio::test]
async fn any_kept_revision_returns_as_a_new_one() {
    let gateway = gateway().await;
    let mut texts = vec![String::new(), yaml(&gateway).await];
    for weight in 2..=5 {
        let backends = format!("[{{address: 10.0.1.1, weight: {weight}}}]");
        let more = service(&format!("s{weight}"), &format!("192.0.2.{}", 20 + weight), &backends);
        gateway.apply(&(web(&backends) + &more)).await.unwrap();
        texts.push(yaml(&gateway).await);
    }
    for (number, to) in [(6, 2), (7, 5), (8, 1), (9, 4)] {
        let order = Order {
            author: author("anna"),
            message: Some(format!("back to {to}")),
            ..Order::local(Change::Rollback { to })
        };
        assert_eq!(submit(&gateway, order).await.unwrap().revision, number);
        assert_eq!(yaml(&gateway).await, texts[to as usize], "revision {to}");
        let read =
            move |engine: &mut sluice_appliance::engine::Engine| engine.revision_detail(number);
        let told = gateway.handle.read(read).await.unwrap().unwrap().revision;
        assert_eq!((told.same_as, told.origin), (Some(to), RevisionOrigin::Rollback));
        assert_eq!(told.message, Some(format!("back to {to}")));
    }
    let unknown = refused(submit(&gateway, Order::local(Change::Rollback { to: 77 })).await);
    assert_eq!(
        unknown.to_string(),
        "revision 77 is not kept: `sluice history` lists those that are, from 1 to 9"
    );
    let page = gateway.handle.read(|engine| engine.revisions(Some(9), 3)).await.unwrap().unwrap();
    let numbers: Vec<_> = page.items.iter().map(|item| item.revision).collect();
    assert_eq!((numbers, page.next), (vec![8, 7, 6], Some(6)));
}

/// A service whose backends are probed; the first answers, the second does not.
fn probed(backends: &str) -> String {
    let health = "  health: {type: tcp, interval: 100ms, timeout: 50ms, rise: 1, fall: 1}\n---\n";
    web(backends).replace("---\n", health)
}

#[tokio::test]
async fn unconfirmed_commit_returns_with_datapath_and_health_checks() {
    let gateway = gateway().await;
    gateway.answers.set("10.0.1.1", true);
    gateway.apply(&probed("[{address: 10.0.1.1}, {address: 10.0.1.2}]")).await.unwrap();
    let states = async || {
        let status = gateway.status_of("web").await;
        let shown =
            status.backends.iter().map(|backend| (backend.address.to_string(), backend.state));
        shown.filter(|(_, state)| *state != HealthState::Draining).collect::<Vec<_>>()
    };
    let probed_states =
        [("10.0.1.1".to_owned(), HealthState::Up), ("10.0.1.2".to_owned(), HealthState::Down)];
    gateway.until("both are probed", async || states().await == probed_states).await;
    let before = yaml(&gateway).await;

    // Other backends that nobody probes, another service, and no way to confirm it.
    let other =
        web("[{address: 10.0.1.3}]") + &service("api", "192.0.2.11", "[{address: 10.0.1.4}]");
    edit(&gateway, "anna", &other).await.unwrap();
    let order = Order { confirm_seconds: Some(2), ..commit("anna") };
    let pending = submit(&gateway, order).await.unwrap().pending.unwrap();
    assert_eq!((pending.revision, pending.returns_to, pending.seconds), (3, 2, 2));
    assert_eq!(gateway.status_of("api").await.backends[0].share, 1.0);
    assert_eq!(gateway.status_of("web").await.backends[0].address.to_string(), "10.0.1.3");
    // Nothing else may change meanwhile: what returns must be what was.
    let more = gateway.apply(&service("more", "192.0.2.12", "[]")).await;
    assert!(matches!(refused(more), Refusal::Unconfirmed { revision: 3, returns_to: 2, .. }));

    gateway.until("it returned", async || revision(&gateway).await == 4).await;
    assert_eq!(yaml(&gateway).await, before);
    gateway.until("both are probed again", async || states().await == probed_states).await;
    gateway
        .until("the one that answers serves alone", async || {
            gateway.status_of("web").await.backends[0].share == 1.0
        })
        .await;
    let told = gateway.events(&[EventKind::ConfigPending, EventKind::ConfigReturned]);
    assert_eq!(
        told.iter().map(|event| event.kind.as_str()).collect::<Vec<_>>(),
        ["config-pending", "config-returned"]
    );
    let history = gateway.handle.read(|engine| engine.revisions(None, 2)).await.unwrap().unwrap();
    let [back, gone] = &history.items[..] else { panic!("{history:?}") };
    assert_eq!(
        (back.same_as, back.origin, &*back.author),
        (Some(2), RevisionOrigin::NotConfirmed, "sluiced")
    );
    assert_eq!(gone.confirmation, Some(ConfirmationState::Returned));
}

#[tokio::test]
async fn confirmation_counts_over_a_new_connection_only() {
    let gateway = gateway().await;
    let (first, second) = (Connection::new(None), Connection::new(None));
    edit(&gateway, "anna", &web("[{address: 10.0.1.1, weight: 5}]")).await.unwrap();
    let order = Order { confirm_seconds: Some(600), connection: Some(first), ..commit("anna") };
    submit(&gateway, order).await.unwrap();
    let confirm = async |connection| {
        let anna = author("anna");
        let confirm = move |engine: &mut sluice_appliance::engine::Engine| {
            engine.confirm(&anna, Some(connection))
        };
        gateway.handle.read(confirm).await.unwrap()
    };
    let same = confirm(first).await.unwrap_err();
    assert!(matches!(same, ChangeError::Refused(Refusal::SameConnection)), "{same}");
    // A file that changes meanwhile waits.
    fs::write(gateway.config().join("api.yaml"), service("api", "192.0.2.11", "[]")).unwrap();
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(revision(&gateway).await, 2);
    let confirmed = confirm(second).await.unwrap();
    assert_eq!(
        (confirmed.revision, confirmed.confirmation),
        (2, Some(ConfirmationState::Confirmed))
    );
    let nothing = confirm(second).await.unwrap_err();
    assert!(matches!(nothing, ChangeError::Refused(Refusal::NothingPending)), "{nothing}");
    gateway.until("the file is in force", async || revision(&gateway).await == 3).await;
}

#[tokio::test]
async fn timer_of_a_commit_goes_on_over_a_restart() {
    let gateway = gateway().await;
    let before = yaml(&gateway).await;
    edit(&gateway, "anna", &web("[{address: 10.0.1.1, weight: 5}]")).await.unwrap();
    submit(&gateway, Order { confirm_seconds: Some(4), ..commit("anna") }).await.unwrap();
    let began = std::time::Instant::now();
    let (world, directory) = gateway.stop().await;
    let gateway = Gateway::start_on(world, directory).await;
    let pending = gateway.handle.read(|engine| engine.confirmation()).await.unwrap().pending;
    let pending = pending.expect("it still waits");
    assert!((1..=4).contains(&pending.seconds_left), "{pending:?}");
    assert_eq!(revision(&gateway).await, 2);
    gateway.until("it returned", async || revision(&gateway).await == 3).await;
    assert!(began.elapsed() >= Duration::from_millis(3900), "after {:?}", began.elapsed());
    assert_eq!(yaml(&gateway).await, before);
}

#[tokio::test]
async fn deadline_that_passed_while_the_daemon_was_away_counts_at_its_start() {
    let gateway = gateway().await;
    let before = yaml(&gateway).await;
    edit(&gateway, "anna", &web("[{address: 10.0.1.1, weight: 5}]")).await.unwrap();
    submit(&gateway, Order { confirm_seconds: Some(1), ..commit("anna") }).await.unwrap();
    let (world, directory) = gateway.stop().await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    // The daemon is ready only when it has returned.
    let gateway = Gateway::start_on(world, directory).await;
    assert_eq!((revision(&gateway).await, yaml(&gateway).await), (3, before));
    assert!(gateway.handle.read(|engine| engine.confirmation()).await.unwrap().pending.is_none());
}

const DENYING: &str = "apiVersion: sluice.dev/v1\nkind: Prefilter\nmetadata: {name: block}\n\
    spec: {deny: [198.51.100.0/24, 203.0.113.0/24]}\n---\n";

fn from_afar(change: Change) -> Order {
    let session: SessionEnds = "203.0.113.7 50000 192.0.2.1 22".parse().unwrap();
    Order { session: Some(session), ..Order::local(change) }
}

fn apply(yaml: &str) -> Order {
    from_afar(Change::Apply(parse("test", yaml).unwrap()))
}

#[tokio::test]
async fn change_that_cuts_its_own_session_off_is_refused_with_a_warning_that_names_it() {
    let gateway = gateway().await;
    let Refusal::Warned(warnings) = refused(submit(&gateway, apply(DENYING)).await) else {
        panic!("no warning")
    };
    assert_eq!((&*warnings[0].object, &*warnings[0].field), ("Prefilter/block", "spec.deny[1]"));
    assert!(
        warnings[0].message.contains("203.0.113.7, from which this session comes"),
        "{warnings:?}"
    );
    assert!(warnings[0].message.contains("allow 203.0.113.7/32"), "{warnings:?}");
    // The way out that it names.
    let allowing = DENYING.replace("24]}", "24], allow: [203.0.113.7/32]}");
    assert!(submit(&gateway, apply(&allowing)).await.unwrap().warnings.is_empty());

    let taking =
        service("ssh", "192.0.2.1", "[{address: 10.0.1.1}]").replace("port: 80", "port: 20-30");
    let Refusal::Warned(warnings) = refused(submit(&gateway, apply(&taking)).await) else {
        panic!("no warning")
    };
    assert_eq!((&*warnings[0].object, &*warnings[0].field), ("Service/ssh", "spec.address"));
    assert!(warnings[0].message.contains("203.0.113.7:50000"), "{warnings:?}");
    assert_eq!(revision(&gateway).await, 2);
    let accepted = Order { accept_warnings: true, ..apply(&taking) };
    assert_eq!(submit(&gateway, accepted).await.unwrap().warnings, warnings);
    // What is so already is no reason to refuse the next change.
    let next = submit(&gateway, apply(&web("[{address: 10.0.1.2}]"))).await.unwrap();
    assert!(next.warnings.is_empty());
    // Not the port of the session, and a session on this machine itself.
    let other = service("other", "192.0.2.1", "[]");
    assert!(submit(&gateway, apply(&other)).await.unwrap().warnings.is_empty());
    let local =
        Order { session: Some("127.0.0.1 50000 127.0.0.1 22".parse().unwrap()), ..apply(DENYING) };
    assert!(submit(&gateway, local).await.unwrap().warnings.is_empty());
}

#[tokio::test]
async fn candidates_imports_and_rollbacks_warn_too() {
    let gateway = gateway().await;
    submit(&gateway, Order { accept_warnings: true, ..apply(DENYING) }).await.unwrap();
    submit(&gateway, from_afar(Change::Rollback { to: 1 })).await.unwrap();
    let back = submit(&gateway, from_afar(Change::Rollback { to: 2 })).await;
    assert!(matches!(refused(back), Refusal::Warned(_)));
    // An edit only tells; the commit is refused.
    let edited = submit(&gateway, Order { to_candidate: true, ..apply(DENYING) }).await.unwrap();
    assert_eq!(edited.warnings.len(), 1);
    let commit = submit(&gateway, from_afar(Change::Candidate)).await;
    assert!(matches!(refused(commit), Refusal::Warned(_)));
    let all = yaml(&gateway).await + "---\n" + DENYING;
    let objects = parse("test", &all).unwrap();
    let import = from_afar(Change::Replace { objects, origin: RevisionOrigin::Import });
    assert!(matches!(refused(submit(&gateway, import).await), Refusal::Warned(_)));
    assert_eq!(revision(&gateway).await, 3);
}
