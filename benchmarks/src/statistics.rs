//! What many rounds say together.

use serde::{Deserialize, Serialize};

/// The middle of many measurements and how far they spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Half of the measurements are below.
    pub median: f64,
    /// One in ten is below.
    pub p10: f64,
    /// Nine in ten are below.
    pub p90: f64,
    /// The smallest: what was least disturbed.
    pub min: f64,
}

impl Summary {
    /// Of measurements in any order; zeros of none.
    pub fn of(measurements: &[f64]) -> Self {
        let mut sorted = measurements.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |part: f64| quantile(&sorted, part);
        Self { median: at(0.5), p10: at(0.1), p90: at(0.9), min: at(0.0) }
    }
}

/// Between the two nearest measurements.
pub fn quantile(sorted: &[f64], part: f64) -> f64 {
    let place = part * sorted.len().saturating_sub(1) as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    match (sorted.get(below), sorted.get(above)) {
        (Some(below), Some(above)) => below + (above - below) * place.fract(),
        _ => 0.0,
    }
}

/// The median of the quotients of two programs, round by round: both ran within milliseconds, so what disturbed one
/// disturbed the other.
pub fn ratio(measured: &[f64], floor: &[f64]) -> f64 {
    let ratios: Vec<f64> = measured.iter().zip(floor).map(|(a, b)| a / b).collect();
    Summary::of(&ratios).median
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_does_not_depend_on_the_order() {
        let summary = Summary::of(&[5.0, 1.0, 3.0, 2.0, 4.0]);
        assert_eq!(summary, Summary { median: 3.0, p10: 1.4, p90: 4.6, min: 1.0 });
        assert_eq!(Summary::of(&[]), Summary::default());
    }

    #[test]
    fn a_ratio_survives_a_slow_round() {
        assert_eq!(ratio(&[20.0, 200.0, 22.0], &[10.0, 100.0, 11.0]), 2.0);
    }
}
