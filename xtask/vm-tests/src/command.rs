//! Running commands of the system: eyes and hands that know nothing of Sluice.

use std::io::Write as _;
use std::process::{Command, Stdio};

/// What a command answered.
#[derive(Clone, Debug)]
pub struct Said {
    command: String,
    /// Whether it succeeded.
    pub is_ok: bool,
    /// What it wrote, complaints too.
    pub text: String,
}

impl Said {
    /// What it wrote, if it succeeded.
    ///
    /// # Panics
    /// When it failed.
    #[must_use]
    pub fn ok(self) -> String {
        assert!(self.is_ok, "`{}` failed: {}", self.command, self.text);
        self.text
    }

    /// Checks that it failed, with these words.
    ///
    /// # Panics
    /// When it succeeded, or for another reason.
    pub fn refused(&self, words: &str) {
        assert!(!self.is_ok, "`{}` succeeded, expected: {words}", self.command);
        assert!(
            self.text.contains(words),
            "`{}` failed as {:?}, expected: {words}",
            self.command,
            self.text
        );
    }
}

/// Runs a command, whose words are separated by spaces.
///
/// # Panics
/// When there is no such command.
#[must_use]
pub fn command(line: &str) -> Said {
    command_with_input(line, "")
}

/// Runs a command that reads.
///
/// # Panics
/// When there is no such command.
#[must_use]
pub fn command_with_input(line: &str, input: &str) -> Said {
    let mut words = line.split_whitespace();
    let program = words.next().unwrap_or_default();
    let mut child = Command::new(program)
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {program}: {error}"));
    if let Some(mut writer) = child.stdin.take() {
        // One that ends without reading has said why.
        let _ = writer.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().unwrap_or_else(|error| panic!("{line}: {error}"));
    let text = [output.stdout, output.stderr].concat();
    Said {
        command: line.to_owned(),
        is_ok: output.status.success(),
        text: String::from_utf8_lossy(&text).into_owned(),
    }
}
