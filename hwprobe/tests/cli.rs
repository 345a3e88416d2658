//! The command without a card: shipped profiles, comparison, schema.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::{Command, Output};

fn hwprobe(arguments: &str) -> Output {
    let words = arguments.split_whitespace();
    Command::new(env!("CARGO_BIN_EXE_hwprobe")).args(words).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn every_shipped_profile_is_listed_with_its_origin_and_can_be_shown() {
    let list = text(&hwprobe("list"));
    for (name, origin) in [("nfp", "derived from Linux"), ("netdevsim-6.12", ""), ("veth", "")] {
        let line = list.lines().find(|line| line.starts_with(name)).unwrap();
        assert!(line.contains(origin), "{line}");
        let shown = text(&hwprobe(&format!("show {name}")));
        assert!(shown.contains("offload.xdp.load"), "{shown}");
    }
    let evidence = text(&hwprobe("show nfp --evidence"));
    assert!(evidence.contains("drivers/net/ethernet/netronome/nfp/bpf/offload.c"), "{evidence}");
}

#[test]
fn a_profile_in_a_file_is_shown_as_one_that_is_shipped() {
    let json = text(&hwprobe("show mlx5 -o json"));
    let path = std::env::temp_dir().join(format!("hwprobe-cli-{}.json", std::process::id()));
    std::fs::write(&path, &json).unwrap();
    let again = hwprobe(&format!("show {} -o json", path.display()));
    let same = hwprobe(&format!("diff mlx5 {}", path.display()));
    std::fs::remove_file(&path).unwrap();
    assert_eq!(text(&again), json);
    assert!(same.status.success(), "{}", text(&same));
}

#[test]
fn a_comparison_names_each_line_and_says_by_its_code_that_there_is_one() {
    let output = hwprobe("diff nfp ice");
    assert_eq!(output.status.code(), Some(1));
    let text = text(&output);
    let line = text.lines().find(|line| line.starts_with("tc.flower.action.drop")).unwrap();
    let words: Vec<_> = line.split_whitespace().collect();
    assert_eq!(words, ["tc.flower.action.drop", "no", "yes"]);
}

#[test]
fn the_schema_is_the_published_one() {
    let printed: serde_json::Value = serde_json::from_str(&text(&hwprobe("schema"))).unwrap();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/profile/schema/profile.schema.json");
    let published = std::fs::read_to_string(path).unwrap();
    let published: serde_json::Value = serde_json::from_str(&published).unwrap();
    assert_eq!(printed, published);
}

#[test]
fn what_is_not_there_is_named_with_a_way_out() {
    for (arguments, words) in [
        ("show nothing.json", "`hwprobe list` names the shipped ones"),
        ("no-such-link0", "there is no such link"),
        ("show Cargo.toml", "not a capability profile"),
    ] {
        let output = hwprobe(arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments}");
        assert!(error.contains(words), "{arguments}: {error}");
    }
    assert_eq!(hwprobe("a b").status.code(), Some(2));
}
