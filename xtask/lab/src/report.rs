//! The lines of a check: `PASS NAME: FIGURE`, `FAIL NAME: WHY`, `SKIP NAME: WHY`, and the sum.

use std::process::ExitCode;

use anyhow::Result;

/// Prints each outcome as it comes, and counts.
#[derive(Default)]
pub(crate) struct Report {
    passed: usize,
    failed: usize,
    skipped: usize,
}

impl Report {
    /// One check: the figure when it passed, the reason when it failed.
    pub(crate) fn check(&mut self, name: &str, outcome: Result<String>) {
        match outcome {
            Ok(figure) => {
                self.passed += 1;
                println!("PASS {name}: {figure}");
            }
            Err(error) => {
                self.failed += 1;
                println!("FAIL {name}: {error:#}");
            }
        }
    }

    pub(crate) fn skip(&mut self, name: &str, why: &str) {
        self.skipped += 1;
        println!("SKIP {name}: {why}");
    }

    /// Prints the sum; it decides the exit code.
    pub(crate) fn finish(self) -> ExitCode {
        println!("{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped);
        if self.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
