use std::fs;
use std::path::{Path, PathBuf};

use super::segments::Rotation;
use super::{AuditLog, Entry, Outcome};

fn entry(action: &str) -> Entry {
    Entry {
        who: "alice".into(),
        kind: "session".into(),
        from: "192.0.2.1".into(),
        action: action.into(),
        outcome: Outcome::Allowed,
        status: 200,
        reason: None,
        before: None,
        after: Some(serde_json::json!({"weight": 2})),
        unrecorded: 0,
        begun: None,
    }
}

fn filled(state: &Path, count: usize, rotation: Rotation) -> AuditLog {
    let log = AuditLog::open_with(state, rotation).unwrap();
    for number in 0..count {
        log.append(entry(&format!("PUT /v1/services/{number}")));
    }
    log
}

fn small() -> Rotation {
    Rotation { full: 1000, kept: 4 }
}

fn only_file(state: &Path) -> PathBuf {
    let mut logs: Vec<_> = fs::read_dir(state.join("audit"))
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "log"))
        .collect();
    assert_eq!(logs.len(), 1);
    logs.remove(0)
}

/// Rewrites the file's lines and returns what a check says then.
fn after(change: impl FnOnce(&mut Vec<String>)) -> Vec<String> {
    let state = tempfile::tempdir().unwrap();
    let log = filled(state.path(), 10, Rotation::default());
    assert_eq!(log.check().unwrap().broken, []);
    let path = only_file(state.path());
    let text = fs::read_to_string(&path).unwrap();
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    change(&mut lines);
    fs::write(&path, lines.join("\n") + "\n").unwrap();
    let broken = log.check().unwrap().broken;
    let again = AuditLog::open(state.path()).unwrap().check().unwrap().broken;
    assert_eq!(again, broken, "a restart hides nothing");
    broken.into_iter().map(|broken| format!("{}: {}", broken.line, broken.problem)).collect()
}

#[test]
fn a_removed_or_changed_line_of_the_audit_log_is_noticed() {
    let removed = after(|lines| drop(lines.remove(4)));
    assert_eq!(removed, ["5: record 5 is missing, 6 follows"]);
    let last = after(|lines| drop(lines.pop()));
    assert_eq!(last, ["9: record 10 is missing or exchanged: it was the last one"]);
    let first = after(|lines| drop(lines.remove(0)));
    assert_eq!(first, ["1: record 1 is missing, 2 follows"]);
    let changed = after(|lines| lines[4] = lines[4].replace("alice", "mallory"));
    assert_eq!(changed, ["5: the line was changed: its hash is not its own"]);
    let all = after(Vec::clear);
    assert!(!all.is_empty());
    // With a hash that fits its text, the next one gives it away.
    let forged = after(|lines| {
        let (mut record, _) = super::record::parse(&lines[4]).unwrap();
        record.entry.who = "mallory".into();
        lines[4] = super::record::line(&record).unwrap().0;
    });
    assert_eq!(forged.len(), 1, "{forged:?}");
    assert!(forged[0].starts_with("6: the record before was exchanged"), "{forged:?}");
    let swapped = after(|lines| lines.swap(3, 4));
    assert!(!swapped.is_empty());
}

#[test]
fn the_log_goes_on_after_a_restart_and_a_power_cut() {
    let state = tempfile::tempdir().unwrap();
    drop(filled(state.path(), 3, Rotation::default()));
    let path = only_file(state.path());
    // The last line was being written.
    let mut text = fs::read_to_string(&path).unwrap();
    text.push_str("0123 {\"number\": 4, \"ti");
    fs::write(&path, text).unwrap();
    let log = filled(state.path(), 1, Rotation::default());
    let checked = log.check().unwrap();
    assert_eq!((checked.records, checked.broken.len()), (4, 0), "{checked:?}");
    // Or it was written, and the note of it was not.
    let ends = state.path().join("audit/ends.json");
    let older = fs::read(&ends).unwrap();
    log.append(entry("DELETE /v1/services/web"));
    drop(log);
    fs::write(&ends, older).unwrap();
    let log = filled(state.path(), 1, Rotation::default());
    let checked = log.check().unwrap();
    assert_eq!((checked.records, checked.last, checked.broken.len()), (6, 6, 0), "{checked:?}");
    let newest = log.read(None, 2).unwrap();
    assert_eq!(newest[1].entry.action, "DELETE /v1/services/web");
    assert_eq!(log.read(Some(3), 10).unwrap().iter().map(|r| r.number).collect::<Vec<_>>(), [2, 1]);
}

#[test]
fn the_audit_log_is_bounded_and_whole_after_rotation() {
    let state = tempfile::tempdir().unwrap();
    let log = filled(state.path(), 100, small());
    let checked = log.check().unwrap();
    assert_eq!((checked.last, checked.broken.len()), (100, 0), "{checked:?}");
    assert!(checked.first > 50 && checked.records == 101 - checked.first, "{checked:?}");
    let files = fs::read_dir(state.path().join("audit")).unwrap().count();
    assert_eq!(files, 4 + 1);
    drop(log);
    let log = filled(state.path(), 100, small());
    let checked = log.check().unwrap();
    assert_eq!((checked.last, checked.broken.len()), (200, 0), "{checked:?}");
    // A whole file that goes missing is noticed too.
    let mut logs: Vec<_> = fs::read_dir(state.path().join("audit"))
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "log"))
        .collect();
    logs.sort();
    fs::remove_file(&logs[0]).unwrap();
    assert_eq!(log.check().unwrap().broken.len(), 1);
}

#[test]
fn long_values_are_recorded_by_their_length() {
    let state = tempfile::tempdir().unwrap();
    let log = AuditLog::open(state.path()).unwrap();
    let mut long = entry("POST /v1/apply");
    long.after = Some("x".repeat(100_000).into());
    log.append(long);
    assert_eq!(log.read(None, 1).unwrap()[0].entry.after, Some("100002 bytes".into()));
}

#[test]
fn what_was_begun_is_shown_until_its_end_is_recorded() {
    let state = tempfile::tempdir().unwrap();
    let log = AuditLog::open(state.path()).unwrap();
    let begin = |action: &str| Entry { status: 0, after: None, ..entry(action) };
    let shown = |log: &AuditLog, before| {
        let records = log.read(before, 10).unwrap();
        records.into_iter().map(|record| (record.number, record.entry.status)).collect::<Vec<_>>()
    };
    let killed = log.begin(begin("PUT /v1/services/one")).unwrap();
    let whole = log.begin(begin("PUT /v1/services/two")).unwrap();
    assert_eq!(shown(&log, None), [(whole, 0), (killed, 0)]);
    log.append(Entry { begun: Some(whole), ..entry("PUT /v1/services/two") });
    drop(log);
    // The daemon was killed in the middle of one of them.
    let log = AuditLog::open(state.path()).unwrap();
    assert_eq!(shown(&log, None), [(whole + 1, 200), (killed, 0)]);
    assert_eq!(shown(&log, Some(whole + 1)), [(killed, 0)], "its end is on another page");
    assert_eq!(log.check().unwrap().broken, []);
}
