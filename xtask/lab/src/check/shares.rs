//! Ten thousand requests per service: none fails, and each backend gets what its weight says.

use std::collections::BTreeMap;

use anyhow::{Result, bail};

use crate::client::load;
use crate::laboratory::Laboratory;
use crate::plan::{Backend, Member, Service, expected_shares, first_members};
use crate::report::Report;

const REQUESTS: usize = 10_000;
const CONCURRENCY: usize = 64;
/// In percentage points of all requests. Chance alone moves a share of 50 % of 10,000 requests by 0.5 points (one
/// standard deviation), so this fails by chance about once in a billion.
const TOLERANCE_POINTS: f64 = 3.0;

pub(super) fn check(lab: &Laboratory<'_>, service: Service, report: &mut Report) -> Result<()> {
    let load = load(&lab.topology.client, service.socket_address(), REQUESTS, CONCURRENCY)?;
    let requests = if load.failed() == 0 {
        let per_second = REQUESTS as f64 / load.duration.as_secs_f64();
        Ok(format!("{REQUESTS} requests, 0 failed, {per_second:.0} a second"))
    } else {
        Err(anyhow::anyhow!(
            "{} of {REQUESTS} failed, mostly: {}",
            load.failed(),
            load.main_failure()
        ))
    };
    report.check(&format!("{} requests", service.name), requests);
    let shares = compare(&load.answers, &first_members(), TOLERANCE_POINTS);
    report.check(&format!("{} shares", service.name), shares);
    lab.stop.sleep(std::time::Duration::ZERO)
}

/// Compares what each backend answered with the weights.
pub(super) fn compare(
    answers: &BTreeMap<String, usize>,
    members: &[Member],
    tolerance_points: f64,
) -> Result<String> {
    let total: usize = answers.values().sum();
    if total == 0 {
        bail!("no backend answered");
    }
    let percent = |backend: Backend| {
        let count = answers.get(&backend.to_string()).copied().unwrap_or(0);
        100.0 * count as f64 / total as f64
    };
    let expected = expected_shares(members);
    if let Some(stranger) =
        answers.keys().find(|name| !expected.iter().any(|(other, _)| other.to_string() == **name))
    {
        bail!("{stranger} answered and is no backend of the service");
    }
    let figures: Vec<String> = expected
        .iter()
        .map(|(backend, share)| {
            format!("{backend} {:.1} % of {:.1} %", percent(*backend), 100.0 * share)
        })
        .collect();
    let figures = figures.join(", ");
    // Without weight there is nothing to tolerate.
    if let Some((backend, _)) =
        expected.iter().find(|(backend, share)| *share == 0.0 && percent(*backend) > 0.0)
    {
        let count = answers.get(&backend.to_string()).copied().unwrap_or(0);
        bail!("{backend} is to get nothing new and got {count} connections: {figures}");
    }
    let off = expected
        .iter()
        .find(|(backend, share)| (percent(*backend) - 100.0 * share).abs() > tolerance_points);
    if let Some((backend, _)) = off {
        bail!("{backend} is more than {tolerance_points} points off its weight: {figures}");
    }
    Ok(figures)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(counts: &[(&str, usize)]) -> BTreeMap<String, usize> {
        counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    }

    #[test]
    fn shares_are_compared_in_points() {
        let members = first_members();
        assert!(
            compare(&answers(&[("b1", 2700), ("b2", 2400), ("b3", 4900)]), &members, 3.0).is_ok()
        );
        assert!(
            compare(&answers(&[("b1", 2900), ("b2", 2200), ("b3", 4900)]), &members, 3.0).is_err()
        );
        assert!(compare(&answers(&[]), &members, 3.0).is_err());
    }

    #[test]
    fn one_connection_to_a_drained_backend_is_an_error() {
        let mut members = first_members();
        members[1].drain = true;
        let error =
            compare(&answers(&[("b1", 3333), ("b2", 1), ("b3", 6666)]), &members, 3.0).unwrap_err();
        assert!(error.to_string().starts_with("b2 is to get nothing new and got 1"), "{error}");
    }

    #[test]
    fn an_answer_of_a_stranger_is_an_error() {
        let error =
            compare(&answers(&[("b4", 1), ("b3", 4900)]), &first_members(), 100.0).unwrap_err();
        assert!(error.to_string().starts_with("b4 answered"));
    }
}
