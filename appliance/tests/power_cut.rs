//! The power is cut, or the process killed, while a change is written: afterwards there is the old revision or the new.
//! `SLUICE_LONG=1` kills a thousand times.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it fails")]

mod common;

use std::env;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::disk::{Disk, Reached};
use common::{GATEWAY, Gateway, service, world};
use rand::RngExt;
use sluice_appliance::engine::ChangeError;
use sluice_appliance::store::{Author, Change, Order, Snapshot, Store};
use sluice_appliance::wire::Applied;
use sluice_model::parse;

fn open(disk: &Disk) -> Result<Store, sluice_appliance::store::StoreError> {
    let disk = disk.clone();
    Store::open_on(move || disk.clone())
}

/// Objects that are different for each number.
fn objects(number: u64) -> String {
    let backends = format!("[{{address: 10.0.1.1}}, {{address: 10.0.1.{}}}]", number % 8 + 2);
    let label = format!("{{name: web, labels: {{number: \"{number}\"}}}}");
    let web = service("web", "192.0.2.10", &backends).replace("{name: web}", &label);
    let other = number % 5;
    web + &service(&format!("s{other}"), &format!("192.0.2.{}", 20 + other), "[]")
}

/// Everything that a change writes: objects, history, a candidate that ends, a commit that waits.
async fn change(gateway: &Gateway, number: u64) -> Result<Applied, ChangeError> {
    let parsed = parse("test", &objects(number)).unwrap();
    let order = Order { to_candidate: true, ..Order::local(Change::Apply(parsed)) };
    gateway.handle.submit(order).await?;
    let order = Order {
        message: Some(format!("number {number}")),
        confirm_seconds: number.is_multiple_of(3).then_some(600),
        ..Order::local(Change::Candidate)
    };
    let applied = gateway.handle.submit(order).await?;
    if applied.pending.is_some() {
        let author = Author::local("root");
        gateway.handle.read(move |engine| engine.confirm(&author, None)).await.unwrap()?;
    }
    Ok(applied)
}

/// Whether everything that is kept fits together; returns it.
fn check(store: &Store) -> Snapshot {
    let snapshot = store.load().unwrap();
    let newest = snapshot.desired.revision;
    let history = store.revisions(u64::MAX, 2000).unwrap();
    let numbers: Vec<_> = history.iter().map(|revision| revision.revision).collect();
    assert_eq!(numbers, (1..=newest).rev().collect::<Vec<_>>(), "a revision is missing");
    // The way back fits, all the way: each revision has what its diff says.
    let mut after = store.objects_of(&snapshot.desired, newest).unwrap().unwrap();
    assert_eq!(after, {
        let mut objects = sluice_model::objects::Objects::new();
        for (_, entry) in snapshot.desired.objects.iter() {
            objects.replace(entry.object.clone(), entry.source.clone(), None);
        }
        objects
    });
    for number in (0..newest).rev() {
        let before = store.objects_of(&snapshot.desired, number).unwrap().unwrap();
        let detail = store.revision(number + 1).unwrap().unwrap();
        assert_eq!(before.diff(&after), detail.diff, "revision {}", number + 1);
        after = before;
    }
    if let Some(pending) = &snapshot.pending {
        assert_eq!((pending.revision, pending.returns_to), (newest, newest - 1));
    }
    snapshot
}

