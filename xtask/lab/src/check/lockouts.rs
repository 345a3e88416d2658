//! The administrator is locked out: by a commit that nobody can confirm from where it was made. Everything returns.

use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::client::{get_from, run_in};
use crate::laboratory::Laboratory;
use crate::plan::{BACKENDS, CLIENT_SUBNET, Family, LOAD_SOURCES_V4, SERVICES};
use crate::report::Report;

/// Where the administrator's secure shell listens on the gateway.
const MANAGEMENT_PORT: u16 = 2222;
/// Time for the confirmation. Short, but longer than it takes to see that nobody can connect.
const CONFIRM: Duration = Duration::from_secs(6);
/// How long the administrator tries to connect: a SYN and two more.
const PATIENCE: Duration = Duration::from_millis(1500);
/// The engine looks at the time every second, and a SYN that was lost is sent again.
const RETURN_PATIENCE: Duration = Duration::from_secs(10);
/// The object that locks out.
const NAME: &str = "lock-out";

pub(super) fn check(lab: &mut Laboratory<'_>, report: &mut Report) -> Result<()> {
    let address: IpAddr = CLIENT_SUBNET.gateway_v4().into();
    let management = SocketAddr::new(address, MANAGEMENT_PORT);
    // The kernel answers for it until nobody listens: that is all that a new session needs.
    let shell = lab.topology.gateway.enter(|| {
        TcpListener::bind(management).context("cannot listen on the management address")
    })?;
    let drills: [(&str, &str, Drill); 3] = [
        ("locked out by a service on the management address", "Service", waits_it_out),
        ("locked out by a prefilter that denies the administrator", "Prefilter", waits_it_out),
        (
            "locked out by a daemon that dies while the administrator is locked out",
            "Prefilter",
            survives_a_kill,
        ),
    ];
    for (name, kind, drill) in drills {
        let mut session = Session { lab, management, object: object(kind, management) };
        let outcome = drill(&mut session);
        report.check(name, outcome);
        lab.daemon.start_again()?;
    }
    let mut session = Session { lab, management, object: harmless() };
    let outcome = confirmed(&mut session);
    report.check("confirmed commit stays", outcome);
    let _ = lab.daemon.sluice().call(&["delete", "prefilter", NAME]);
    drop(shell);
    Ok(())
}

type Drill = fn(&mut Session<'_, '_>) -> Result<String>;

/// What locks the administrator out.
fn object(kind: &str, management: SocketAddr) -> String {
    let spec = match kind {
        "Prefilter" => format!("{{deny: [{}/32]}}", CLIENT_SUBNET.far_v4()),
        _ => {
            let backend = BACKENDS[0].address(Family::V4);
            let (address, port) = (management.ip(), management.port());
            format!(
                "{{address: {address}, protocol: TCP, port: {port}, mode: dsr, backends: [{{address: {backend}}}]}}"
            )
        }
    };
    format!(
        "{{apiVersion: sluice.dev/v1, kind: {kind}, metadata: {{name: {NAME}}}, spec: {spec}}}\n"
    )
}

/// Documentation addresses (RFC 5737), which nobody here has.
fn harmless() -> String {
    format!(
        "{{apiVersion: sluice.dev/v1, kind: Prefilter, metadata: {{name: {NAME}}}, spec: {{deny: [203.0.113.0/24]}}}}\n"
    )
}

/// The administrator on the client's machine, signed in to the gateway by secure shell.
struct Session<'a, 'site> {
    lab: &'a mut Laboratory<'site>,
    management: SocketAddr,
    object: String,
}

impl Session<'_, '_> {
    /// A new session: whether one can be begun.
    fn connect(&self) -> Result<TcpStream> {
        self.lab.topology.client.enter(|| {
            TcpStream::connect_timeout(&self.management, PATIENCE).context("cannot connect")
        })
    }

