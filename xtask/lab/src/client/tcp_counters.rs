//! What the client's kernel counted: a lost packet shows here even when TCP mended it.

use std::fs;

use anyhow::{Context, Result};

use crate::topology::Namespace;

/// How many SYNs had to be sent again. A busy machine alone delays no answer for the second that this takes.
pub(crate) fn repeated_syns(client: &Namespace) -> Result<u64> {
    client.enter(|| {
        let text = fs::read_to_string("/proc/thread-self/net/netstat")
            .context("cannot read TCP's counters")?;
        counter(&text, "TcpExt", "TCPSynRetrans").context("the kernel does not count repeated SYNs")
    })
}

/// The file has a line of names and a line of numbers for each protocol.
fn counter(text: &str, protocol: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(protocol)?.strip_prefix(": "));
    let index = lines.next()?.split(' ').position(|other| other == name)?;
    lines.next()?.split(' ').nth(index)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_found_by_its_name() {
        let text =
            "TcpExt: SyncookiesSent TCPSynRetrans\nTcpExt: 7 12\nIpExt: InOctets\nIpExt: 5\n";
        assert_eq!(counter(text, "TcpExt", "TCPSynRetrans"), Some(12));
        assert_eq!(counter(text, "IpExt", "InOctets"), Some(5));
        assert_eq!(counter(text, "TcpExt", "Other"), None);
    }
}
