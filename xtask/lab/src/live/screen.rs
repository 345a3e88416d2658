//! A table redrawn in place on a terminal; plain text, now and then, anywhere else.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Where there is no terminal, a frame is written so often.
const PLAIN_PERIOD: Duration = Duration::from_secs(5);

#[derive(Default)]
pub(super) struct Screen {
    /// How many lines the last frame had.
    drawn: usize,
    last: Option<Instant>,
}

impl Screen {
    pub(super) fn show(&mut self, lines: &[String]) {
        let mut output = std::io::stdout().lock();
        let text = if output.is_terminal() {
            let text = redraw(self.drawn, lines);
            self.drawn = lines.len();
            text
        } else {
            if self.last.is_some_and(|last| last.elapsed() < PLAIN_PERIOD) {
                return;
            }
            self.last = Some(Instant::now());
            without_colours(&(lines.join("\n") + "\n\n"))
        };
        // A terminal that went away ends the laboratory by a signal, not here.
        let _ = output.write_all(text.as_bytes());
        let _ = output.flush();
    }
}

/// Back to the first line of the last frame; each line clears what it covers, and the end what is below. Meanwhile
/// the terminal wraps no line: one that is too long for it would count twice.
fn redraw(drawn: usize, lines: &[String]) -> String {
    let mut text = "\x1b[?7l".to_owned();
    if drawn > 0 {
        text += &format!("\x1b[{drawn}A\r");
    }
    for line in lines {
        text += line;
        text += "\x1b[K\n";
    }
    text + "\x1b[J\x1b[?7h"
}

fn without_colours(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("\x1b[") {
        plain += &rest[..start];
        rest = &rest[start..];
        rest = rest.find('m').map_or("", |end| &rest[end + 1..]);
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_covers_the_one_before() {
        let lines = ["one".to_owned(), "two".to_owned()];
        assert_eq!(redraw(0, &lines), "\x1b[?7lone\x1b[K\ntwo\x1b[K\n\x1b[J\x1b[?7h");
        assert!(redraw(3, &lines).contains("\x1b[3A\rone"));
    }

    #[test]
    fn colours_are_for_terminals() {
        assert_eq!(without_colours("a \x1b[1mb\x1b[0m c"), "a b c");
    }
}
