//! Counts of tests, with the names behind failures and skips.

/// What came of a number of tests.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) passed: usize,
    /// The name of each failed test.
    pub(crate) failed: Vec<String>,
    /// The name of each skipped test, and why.
    pub(crate) skipped: Vec<(String, String)>,
}

impl Summary {
    pub(crate) fn add(&mut self, other: Summary) {
        self.passed += other.passed;
        self.failed.extend(other.failed);
        self.skipped.extend(other.skipped);
    }

    pub(crate) fn is_success(&self) -> bool {
        self.failed.is_empty()
    }

    /// One row of the table of tiers. Not in the form of the last line, which is there once.
    pub(crate) fn row(&self) -> String {
        format!(
            "passed {:>5}   failed {:>3}   skipped {:>3}",
            self.passed,
            self.failed.len(),
            self.skipped.len()
        )
    }

    /// The skips with their reasons, the failures, and the last line.
    pub(crate) fn print(&self) {
        for (name, reason) in &self.skipped {
            println!("skipped {name}: {reason}");
        }
        for name in &self.failed {
            println!("failed {name}");
        }
        println!("{}", self.last_line());
    }

    fn last_line(&self) -> String {
        format!(
            "{} passed, {} failed, {} skipped",
            self.passed,
            self.failed.len(),
            self.skipped.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_anywhere_fails_the_whole() {
        let mut total = Summary { passed: 3, ..Summary::default() };
        assert!(total.is_success());
        total.add(Summary {
            passed: 1,
            failed: vec!["a".to_owned()],
            skipped: vec![("b".to_owned(), "not root".to_owned())],
        });
        assert!(!total.is_success());
        assert_eq!(total.last_line(), "4 passed, 1 failed, 1 skipped");
    }
}
