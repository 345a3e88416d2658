//! Every number that bounds a configuration, in one place.

use std::time::Duration;

/// Services in one configuration.
pub const SERVICES: usize = 10_000;
/// Backends of one service.
pub const BACKENDS_PER_SERVICE: usize = 4096;
/// Backends of all services together.
pub const BACKENDS: usize = 100_000;
/// Prefixes of all prefilters together, IPv4 and IPv6, deny and allow.
pub const PREFIXES: usize = 1_000_000;
/// Entries of `allowedSources` of one service.
pub const ALLOWED_SOURCES_PER_SERVICE: usize = 1024;
/// Services with a port range on one virtual address and protocol.
pub const PORT_RANGES_PER_ADDRESS: usize = 4096;
/// NAT pools of the gateway.
pub const NAT_POOLS: usize = 16;
/// Addresses of all NAT pools together.
pub const NAT_POOL_ADDRESSES: usize = 64;
/// Links of the gateway.
pub const LINKS: usize = 256;
/// The largest weight of a backend.
pub const MAX_WEIGHT: u16 = 1000;
/// Characters of an object's name: one DNS label (RFC 1035, section 2.3.4).
pub const NAME_LENGTH: usize = 63;
/// Bytes of a link's name: the kernel's `IFNAMSIZ` less the closing zero.
pub const LINK_NAME_LENGTH: usize = 15;
/// Labels of one object.
pub const LABELS: usize = 64;
/// Bytes of a label's key or value.
pub const LABEL_LENGTH: usize = 253;

/// Smallest and largest `capacity.rememberedFlows`.
pub const REMEMBERED_FLOWS: (u32, u32) = (1024, 4_194_304);
/// Smallest and largest `capacity.fragments`.
pub const FRAGMENTS: (u32, u32) = (256, 1_048_576);

/// The longest `drainTimeout`; 0 moves the flows at once.
pub const MAX_DRAIN_TIMEOUT: Duration = Duration::from_hours(7 * 24);
/// Shortest and longest `idleTimeout`.
pub const IDLE_TIMEOUT: (Duration, Duration) =
    (Duration::from_secs(1), Duration::from_hours(7 * 24));
/// Shortest and longest `health.interval`.
pub const HEALTH_INTERVAL: (Duration, Duration) =
    (Duration::from_millis(100), Duration::from_hours(1));
/// The shortest `health.timeout`; it must also be shorter than the interval.
pub const MIN_HEALTH_TIMEOUT: Duration = Duration::from_millis(10);
/// Largest `health.rise` and `health.fall`; the smallest is 1.
pub const MAX_HEALTH_COUNT: u16 = 100;
/// Bytes of `health.send` and `health.expect`: one datagram that no link fragments.
pub const PROBE_BYTES: usize = 1024;
/// Bytes of `health.path` and `health.expectBody`.
pub const HEALTH_TEXT_LENGTH: usize = 1024;
