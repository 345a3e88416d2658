//! What the service manager is told: that the daemon is ready, that it lives, that it ends. The protocol is sd_notify(3):
//! datagrams to the socket that `NOTIFY_SOCKET` names. Without that variable nobody is told.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::{debug, warn};

use crate::engine::Handle;

const READY: &str = "READY=1";
const ALIVE: &str = "WATCHDOG=1";
const STOPPING: &str = "STOPPING=1";
/// How often in the watchdog's time the engine is asked: one late answer is no reason to be killed.
const BEATS: u32 = 4;

/// Whoever started the daemon, if it wants to be told.
#[derive(Clone, Debug)]
pub struct Supervisor {
    address: Option<SocketAddr>,
    watchdog: Option<Duration>,
}

impl Supervisor {
    /// Out of the variables `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`.
    pub fn of_environment() -> Self {
        let address = env::var_os("NOTIFY_SOCKET").and_then(|name| {
            address(&name)
                .inspect_err(
                    |error| warn!(%error, "NOTIFY_SOCKET names no socket that can be used"),
                )
                .ok()
        });
        let number = |name| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        let is_meant = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|_| is_meant).map(Duration::from_micros);
        Self { address, watchdog }
    }

    /// Says that the daemon is ready, once the engine has taken over what runs and done what the last configuration says;
    /// then again and again that it lives, as long as the engine answers. Never returns.
    pub async fn accompany(&self, engine: Handle) {
        if let Err(error) = engine.read(|_| ()).await {
            debug!(%error, "the engine ended before it was ready");
        } else {
            self.tell(READY);
        }
        if self.address.is_none() {
            return std::future::pending().await;
        }
        let Some(limit) = self.watchdog else { return std::future::pending().await };
        let mut beat = interval(limit / BEATS);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            beat.tick().await;
            match timeout(limit / 2, engine.read(|_| ())).await {
                Ok(Ok(())) => self.tell(ALIVE),
                Ok(Err(error)) => debug!(%error, "the engine is gone"),
                Err(_) => {
                    warn!(?limit, "the engine does not answer: nobody is told that it lives");
                }
            }
        }
    }

    /// The daemon is about to end.
    pub fn stopping(&self) {
        self.tell(STOPPING);
    }

    fn tell(&self, state: &str) {
        let Some(address) = &self.address else { return };
        let told = UnixDatagram::unbound()
            .and_then(|socket| socket.send_to_addr(state.as_bytes(), address));
        if let Err(error) = told {
            warn!(%error, state, "the service manager cannot be told");
        }
    }
}

/// A path, or with `@` in front a name of the abstract namespace.
fn address(name: &OsStr) -> io::Result<SocketAddr> {
    match name.as_bytes().split_first() {
        Some((b'@', rest)) => SocketAddr::from_abstract_name(rest),
        Some((b'/', _)) => SocketAddr::from_pathname(name),
        _ => {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "neither a path nor an abstract name"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 64];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    #[test]
    fn the_service_manager_is_told_by_path_and_by_abstract_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let abstract_name = format!("@sluice-test-{}", process::id());
        for name in [path.as_os_str(), OsStr::new(&abstract_name)] {
            let address = address(name).unwrap();
            let socket = UnixDatagram::bind_addr(&address).unwrap();
            let supervisor = Supervisor { address: Some(address), watchdog: None };
            supervisor.tell(READY);
            assert_eq!(heard(&socket), "READY=1");
            supervisor.stopping();
            assert_eq!(heard(&socket), "STOPPING=1");
        }
    }

    #[test]
    fn a_name_that_is_no_socket_is_refused() {
        assert!(address(OsStr::new("relative/path")).is_err());
        assert!(address(OsStr::new("")).is_err());
    }
}
