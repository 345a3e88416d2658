//! The lines of a profile while it is being made.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sluice_kernel::Errno;
use sluice_kernel::linux::trial::{Refused, Tried};
use sluice_profile::{Answer, Capability, Evidence, Finding, Limits, Verdict};

/// The lines so far.
#[derive(Debug, Default)]
pub(crate) struct Record {
    pub(crate) lines: BTreeMap<Capability, Finding>,
}

impl Record {
    pub(crate) fn put(&mut self, capability: Capability, finding: Finding) {
        self.lines.insert(capability, finding);
    }

    /// A line with one piece of evidence.
    pub(crate) fn line(&mut self, capability: Capability, verdict: Verdict, evidence: Evidence) {
        self.put(capability, Finding::new(verdict, evidence));
    }

    /// The result of a trial.
    pub(crate) fn tried<T>(&mut self, capability: Capability, asked: &str, tried: &Tried<T>) {
        self.put(capability, finding(asked, tried));
    }

    /// Something that was left out, and why.
    pub(crate) fn skipped(&mut self, capability: Capability, asked: &str, why: &str) {
        let verdict = Verdict::Unknown(why.to_owned());
        let evidence = answered(asked, Answer::result(format!("not tried: {why}")));
        self.line(capability, verdict, evidence);
    }

    pub(crate) fn holds(&self, capability: Capability) -> bool {
        self.lines.get(&capability).is_some_and(Finding::holds)
    }
}

/// Evidence of now.
pub(crate) fn answered(asked: &str, answer: Answer) -> Evidence {
    Evidence::Kernel { asked: asked.to_owned(), answer, at: now() }
}

/// Whole seconds: nobody needs more, and profiles are read by people.
pub(crate) fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

/// The result of a trial as a line: `yes` or what the kernel said.
pub(crate) fn finding<T>(asked: &str, tried: &Tried<T>) -> Finding {
    match tried {
        Ok(_) => Finding::new(Verdict::Yes, answered(asked, Answer::result("accepted"))),
        Err(refused) => {
            let finding = Finding::new(verdict(refused), answered(asked, answer(refused)));
            match remedy(refused) {
                Some(remedy) => finding.with_remedy(remedy),
                None => finding,
            }
        }
    }
}

pub(crate) fn answer(refused: &Refused) -> Answer {
    Answer {
        result: refused.read_back.clone(),
        errno: refused.errno.map(|errno| format!("{errno:?}")),
        extack: refused.extack.clone(),
        verifier: refused.verifier.clone(),
    }
}

/// A refusal is `no`, unless it says nothing of the card.
fn verdict(refused: &Refused) -> Verdict<Limits> {
    let text = refused.extack.as_deref().unwrap_or_default();
    let lacking = ["not found", "Failed to load", "module"];
    match refused.errno {
        Some(Errno::EPERM | Errno::EACCES) if refused.verifier.is_none() => {
            Verdict::Unknown("not allowed to try".to_owned())
        }
        Some(Errno::EBUSY) => Verdict::Unknown("in use".to_owned()),
        Some(Errno::ENOENT | Errno::EPROTONOSUPPORT | Errno::ENOSYS | Errno::ENOPROTOOPT) => {
            Verdict::Unknown("this kernel lacks it".to_owned())
        }
        Some(_) if lacking.iter().any(|words| text.contains(words)) => {
            Verdict::Unknown("this kernel lacks it".to_owned())
        }
        Some(_) if offload_is_off(refused) => Verdict::Unknown("tc offload is off".to_owned()),
        _ => Verdict::No,
    }
}

fn offload_is_off(refused: &Refused) -> bool {
    let text = refused.extack.as_deref().unwrap_or_default();
    text.contains("TC offload is disabled") || text.contains("turn ON hw-tc-offload")
}

fn remedy(refused: &Refused) -> Option<String> {
    match refused.errno {
        Some(Errno::EPERM) => Some("run as root".to_owned()),
        _ if offload_is_off(refused) => Some("ethtool -K LINK hw-tc-offload on".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(errno: Errno, extack: &str) -> Tried {
        let extack = (!extack.is_empty()).then(|| extack.to_owned());
        Err(Refused { extack, ..Refused::from(errno) })
    }

    #[test]
    fn a_refusal_is_no_unless_it_says_nothing_of_the_card() {
        let verdict = |errno, text: &str| finding("x", &refused(errno, text)).verdict;
        assert_eq!(verdict(Errno::EINVAL, ""), Verdict::No);
        assert_eq!(verdict(Errno::EOPNOTSUPP, "only ETH_P_ALL supported"), Verdict::No);
        for (errno, text) in [
            (Errno::EPERM, ""),
            (Errno::EBUSY, ""),
            (Errno::ENOENT, "TC classifier not found"),
            (Errno::EOPNOTSUPP, "TC offload is disabled on net device"),
        ] {
            assert!(matches!(verdict(errno, text), Verdict::Unknown(_)), "{errno:?} {text}");
        }
    }

    #[test]
    fn evidence_repeats_the_kernels_words() {
        let finding = finding("load", &refused(Errno::EINVAL, "no"));
        assert_eq!(finding.because(), "load: EINVAL: 'no'");
        assert_eq!(finding.remedy, None);
        let off = finding_of_offload();
        assert_eq!(off.remedy.as_deref(), Some("ethtool -K LINK hw-tc-offload on"));
    }

    fn finding_of_offload() -> Finding {
        finding("x", &refused(Errno::EOPNOTSUPP, "TC offload is disabled on net device"))
    }
}
