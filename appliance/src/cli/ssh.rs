//! The session of secure shell in which the command was started, so that the daemon can warn before a change cuts it off.

use std::env;
use std::fs;

const VARIABLE: &str = "SSH_CONNECTION";

/// Ancestors that are asked: command, sudo, shells and what multiplexes terminals.
const GENERATIONS: usize = 16;

/// Client address and port, address and port of this machine. `sudo` keeps it from the command, but the shell before it
/// still has it.
pub(super) fn session() -> Option<String> {
    env::var(VARIABLE).ok().or_else(of_ancestors).filter(|text| !text.is_empty())
}

fn of_ancestors() -> Option<String> {
    let mut process = std::process::id();
    for _ in 0..GENERATIONS {
        process = parent(&fs::read_to_string(format!("/proc/{process}/stat")).ok()?)?;
        // Of another user it may not be read, but its parent may have it too.
        let environment = fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
        if let Some(found) = variable(&environment) {
            return Some(found);
        }
    }
    None
}

/// The fourth field; the second is a name in parentheses that may hold anything.
fn parent(stat: &str) -> Option<u32> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok().filter(|process| *process > 0)
}

fn variable(environment: &[u8]) -> Option<String> {
    let mut variables = environment.split(|byte| *byte == 0);
    variables.find_map(|variable| {
        let (name, value) = std::str::from_utf8(variable).ok()?.split_once('=')?;
        (name == VARIABLE).then(|| value.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_are_found_behind_any_name() {
        assert_eq!(parent("77 (a) b) c) S 42 77 77 0"), Some(42));
        assert_eq!(parent("1 (systemd) S 0 1 1 0"), None);
        assert_eq!(parent("nonsense"), None);
    }

    #[test]
    fn session_is_one_variable_among_others() {
        let environment =
            b"HOME=/root\0SSH_CONNECTION=203.0.113.7 50000 192.0.2.1 22\0TERM=xterm\0";
        assert_eq!(variable(environment).unwrap(), "203.0.113.7 50000 192.0.2.1 22");
        assert_eq!(variable(b"XSSH_CONNECTION=1\0"), None);
    }
}
