//! The lines of `sluice-lab`: `PASS NAME: FIGURE`, `FAIL NAME: WHY`, `SKIP NAME: WHY`, and a sum at the end.

use super::summary::Summary;

#[derive(Default)]
pub(crate) struct Parser {
    summary: Summary,
}

impl Parser {
    /// Takes the next line; returns what a reader should see of it: all but the sum, which `test` prints once for all.
    pub(crate) fn line<'a>(&mut self, line: &'a str) -> Option<&'a str> {
        let after = |word: &str| {
            line.strip_prefix(word).map(|rest| {
                let (name, text) = rest.split_once(": ").unwrap_or((rest, ""));
                (format!("lab: {name}"), text.to_owned())
            })
        };
        if after("PASS ").is_some() {
            self.summary.passed += 1;
        } else if let Some((name, why)) = after("FAIL ") {
            self.summary.failed.push(format!("{name}: {why}"));
        } else if let Some((name, why)) = after("SKIP ") {
            self.summary.skipped.push((name, why));
        } else if is_sum(line) {
            return None;
        }
        Some(line)
    }

    /// A laboratory that ended badly without a failed check failed all the same.
    pub(crate) fn finish(mut self, command: &str, ended: std::process::ExitStatus) -> Summary {
        if !ended.success() && self.summary.failed.is_empty() {
            self.summary.failed.push(format!("lab: `sluice-lab {command}` ended with {ended}"));
        }
        self.summary
    }
}

fn is_sum(line: &str) -> bool {
    line.contains(" passed, ") && line.contains(" failed, ") && line.ends_with(" skipped")
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;

    #[test]
    fn checks_are_counted_and_the_sum_is_swallowed() {
        let mut parser = Parser::default();
        assert!(parser.line("PASS dsr4 shares: 25.1 %").is_some());
        assert!(parser.line("FAIL nat6 requests: 3 of 10000 failed: reset").is_some());
        assert!(parser.line("SKIP mtu: no").is_some());
        assert_eq!(parser.line("1 passed, 1 failed, 1 skipped"), None);
        let summary = parser.finish("check", ExitStatus::from_raw(256));
        assert_eq!(summary.passed, 1);
        assert_eq!(summary.failed, ["lab: nat6 requests: 3 of 10000 failed: reset"]);
        assert_eq!(summary.skipped, [("lab: mtu".to_owned(), "no".to_owned())]);
    }

    #[test]
    fn a_laboratory_that_dies_is_a_failure() {
        let summary = Parser::default().finish("check", ExitStatus::from_raw(9));
        assert_eq!(summary.failed.len(), 1);
        assert!(Parser::default().finish("check", ExitStatus::from_raw(0)).is_success());
    }
}