    /// Prepares the object and commits it from within a session; returns when it was in force.
    fn commit(&self) -> Result<Instant> {
        let session = self.connect().context("before the commit")?;
        let (peer, local) = (session.local_addr()?, self.management);
        let connection = format!("{} {} {} {}", peer.ip(), peer.port(), local.ip(), local.port());
        let sluice = self.lab.daemon.sluice();
        sluice.prepare(&self.object)?;
        let seconds = CONFIRM.as_secs().to_string();
        let commit = ["commit", "-m", "drill", "--confirm", &seconds];
        // It does not happen without a word.
        match sluice.call_from(&connection, &commit) {
            Ok(_) => bail!("the commit cuts off its own session and nobody warned"),
            Err(error) => {
                let text = format!("{error:#}");
                if !(text.contains(&peer.ip().to_string()) && text.contains(NAME)) {
                    bail!("the warning names neither session nor object: {text}");
                }
            }
        }
        self.connect().context("after the refused commit")?;
        sluice.call_from(&connection, &[&commit[..], &["--accept-warnings"]].concat())?;
        Ok(Instant::now())
    }

    fn locked_out(&self) -> Result<()> {
        match self.connect() {
            Ok(_) => bail!("the administrator is not locked out: the drill shows nothing"),
            Err(_) => Ok(()),
        }
    }

    /// Returns how long after the commit a new session could be begun.
    fn back(&self, committed: Instant) -> Result<Duration> {
        let back = self.lab.stop.wait_for(RETURN_PATIENCE, "the administrator is back", || {
            Ok(self.connect().ok().map(|_| committed.elapsed()))
        })?;
        let history = self.lab.daemon.sluice().call(&["history", "-n", "1"])?;
        if !history.contains("not-confirmed") {
            bail!("the history does not say why: {history}");
        }
        Ok(back)
    }
}

fn waits_it_out(session: &mut Session<'_, '_>) -> Result<String> {
    let committed = session.commit()?;
    session.locked_out()?;
    let served = first_service(session.lab)?;
    let back = session.back(committed)?;
    if back < CONFIRM - Duration::from_secs(1) {
        bail!("back {} ms after the commit: before the time was over", back.as_millis());
    }
    Ok(format!(
        "no session for {} s, {served}; back {} ms after the commit",
        CONFIRM.as_secs(),
        back.as_millis()
    ))
}

/// The time is over while no daemon runs, and the programs in the kernel go on keeping the administrator out.
fn survives_a_kill(session: &mut Session<'_, '_>) -> Result<String> {
    let committed = session.commit()?;
    session.lab.daemon.kill()?;
    session.lab.stop.sleep(CONFIRM.saturating_sub(committed.elapsed()))?;
    session.locked_out().context("while no daemon runs")?;
    let ready = session.lab.daemon.start()?;
    // Whoever is told that the daemon is ready can begin a session.
    session.connect().context("after the start")?;
    session.back(committed)?;
    Ok(format!("back when the daemon is: {} ms after its start", ready.as_millis()))
}

fn confirmed(session: &mut Session<'_, '_>) -> Result<String> {
    let sluice = session.lab.daemon.sluice();
    sluice.prepare(&session.object)?;
    sluice.call(&["commit", "--confirm", "2"])?;
    sluice.call(&["confirm"])?;
    session.lab.stop.sleep(Duration::from_secs(4))?;
    let history = session.lab.daemon.sluice().call(&["history", "-n", "1"])?;
    if !history.trim_end().ends_with("  confirmed") {
        bail!("it did not stay: {history}");
    }
    Ok("2 s after its time it is in force".to_owned())
}

/// Other clients' services go on meanwhile; the prefilter denies one address of the client only.
fn first_service(lab: &Laboratory<'_>) -> Result<String> {
    let service =
        SERVICES.iter().find(|service| service.address.is_ipv4()).context("no IPv4 service")?;
    let source = SocketAddr::new(LOAD_SOURCES_V4[0], 0);
    let target = service.socket_address();
    let answer = run_in(&lab.topology.client, || get_from(source, target, "/", PATIENCE))??;
    Ok(format!("others are served by {}", answer.backend))
}
