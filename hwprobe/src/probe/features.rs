//! Features of ethtool: what the driver claims and nothing here tries.

use sluice_profile::{Answer, Capability, LinkFeature, TcFeature, Verdict};

use super::Link;
use crate::ask::ethtool;
use crate::record::{Record, answered};

/// Each capability, and the features of which one is enough.
const NAMES: &[(LinkFeature, &[&str])] = &[
    (LinkFeature::Macsec, &["macsec-hw-offload"]),
    (LinkFeature::TlsTransmit, &["tls-hw-tx-offload"]),
    (LinkFeature::TlsReceive, &["tls-hw-rx-offload"]),
    (LinkFeature::ReceiveHash, &["rx-hashing"]),
    (LinkFeature::ReceiveNtuple, &["rx-ntuple-filter"]),
    (LinkFeature::ReceiveChecksum, &["rx-checksum"]),
    (LinkFeature::ReceiveJoin, &["rx-gro-hw", "rx-lro"]),
    (LinkFeature::ReceiveVlan, &["rx-vlan-hw-parse"]),
    (LinkFeature::TransmitChecksum, &["tx-checksum-ip-generic", "tx-checksum-ipv4"]),
    (LinkFeature::TransmitSegmentationTcp4, &["tx-tcp-segmentation"]),
    (LinkFeature::TransmitSegmentationTcp6, &["tx-tcp6-segmentation"]),
    (LinkFeature::TransmitSegmentationUdp, &["tx-udp-segmentation"]),
    (LinkFeature::TransmitSegmentationTunnel, &["tx-udp_tnl-segmentation"]),
    (LinkFeature::TransmitVlan, &["tx-vlan-hw-insert"]),
];

pub(super) fn probe(link: &Link, record: &mut Record) {
    for (capability, names) in NAMES {
        claim(link, record, Capability::Link(*capability), names);
    }
    let name = "hw-tc-offload";
    claim(link, record, Capability::Tc(TcFeature::HwTcOffload), &[name]);
    if let (Some(feature), _) = link.feature(name)
        && feature.changeable
        && !feature.active
        && let Some(line) = record.lines.get_mut(&Capability::Tc(TcFeature::HwTcOffload))
    {
        line.remedy = Some(format!("ethtool -K {} hw-tc-offload on", link.name()));
    }
    let asked = "ethtool netlink, rss, table";
    let table = Capability::Link(LinkFeature::ReceiveHashTable);
    match ethtool::hash_table(&link.generic, link.ifindex()) {
        Ok(0) => record.line(table, Verdict::No, answered(asked, Answer::result("no table"))),
        Ok(entries) => {
            let answer = Answer::result(format!("a table of {entries} entries"));
            record.line(table, Verdict::Claimed, answered(asked, answer));
        }
        Err(why) => {
            record.line(table, Verdict::No, answered(asked, Answer::result(why.to_string())));
        }
    }
}

fn claim(link: &Link, record: &mut Record, capability: Capability, names: &[&str]) {
    let mut asked: Vec<_> = names.iter().map(|name| link.feature(name)).collect();
    let claims = asked
        .iter()
        .position(|(feature, _)| feature.is_some_and(|known| known.active || known.changeable));
    let (feature, evidence) = asked.swap_remove(claims.unwrap_or(0));
    let verdict = match (claims, feature) {
        (Some(_), _) => Verdict::Claimed,
        (None, Some(_)) => Verdict::No,
        (None, None) => Verdict::Unknown("the features could not be read".to_owned()),
    };
    record.line(capability, verdict, evidence);
}
