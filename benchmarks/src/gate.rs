//! `gate`: has the gateway become slower? Compares quotients to the floor, which was measured in the same rounds, with
//! those of the baseline; times alone differ between machines and between minutes.

use crate::{
    machine::Machine,
    packet::{Measured, Setup, Wrapper, measure_loaded},
    record::Record,
};
use anyhow::Result;

/// A case may be this much slower than in the baseline.
pub const TOLERANCE: f64 = 0.15;
/// What is slower is measured again so often, with twice the rounds: only what stays slower is a finding.
const REPETITIONS: usize = 2;

/// A case that has become slower.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The case.
    pub case: String,
    /// The quotient in the baseline.
    pub before: f64,
    /// The smallest of the quotients now.
    pub now: f64,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { case, before, now } = self;
        let percent = (now / before - 1.0) * 100.0;
        write!(f, "{case}: {now:.2} times the floor, was {before:.2} ({percent:+.0} %)")
    }
}

/// The quotient of a case in the baseline.
pub fn baseline_of(baseline: &[Record], case: &str) -> Option<f64> {
    let mut records = baseline.iter();
    records.find(|record| record.case == case && record.program == "sluice")?.ratio
}

/// Whether a quotient is beyond what the baseline allows.
pub fn is_slower(before: f64, now: f64) -> bool {
    now > before * (1.0 + TOLERANCE)
}

/// Measures the setups and compares; cases that the baseline doesn't know are named and left out.
///
/// # Errors
/// As measuring.
pub fn gate(
    wrapper: &mut Wrapper,
    setups: &[Setup],
    baseline: &[Record],
    rounds: usize,
    slow: bool,
) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for setup in setups {
        let mut gateway = setup.load(wrapper)?;
        for (change, cases) in [(false, &setup.cases), (true, &setup.changed)] {
            if cases.is_empty() {
                continue;
            }
            if change {
                gateway.change(&setup.after_change())?;
            }
            let mut cases = cases.clone();
            cases.iter_mut().for_each(|case| case.load.slow = slow);
            let mut slow: Vec<Finding> = Vec::new();
            for repetition in 0..=REPETITIONS {
                let rounds = if repetition == 0 { rounds } else { rounds * 2 };
                let measured = measure_loaded(wrapper, &gateway, &cases, rounds)?;
                slow = compare(&measured, baseline, &slow, repetition == 0);
                cases.retain(|case| slow.iter().any(|finding| finding.case == case.name));
                if cases.is_empty() {
                    break;
                }
            }
            findings.append(&mut slow);
        }
    }
    Ok(findings)
}

/// The cases that are slower than in the baseline, with the smallest quotient so far.
fn compare(
    measured: &[Measured],
    baseline: &[Record],
    earlier: &[Finding],
    says_all: bool,
) -> Vec<Finding> {
    let mut slow = Vec::new();
    for one in measured {
        let case = &one.case.name;
        let Some(before) = baseline_of(baseline, case) else {
            println!("  {case}: not in the baseline");
            continue;
        };
        let smallest = earlier.iter().find(|finding| finding.case == *case);
        let now = smallest.map_or(one.ratio(), |finding| finding.now.min(one.ratio()));
        let finding = Finding { case: case.clone(), before, now };
        if is_slower(before, now) {
            println!("  {finding}: looking again");
            slow.push(finding);
        } else if says_all {
            println!("  {finding}");
        }
    }
    slow
}

/// What must be known of a baseline before figures are compared with it.
pub fn warn_of_other_machine(baseline: &[Record], machine: &Machine) {
    if let Some(record) = baseline.first()
        && record.machine.processor != machine.processor
    {
        println!(
            "the baseline is of another processor ({}): quotients to the floor are compared all the same",
            record.machine.processor
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_within_the_tolerance_is_no_finding() {
        assert!(!is_slower(1.4, 1.6));
        assert!(is_slower(1.4, 1.62));
        assert!(!is_slower(1.4, 1.0));
    }
}
