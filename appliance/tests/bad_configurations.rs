//! Every wrong configuration of the model's tests, through the whole daemon: the same messages, and nothing changes.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it fails")]

mod common;

use std::fmt::Write as _;
use std::path::Path;

use common::Server;

/// Something to be left alone.
const BASE: &str = "apiVersion: sluice.dev/v1
kind: Prefilter
metadata: {name: base-of-this-test}
spec: {deny: [203.0.113.77/32]}
";

#[tokio::test]
async fn every_wrong_configuration_changes_nothing_and_says_why() {
    let server = Server::start().await;
    server.gateway.apply(&(common::GATEWAY.to_owned() + BASE)).await.unwrap();
    let gateway = server.ask("DELETE", "/v1/gateways/gateway", "").await;
    assert_eq!(gateway.status, 422, "the prefilter needs a gateway: {}", gateway.body);
    let before = server.gateway.contents();

    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("model/tests/bad");
    let mut cases = 0;
    let mut wrong = String::new();
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            continue;
        }
        let name = path.file_name().unwrap().to_str().unwrap();
        let expected = std::fs::read_to_string(path.with_extension("txt")).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let empty =
            if name.starts_with("gateway-missing") { Some(Server::start().await) } else { None };
        let server = empty.as_ref().unwrap_or(&server);
        let answer = server.ask("POST", &format!("/v1/apply?file={name}"), &text).await;
        let problems = answer.json()["problems"].as_array().cloned().unwrap_or_default();
        let mut found = String::new();
        for problem in &problems {
            writeln!(found, "{}", problem["text"].as_str().unwrap()).unwrap();
        }
        if answer.status != 422 || found != expected {
            writeln!(wrong, "{name}: status {}, expected\n{expected}found\n{found}", answer.status)
                .unwrap();
        }
        cases += 1;
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(cases >= 60, "only {cases} cases were found");
    assert_eq!(server.gateway.contents(), before, "the tables did not change");
    assert_eq!(server.ask("GET", "/v1/status", "").await.json()["revision"], 1);
}
