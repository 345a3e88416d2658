//! The figures that the gateway is to reach, and what others need for the same.

/// One of them.
pub struct Goal {
    /// What.
    pub what: &'static str,
    /// The benchmark.
    pub suite: &'static str,
    /// The case.
    pub case: &'static str,
    /// The figure, in the unit of the case.
    pub figure: f64,
    /// For orientation: what others need, measured beside each other on another machine of the kind.
    pub others: &'static str,
}

macro_rules! goals {
    ($($what:literal $suite:literal $case:literal $figure:literal $others:literal;)+) => {
        /// All of them.
        pub const GOALS: &[Goal] = &[$(Goal {
            what: $what, suite: $suite, case: $case, figure: $figure, others: $others,
        },)+];
    };
}

goals! {
    "DSR, TCP/IPv4, 1 flow" "packet" "dsr/ipv4/tcp/1/steady/prefilter-off" 36.0 "Katran 73, GLB 64";
    "DSR, TCP/IPv4, 16 K flows" "packet" "dsr/ipv4/tcp/16k/steady/prefilter-off" 42.0 "Katran 133, GLB 71";
    "DSR, TCP/IPv4, 1 M flows" "packet" "dsr/ipv4/tcp/1m/steady/prefilter-off" 42.0 "Katran 306, GLB 69";
    "DSR, UDP/IPv4, 1 flow" "packet" "dsr/ipv4/udp/1/steady/prefilter-off" 40.0 "Katran 100";
    "DSR, UDP/IPv4, 16 K flows" "packet" "dsr/ipv4/udp/16k/steady/prefilter-off" 48.0 "Katran 156";
    "DSR, UDP/IPv4, 1 M flows" "packet" "dsr/ipv4/udp/1m/steady/prefilter-off" 48.0 "Katran 336";
    "DSR, TCP/IPv6, 1 flow" "packet" "dsr/ipv6/tcp/1/steady/prefilter-off" 42.0 "Katran 66";
    "DSR, TCP/IPv6, 16 K flows" "packet" "dsr/ipv6/tcp/16k/steady/prefilter-off" 50.0 "Katran 127";
    "DSR, TCP/IPv6, 1 M flows" "packet" "dsr/ipv6/tcp/1m/steady/prefilter-off" 50.0 "Katran 299";
    "Every packet a new flow" "packet" "dsr/ipv4/tcp/new/steady/prefilter-off" 45.0 "Katran 582";
    "After 1 of 100 backends left, 1 M flows" "packet" "dsr/ipv4/tcp/1m/change/prefilter-off" 60.0 "";
    "NAT, IPv4, forward, 1 flow" "packet" "nat-forward/ipv4/tcp/1/steady/prefilter-off" 60.0 "Cilium SNAT 318";
    "NAT, IPv4, forward, 1 M flows" "packet" "nat-forward/ipv4/tcp/1m/steady/prefilter-off" 130.0 "Cilium SNAT 1705";
    "NAT, IPv4, reply, 1 flow" "packet" "nat-reply/ipv4/tcp/1/steady/prefilter-off" 60.0 "Cilium SNAT 318";
    "NAT, IPv4, reply, 1 M flows" "packet" "nat-reply/ipv4/tcp/1m/steady/prefilter-off" 130.0 "Cilium SNAT 1705";
    "Not a service: passed on" "packet" "not-for-us/ipv4/tcp/1/steady/prefilter-off" 18.0 "Katran 29";
    "Prefilter, 1 M prefixes, 1 M sources, not listed" "packet" "prefilter-not-listed/ipv4/tcp/1m/steady/prefilter-1m" 40.0 "kernel LPM 1118, DIR-24-8 185";
    "Prefilter, 1 M prefixes, 512 K sources, listed" "packet" "prefilter-listed/ipv4/tcp/512k/steady/prefilter-1m" 110.0 "kernel LPM 1118, DIR-24-8 185";
    "Prefilter 100 K and service, 1 M flows" "packet" "dsr/ipv4/tcp/1m/steady/prefilter-100k" 70.0 "";
    "Live path, DSR, 1 flow" "live" "dsr/1" 220.0 "Katran 227, XDP_TX 140";
    "Live path, DSR, 128 K flows" "live" "dsr/128k" 240.0 "Katran 524, XDP_TX 140";
    "10,000 services of 10 backends loaded, ms" "control" "load/services/10000x10" 2000.0 "";
    "One backend among 100,000 changed, p99, ms" "control" "change-p99/backend/100000" 5.0 "";
    "1,000,000 prefixes loaded, ms" "control" "load/prefixes/1000000" 3000.0 "";
    "One of 1,000,000 prefixes changed, ms" "control" "change/prefix/1000000" 1.0 "";
    "Memory of the daemon, 10,000 services of 10 backends, MB" "control" "memory/services/10000x10" 120.0 "";
}
