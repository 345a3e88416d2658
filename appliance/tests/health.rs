//! The monitor against real servers on loopback.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it fails")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use nix::time::{ClockId, clock_gettime};
use sluice_appliance::health::{BackendKey, Check, Monitor, NetworkProber, Prober, Verdict};
use sluice_model::{Health, Name, Port};
use tokio::net::TcpListener;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{sleep, timeout};

fn key(service: &str, target: SocketAddr) -> BackendKey {
    BackendKey {
        service: Name::new(service).unwrap(),
        address: target.ip(),
        port: Port::new(target.port()),
    }
}

fn check(target: SocketAddr, yaml: &str) -> Check {
    let health: Health = serde_saphyr::from_str(yaml).unwrap();
    Check { target, health: Arc::new(health) }
}

async fn wait_for(
    monitor: &Monitor,
    changes: &mut UnboundedReceiver<BackendKey>,
    key: &BackendKey,
    verdict: Verdict,
) {
    let reached = async {
        while monitor.report(key).unwrap().verdict != verdict {
            changes.recv().await.unwrap();
        }
    };
    timeout(Duration::from_secs(5), reached)
        .await
        .unwrap_or_else(|_| panic!("{key} did not become {verdict:?}"));
}

const FAST: &str = "{type: tcp, interval: 20ms, timeout: 10ms, rise: 2, fall: 3}";

#[tokio::test]
async fn backend_goes_up_and_down_with_its_server() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = listener.local_addr().unwrap();
    let key = key("web", target);
    let (mut monitor, mut changes) = Monitor::new(8, Arc::new(NetworkProber));
    monitor.set(vec![(key.clone(), check(target, FAST))], |_| Verdict::Unknown);
    assert_eq!(monitor.report(&key).unwrap().verdict, Verdict::Unknown);
    wait_for(&monitor, &mut changes, &key, Verdict::Up).await;

    drop(listener);
    wait_for(&monitor, &mut changes, &key, Verdict::Down).await;
    let error = monitor.report(&key).unwrap().last_error.unwrap();
    assert_eq!(error, format!("connect to {target}: connection refused"));

    let _listener = TcpListener::bind(target).await.unwrap();
    wait_for(&monitor, &mut changes, &key, Verdict::Up).await;
    assert_eq!(monitor.report(&key).unwrap().last_error, None);
}

#[tokio::test]
async fn state_from_before_a_restart_stays_until_results_contradict_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = listener.local_addr().unwrap();
    let key = key("web", target);
    let (mut monitor, mut changes) = Monitor::new(8, Arc::new(NetworkProber));
    monitor.set(vec![(key.clone(), check(target, FAST))], |_| Verdict::Down);
    assert_eq!(monitor.report(&key).unwrap().verdict, Verdict::Down);
    wait_for(&monitor, &mut changes, &key, Verdict::Up).await;
}

#[tokio::test]
async fn changing_one_check_leaves_the_others_alone() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = listener.local_addr().unwrap();
    let (kept, changed, removed) =
        (key("kept", target), key("changed", target), key("removed", target));
    let (mut monitor, mut changes) = Monitor::new(8, Arc::new(NetworkProber));
    let all = |yaml: &str| {
        vec![(kept.clone(), check(target, FAST)), (changed.clone(), check(target, yaml))]
    };
    let mut first = all(FAST);
    first.push((removed.clone(), check(target, FAST)));
    monitor.set(first, |_| Verdict::Unknown);
    for key in [&kept, &changed, &removed] {
        wait_for(&monitor, &mut changes, key, Verdict::Up).await;
    }
    let since = monitor.report(&kept).unwrap().since;

    monitor.set(all("{type: tcp, interval: 1h, timeout: 1s}"), |_| Verdict::Unknown);
    assert_eq!(monitor.len(), 2);
    assert_eq!(monitor.report(&removed), None);
    assert_eq!(monitor.report(&kept).unwrap().since, since);
    assert_eq!(
        monitor.report(&changed).unwrap().verdict,
        Verdict::Up,
        "what is known survives the change"
    );
}

/// Answers every probe, and counts them.
#[derive(Default)]
struct Counting(AtomicUsize);

impl Prober for Counting {
    fn probe<'a>(&'a self, _: &'a Check) -> BoxFuture<'a, Result<(), String>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Box::pin(std::future::ready(Ok(())))
    }
}

#[tokio::test]
async fn removed_checks_stop_probing() {
    let target = "192.0.2.1:80".parse().unwrap();
    let key = key("web", target);
    let prober = Arc::new(Counting::default());
    let (mut monitor, mut changes) = Monitor::new(8, prober.clone());
    monitor.set(vec![(key.clone(), check(target, FAST))], |_| Verdict::Unknown);
    wait_for(&monitor, &mut changes, &key, Verdict::Up).await;
    monitor.set(Vec::new(), |_| Verdict::Unknown);
    let before = prober.0.load(Ordering::Relaxed);
    sleep(Duration::from_millis(100)).await;
    assert_eq!(prober.0.load(Ordering::Relaxed), before);
}

/// The CPU time of this thread: on a busy machine the time on the wall says nothing of the work.
fn cpu_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap().into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_checks_are_cheap() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = listener.local_addr().unwrap();
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = accepted.clone();
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    let check = check(target, "{type: tcp, interval: 1h, timeout: 1s}");
    let checks: Vec<_> =
        (0..10_000).map(|n| (key(&format!("s{n}"), target), check.clone())).collect();
    let (mut monitor, mut changes) = Monitor::new(256, Arc::new(NetworkProber));
    let started = cpu_time();
    monitor.set(checks.clone(), |_| Verdict::Unknown);
    let setting = cpu_time() - started;
    assert!(setting < Duration::from_secs(2), "10,000 checks took {setting:?} to start");
    let all = async {
        for _ in 0..10_000 {
            changes.recv().await.unwrap();
        }
    };
    timeout(Duration::from_secs(60), all).await.expect("each check finds its backend");

    let started = cpu_time();
    monitor.set(checks, |_| Verdict::Unknown);
    let setting = cpu_time() - started;
    assert!(setting < Duration::from_secs(1), "the same checks again took {setting:?}");
    sleep(Duration::from_millis(50)).await;
    let probes = accepted.load(Ordering::Relaxed);
    assert!(probes <= 10_000, "unchanged checks were restarted: {probes} probes");
}
