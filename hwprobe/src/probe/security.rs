//! IPsec on the card: a security association, read back.

use sluice_kernel::linux::trial::SecurityTrial;
use sluice_profile::{Answer, Capability, Limits, LinkFeature, Verdict};

use super::Link;
use crate::record::{Record, answer, answered, finding};

pub(super) fn probe(link: &Link, record: &mut Record) {
    let (_, feature) = link.feature("esp-hw-offload");
    for (feature_of, packet, words) in
        [(LinkFeature::IpsecCrypto, false, "crypto"), (LinkFeature::IpsecPacket, true, "packet")]
    {
        let asked = |bits: u16| {
            format!(
                "add an SA with {words} offload, AES-GCM-{bits}, ICV 128, tunnel mode, and read it back"
            )
        };
        let tried = link.trials.association(SecurityTrial { packet, key_bits: 128 }).map(drop);
        let mut line = finding(&asked(128), &tried);
        line.evidence.push(feature.clone());
        if tried.is_ok() {
            let longer = link.trials.association(SecurityTrial { packet, key_bits: 256 });
            match longer {
                Ok(_) => {
                    line.evidence.push(answered(&asked(256), Answer::result("accepted")));
                }
                Err(refused) => {
                    line.verdict = Verdict::Partly(Limits::condition("AES-GCM-128 only"));
                    line.evidence.push(answered(&asked(256), answer(&refused)));
                }
            }
        }
        record.put(Capability::Link(feature_of), line);
    }
}
