//! Prefixes: no host bits.

use crate::problem::Problem;
use crate::values::Prefix;

/// What is wrong with a prefix by itself.
pub(super) fn malformed(prefix: Prefix) -> Option<Problem> {
    prefix.has_host_bits().then(|| {
        let net = prefix.net();
        let host = ipnet::IpNet::from(net.addr());
        Problem::new(format!("{prefix} has bits set beyond /{}", net.prefix_len())).with_hint(
            format!("write {} for the prefix, or {host} for the one address", prefix.truncated()),
        )
    })
}
