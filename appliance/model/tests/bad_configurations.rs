//! Every wrong configuration in `tests/bad` is refused with exactly the messages in the file of the same name that
//! ends in `.txt`. With `SLUICE_UPDATE_EXPECTED=1` in the environment those files are written anew, to be read.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use sluice_model::{Objects, Problem, Source, parse, validate};

/// What is wrong with a text, as a user sees it.
fn problems(name: &str, text: &str) -> String {
    let found: Result<(), Vec<Problem>> = parse(name, text)
        .and_then(|parsed| {
            Objects::from_parsed(parsed.into_iter().map(|parsed| (parsed, Source::Api)))
        })
        .and_then(|objects| validate(&objects));
    let mut lines = String::new();
    for problem in found.err().unwrap_or_default() {
        writeln!(lines, "{problem}").unwrap();
    }
    lines
}

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad");
    let mut cases: Vec<_> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.retain(|path| path.extension().is_some_and(|extension| extension != "txt"));
    cases.sort();
    cases
}

#[test]
fn every_wrong_configuration_is_refused_with_its_message() {
    let cases = cases();
    assert!(cases.len() >= 70, "only {} cases were found", cases.len());
    let update = std::env::var_os("SLUICE_UPDATE_EXPECTED").is_some();
    let mut wrong = String::new();
    for path in &cases {
        let name = path.file_name().unwrap().to_str().unwrap();
        let found = problems(name, &std::fs::read_to_string(path).unwrap());
        let expected = path.with_extension("txt");
        if update {
            std::fs::write(&expected, &found).unwrap();
        }
        let expected = std::fs::read_to_string(&expected).unwrap_or_default();
        if found.is_empty() {
            writeln!(wrong, "{name}: accepted").unwrap();
        } else if found != expected {
            writeln!(wrong, "{name}: expected\n{expected}found\n{found}").unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn every_message_has_a_place_in_its_file() {
    for path in cases() {
        let name = path.file_name().unwrap().to_str().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<_> = text.lines().collect();
        for line in problems(name, &text).lines() {
            let place =
                line.strip_prefix(name).and_then(|rest| rest.strip_prefix(':')).unwrap_or_default();
            let mut numbers =
                place.splitn(3, ':').map(|number| number.parse::<usize>().unwrap_or(0));
            let (row, column) = (numbers.next().unwrap(), numbers.next().unwrap_or(0));
            // A text that ends too early is wrong at its end, one line below the last.
            assert!((1..=lines.len() + 1).contains(&row), "{line}");
            let length = lines.get(row - 1).map_or(0, |text| text.chars().count());
            assert!((1..=length + 1).contains(&column), "{line}");
        }
    }
}

#[test]
fn a_problem_is_the_same_after_a_round_trip_through_json() {
    let text = "kind: Service\nmetadata: {name: web}\nspec: {adress: 192.0.2.10}\n";
    for problem in parse("web.yaml", text).unwrap_err() {
        let json = serde_json::to_value(&problem).unwrap();
        assert!(json["line"].is_u64() && json["column"].is_u64(), "{json}");
        assert_eq!(json["object"], "Service/web");
        assert_eq!(serde_json::from_value::<Problem>(json).unwrap(), problem);
    }
    let bare = Problem::new("something is wrong");
    assert_eq!(
        serde_json::to_value(&bare).unwrap(),
        serde_json::json!({ "message": "something is wrong" })
    );
    assert_eq!(
        serde_json::from_value::<Problem>(serde_json::to_value(&bare).unwrap()).unwrap(),
        bare
    );
}