#[tokio::test]
async fn power_cut_at_every_write_leaves_the_old_or_the_new_revision() {
    let disk = Disk::default();
    {
        let gateway = Gateway::start_with_store(open(&disk).unwrap()).await;
        gateway.apply(GATEWAY).await.unwrap();
        for number in 1..=3 {
            change(&gateway, number).await.unwrap();
        }
        gateway.stop().await;
    }
    let (mut cuts, mut outcomes) = (0, [0; 2]);
    loop {
        let twin = disk.twin();
        let gateway = Gateway::start_with_store(open(&twin).unwrap()).await;
        twin.cut_at(cuts + 1);
        // The candidate, the commit and its confirmation are three transactions.
        let done = change(&gateway, 6).await;
        if !twin.is_cut() {
            done.unwrap();
            break;
        }
        drop(gateway);
        cuts += 1;
        for reached in Reached::ALL {
            let back = twin.after_cut(reached);
            let store =
                open(&back).unwrap_or_else(|error| panic!("cut {cuts}, {reached:?}: {error}"));
            let snapshot = check(&store);
            let revision = snapshot.desired.revision;
            assert!((4..=5).contains(&revision), "cut {cuts}, {reached:?}: revision {revision}");
            outcomes[revision as usize - 4] += 1;
            // What belongs together is there together.
            let is_new = revision == 5;
            if is_new {
                assert!(snapshot.candidates.is_empty(), "cut {cuts}, {reached:?}");
            } else {
                assert!(snapshot.pending.is_none(), "cut {cuts}, {reached:?}");
            }
            // And it goes on.
            drop(store);
            let gateway = Gateway::start_with_store(open(&back).unwrap()).await;
            if let Some(pending) = snapshot.pending {
                let author = Author::local("root");
                let confirmed = gateway.handle.read(move |engine| engine.confirm(&author, None));
                assert_eq!(confirmed.await.unwrap().unwrap().revision, pending.revision);
            }
            change(&gateway, 7).await.unwrap();
            gateway.stop().await;
            check(&open(&back).unwrap());
        }
    }
    println!("{cuts} cuts: {} times the old revision, {} times the new", outcomes[0], outcomes[1]);
    assert!(cuts > 20 && outcomes.iter().all(|count| *count > 0), "{cuts} cuts: {outcomes:?}");
}

/// What the killed process is told.
const VICTIM: &str = "SLUICE_TEST_VICTIM";

#[test]
fn kill_during_commits_leaves_the_old_or_the_new_revision() {
    if let Some(directory) = env::var_os(VICTIM) {
        commit_until_killed(Path::new(&directory));
    }
    let kills = if env::var_os("SLUICE_LONG").is_some() { 1000 } else { 50 };
    let mut directory = tempfile::tempdir().unwrap();
    let (mut random, mut newest, mut commits) = (rand::rng(), 0, 0);
    let (mut edited, mut ahead, mut lives) = (0, 0, 1);
    for kill in 0..kills {
        let mut victim = Command::new(env::current_exe().unwrap())
            .args([
                "--exact",
                "kill_during_commits_leaves_the_old_or_the_new_revision",
                "--nocapture",
            ])
            .env(VICTIM, directory.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let lines = BufReader::new(victim.stdout.take().unwrap()).lines();
        let mut lines = lines.map(Result::unwrap).filter_map(|line| {
            let revision = line.strip_prefix("committed ")?;
            Some(revision.parse::<u64>().unwrap())
        });
        let mut told = lines.next().expect("the process commits");
        let began = Instant::now();
        told = lines.next().expect("the process goes on committing").max(told);
        // Any moment of a change is as likely as any other, however fast the machine is.
        let change = began.elapsed().as_secs_f64();
        std::thread::sleep(Duration::from_secs_f64(random.random_range(0.0..1.5 * change)));
        victim.kill().unwrap();
        victim.wait().unwrap();
        told = lines.last().unwrap_or(told);
        let snapshot = check(&Store::open(directory.path()).unwrap());
        let found = snapshot.desired.revision;
        assert!(
            found == told || found == told + 1,
            "kill {kill}: {told} was committed, {found} is there"
        );
        edited += usize::from(!snapshot.candidates.is_empty());
        ahead += usize::from(found > told);
        commits += found - newest;
        newest = found;
        // The check of all of the history grows with it.
        if newest > 60 {
            (directory, newest) = (tempfile::tempdir().unwrap(), 0);
            lives += 1;
        }
    }
    println!(
        "{kills} kills during {commits} commits in {lives} databases: {edited} between an edit and its commit, {ahead} \
         between a commit and the word of it"
    );
    assert!(edited > 0 && commits >= 2 * kills, "{edited} edits, {commits} commits");
}

/// Commits, and tells of each revision that is in force.
fn commit_until_killed(directory: &Path) -> ! {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let gateway = Gateway::start_with_state(world(), directory).await;
        let confirm = |engine: &mut sluice_appliance::engine::Engine| {
            engine.confirm(&Author::local("root"), None).is_ok()
        };
        gateway.handle.read(confirm).await.unwrap();
        let mut number = u64::from(rand::random::<u32>());
        gateway.apply(GATEWAY).await.unwrap();
        loop {
            number += 1;
            let applied = change(&gateway, number).await.unwrap();
            println!("committed {}", applied.revision);
        }
    })
}
