//! What is measured: kinds of packets, and how many flows they belong to.

use super::{
    check::{DROP, Expectation, PASS, TX},
    configuration::{CLIENT4, CLIENT6, Delivery, LISTED, PORT, virtual_address},
    frame::{Transport, frame},
    wrapper::Load,
};
use sluice_datapath::abi::Reason;
use std::net::IpAddr;

/// One line of the results.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// The packets.
    pub load: Load,
    /// What the gateway does with them.
    pub expectation: Expectation,
    /// The reason that the gateway counts for each of them.
    pub reason: Reason,
    /// The floor that the gateway is compared with.
    pub floor: &'static str,
}

/// How many flows: the names and the numbers.
pub const FLOWS: [(&str, u32); 3] = [("1", 1), ("16k", 1 << 14), ("1m", 1 << 20)];
/// So many that every packet begins one.
pub(super) const ALL_NEW: (&str, u32) = ("new", 1 << 24);

/// Which packets of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Towards a service with direct server return.
    Dsr,
    /// Towards a service that translates.
    Forward,
    /// From a backend of a service that translates.
    Reply,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Dsr => "dsr",
            Self::Forward => "nat-forward",
            Self::Reply => "nat-reply",
        }
    }

    fn delivery(self) -> Delivery {
        if self == Self::Dsr { Delivery::Dsr } else { Delivery::Nat }
    }
}

/// Where the flows of a protocol stand in the table of replies.
pub(super) const fn table_offset(v6: bool, udp: bool) -> u32 {
    (((v6 as u32) << 1) | udp as u32) << 20
}

impl Case {
    /// Packets of a service; `suffix` says what state the gateway is in.
    pub fn of_service(
        kind: Kind,
        v6: bool,
        transport: Transport,
        flows: (&str, u32),
        suffix: &str,
    ) -> Self {
        let udp = transport == Transport::Udp;
        let protocol = if udp { "udp" } else { "tcp" };
        let (expectation, reason) = match kind {
            Kind::Dsr => (Expectation::Tunnel, Reason::SentEncapsulated),
            Kind::Forward => (Expectation::Forward, Reason::SentTranslated),
            Kind::Reply => (Expectation::Reply, Reason::SentReply),
        };
        let client = client(v6);
        let service = (virtual_address(kind.delivery(), v6), PORT);
        let template = frame(client, service, transport);
        Self {
            name: format!("{}/{}/{protocol}/{}/{suffix}", kind.word(), family(v6), flows.0),
            load: Load {
                template,
                flows: flows.1,
                offset: if kind == Kind::Reply { table_offset(v6, udp) } else { 0 },
                from_table: kind == Kind::Reply,
                verdict: TX,
                packets_per_run: 16,
                slow: false,
            },
            expectation,
            reason,
            floor: "maglev",
        }
    }

    /// Packets to an address that is no service's.
    pub fn not_for_us(v6: bool, flows: (&str, u32), suffix: &str) -> Self {
        let stranger: IpAddr = if v6 {
            [0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 99].into()
        } else {
            [192, 0, 2, 99].into()
        };
        let template = frame(client(v6), (stranger, PORT), Transport::ESTABLISHED);
        Self {
            name: format!("not-for-us/{}/tcp/{}/{suffix}", family(v6), flows.0),
            load: Load {
                template,
                flows: flows.1,
                offset: 0,
                from_table: false,
                verdict: PASS,
                packets_per_run: 16,
                slow: false,
            },
            expectation: Expectation::Unchanged,
            reason: Reason::PassNotService,
            floor: "parse",
        }
    }

    /// Packets that meet nothing but the prefilter.
    pub fn prefilter(v6: bool, listed: bool, flows: (&str, u32), suffix: &str) -> Self {
        let mut case = Self::not_for_us(v6, flows, suffix);
        let word = if listed { "listed" } else { "not-listed" };
        case.name = format!("prefilter-{word}/{}/tcp/{}/{suffix}", family(v6), flows.0);
        case.reason = if listed { Reason::DropDenied } else { Reason::PassUnconfigured };
        if listed {
            case.load.verdict = DROP;
            case.load.offset = LISTED;
        }
        case
    }

    /// Packets of one round: enough to see the caches that so many flows need.
    pub fn packets(&self) -> u32 {
        if self.load.flows > 1 << 14 { 1 << 16 } else { 1 << 15 }
    }

    /// Packets that are run before the clock starts, because others used the caches meanwhile.
    pub fn warm_up(&self) -> u32 {
        self.load.flows.clamp(1 << 11, 1 << 14)
    }
}

fn client(v6: bool) -> (IpAddr, u16) {
    if v6 { (CLIENT6.into(), 40_000) } else { (CLIENT4.into(), 40_000) }
}

fn family(v6: bool) -> &'static str {
    if v6 { "ipv6" } else { "ipv4" }
}
