//! What the kernels of the far ends counted: a lost packet shows here even when TCP mended it.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::topology::Namespace;

/// How many SYNs had to be sent again. A busy machine alone delays no answer for the second that this takes.
pub(crate) fn repeated_syns(client: &Namespace) -> Result<u64> {
    client.enter(|| sum("netstat", "TcpExt", &["TCPSynRetrans"]))
}

/// How many segments had to be sent again and were not there already. What a busy machine sends again although nothing
/// was lost, the other side acknowledges as a duplicate (RFC 2883).
pub(crate) fn lost_segments(namespace: &Namespace) -> Result<i64> {
    let (again, duplicates) = namespace.enter(|| {
        let again = sum("snmp", "Tcp", &["RetransSegs"])?;
        let duplicates = sum("netstat", "TcpExt", &["TCPDSACKRecv", "TCPDSACKOfoRecv"])?;
        Ok((again, duplicates))
    })?;
    Ok(again.cast_signed() - duplicates.cast_signed())
}

/// Counters of the calling thread's namespace.
fn sum(file: &str, protocol: &str, names: &[&str]) -> Result<u64> {
    let text = fs::read_to_string(Path::new("/proc/thread-self/net").join(file))
        .context("cannot read TCP's counters")?;
    let of = |name: &&str| {
        counter(&text, protocol, name)
            .with_context(|| format!("the kernel does not count {protocol} {name}"))
    };
    names.iter().map(of).sum()
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
