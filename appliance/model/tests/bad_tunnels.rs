//! Every wrong tunnel in `tests/bad_tunnels` is refused with exactly the messages in the file of the same name that ends in
//! `.txt`. With `SLUICE_UPDATE_EXPECTED=1` in the environment those files are written anew, to be read.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use sluice_model::tunnel::TunnelSpec;
use sluice_model::{Kind, parse};

/// What must never be in a message, an answer or a log: each example's secrets begin with it, base64 ones too.
const SECRET: &str = "c2VjcmV0";

fn read(text: &str) -> TunnelSpec {
    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{text}\n{error}"))
}

fn problems(spec: &TunnelSpec) -> String {
    let mut lines = String::new();
    for (path, problem) in spec.problems() {
        writeln!(lines, "{path}: {problem}").unwrap();
    }
    lines
}

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad_tunnels");
    let mut cases: Vec<_> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    cases.sort();
    cases
}

#[test]
fn every_wrong_tunnel_is_refused_with_its_message() {
    let cases = cases();
    assert!(cases.len() >= 20, "only {} cases were found", cases.len());
    let update = std::env::var_os("SLUICE_UPDATE_EXPECTED").is_some();
    let mut wrong = String::new();
    for path in &cases {
        let name = path.file_name().unwrap().to_str().unwrap();
        let found = problems(&read(&std::fs::read_to_string(path).unwrap()));
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

const GOOD: [&str; 4] = [
    "{type: ikev2, remote: 198.51.100.2, networks: [10.2.0.0/16], strict: true, pathMtu: 1500, \
     ikev2: {preSharedKey: c2VjcmV0-and-long-enough, suites: [aes256gcm, chacha20poly1305]}}",
    "{type: ikev2, ikev2: {certificateFile: gateway.pem, authorityFile: authority.pem, role: responder}}",
    "{type: sharedKey, local: '2001:db8::1', remote: '2001:db8::2', networks: ['2001:db8:1::/48'], \
     sharedKey: {secret: c2VjcmV0-that-is-long-enough-for-a-group, suite: aes128gcm, rotateAfter: 8h}}",
    "{type: wireguard, wireguard: {privateKey: c2VjcmV0AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=, listenPort: 51820, \
     peers: [{publicKey: CQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=, allowed: [10.3.0.0/16, '2001:db8:3::/48'], \
     address: 203.0.113.5, port: 51820, keepAlive: 25s, preSharedKey: c2VjcmV0AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=}]}}",
];

#[test]
fn right_tunnels_are_right() {
    for text in GOOD {
        assert_eq!(problems(&read(text)), "", "{text}");
    }
}

#[test]
fn secrets_are_read_and_never_written() {
    let bad = cases().into_iter().map(|path| std::fs::read_to_string(path).unwrap());
    for text in bad.chain(GOOD.map(str::to_owned)) {
        let spec = read(&text);
        let json = serde_json::to_string(&spec).unwrap();
        let shown = format!("{json} {spec:?} {}", problems(&spec));
        assert!(!shown.contains(SECRET), "{shown}");
    }
    let spec = read(GOOD[2]);
    assert!(spec.shared_key.unwrap().secret.unwrap().expose().starts_with(SECRET));
}

/// A user must not be able to configure something that does nothing.
#[test]
fn a_tunnel_is_no_object_as_long_as_nothing_acts_on_it() {
    assert!(Kind::ALL.iter().all(|kind| kind.as_str() != "Tunnel"));
    let text = format!("kind: Tunnel\nmetadata: {{name: west}}\nspec: {}\n", GOOD[0]);
    let refused = parse("west.yaml", &text).unwrap_err();
    assert!(refused[0].to_string().contains("spec") || refused[0].field.as_deref() == Some("kind"));
}
