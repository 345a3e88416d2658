//! Users, tokens, sessions, the audit log and the certificate, by the command.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it fails")]

mod common;

use std::fs;
use std::time::Duration;

use common::{GATEWAY, Server, service};
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

/// Writes a file beside the daemon's state; returns its path.
fn file(server: &Server, name: &str, text: &str) -> String {
    let path = server.gateway.directory.path().join(name);
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// Runs a command that succeeds.
async fn run(server: &Server, arguments: &str) -> String {
    let (code, out, error) = server.sluice(arguments).await;
    assert_eq!(code, 0, "{arguments}: {error}{out}");
    out
}

/// Runs a command that fails.
async fn fail(server: &Server, arguments: &str) -> String {
    let (code, out, error) = server.sluice(arguments).await;
    assert_eq!(code, 1, "{arguments}: {out}{error}");
    error
}

#[tokio::test]
async fn users_are_added_changed_and_removed_by_the_command() {
    let server = Server::start().await;
    let password = file(&server, "password", "correct horse battery\n");
    let add = format!("user add ada --role administrator --password-file {password}");
    assert_eq!(run(&server, &add).await, "ada may sign in by password as administrator\n");
    assert!(fail(&server, &add).await.contains("ada"));
    let short = file(&server, "short", "short\n");
    let refused = fail(&server, &format!("user password ada --password-file {short}")).await;
    assert!(refused.contains("twelve") || refused.contains("12"), "{refused}");
    run(&server, &format!("user password ada --password-file {password}")).await;
    run(&server, "user add metrics --role viewer --certificate metrics.example").await;
    let out = run(&server, "user set metrics --role operator").await;
    assert_eq!(out, "metrics may sign in by certificate metrics.example as operator\n");
    let list = run(&server, "user list").await;
    let names: Vec<_> = list.lines().skip(1).map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(names, ["ada", "metrics"], "{list}");
    assert!(fail(&server, "user remove ada").await.contains("administrator"), "the last one");
    run(&server, "user remove metrics").await;
    assert!(fail(&server, "user remove metrics").await.contains("metrics"));
    // Without a way to sign in, it is no command.
    assert_eq!(server.sluice("user add eve --role viewer").await.0, 2);
    let audit = run(&server, "audit").await;
    assert!(audit.contains("DELETE /v1/users/metrics") && audit.contains("root"), "{audit}");
    assert!(!run(&server, "-o json audit").await.contains("correct horse"));
}

#[tokio::test]
async fn a_token_made_by_the_command_opens_what_its_role_may() {
    let server = Server::start().await;
    let secret = run(&server, "token add graphs --role viewer --days 30").await;
    let token = file(&server, "graphs.token", &secret);
    let only_ours = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(&token, only_ours).unwrap();
    let fingerprint = server.certificates.about().fingerprint;
    let at = format!(
        "--server https://localhost:{} --fingerprint {fingerprint} --token-file {token}",
        server.tcp.port()
    );
    run(&server, &format!("{at} status")).await;
    let refused = fail(&server, &format!("{at} token list")).await;
    assert!(refused.contains("administrator"), "{refused}");
    let list: Value = serde_json::from_str(&run(&server, "-o json token list").await).unwrap();
    let made = &list["items"][0];
    assert_eq!((made["name"].as_str(), made["createdBy"].as_str()), (Some("graphs"), Some("root")));
    assert!(!list.to_string().contains(secret.trim()), "the secret is told once");
    let id = made["id"].as_str().unwrap();
    assert!(run(&server, "token list").await.contains(id));
    run(&server, &format!("token remove {id}")).await;
    assert!(fail(&server, &format!("{at} status")).await.starts_with("error: "));
    assert!(fail(&server, "token remove ../users/ada").await.contains("expected an id"));
}

#[tokio::test]
async fn sessions_and_the_audit_log_are_shown_by_the_command() {
    let server = Server::start().await;
    let password = file(&server, "password", "correct horse battery\n");
    run(&server, &format!("user add ada --role operator --password-file {password}")).await;
    let body = r#"{"user": "ada", "password": "correct horse battery"}"#;
    assert_eq!(server.ask_tls("POST", "/v1/session", "", body).await.status, 200);
    let list: Value = serde_json::from_str(&run(&server, "-o json session list").await).unwrap();
    let id = list["items"][0]["id"].as_str().unwrap();
    assert!(run(&server, "session list").await.contains("ada"));
    run(&server, &format!("session end {id}")).await;
    assert!(fail(&server, &format!("session end {id}")).await.contains(id));

    assert_eq!(run(&server, "audit -n 1").await.lines().count(), 2);
    assert!(run(&server, "audit check").await.contains("none was changed or taken away"));
    // Who takes a word out of the log is found out.
    let audit = server.gateway.directory.path().join("state/audit");
    let mut spoilt = 0;
    for entry in fs::read_dir(audit).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        if text.contains("/v1/users") {
            fs::write(&path, text.replacen("/v1/users", "/v1/usurp", 1)).unwrap();
            spoilt += 1;
        }
    }
    assert_eq!(spoilt, 1);
    let (code, out, error) = server.sluice("audit check").await;
    assert_eq!(code, 1);
    assert!(out.contains("BROKEN") && error.contains("not whole"), "{out}{error}");
}

#[tokio::test]
async fn the_certificate_is_shown_and_replaced_by_the_command() {
    let server = Server::start().await;
    let old = server.certificates.about().fingerprint;
    assert!(run(&server, "certificate").await.contains(&old));
    let made = rcgen::generate_simple_self_signed(vec!["gw.example".to_owned()]).unwrap();
    let chain = file(&server, "chain.pem", &made.cert.pem());
    let key = file(&server, "key.pem", &made.signing_key.serialize_pem());
    let refused =
        fail(&server, &format!("certificate replace --chain {chain} --key {chain}")).await;
    assert!(refused.contains("key"), "{refused}");
    assert_eq!(server.certificates.about().fingerprint, old);
    let out = run(&server, &format!("certificate replace --chain {chain} --key {key}")).await;
    assert!(out.contains("gw.example") && !out.contains(&old), "{out}");
    assert_eq!(run(&server, "certificate show").await, out);
}

#[tokio::test]
async fn what_cannot_be_recorded_is_not_done() {
    let server = Server::start().await;
    server.gateway.apply(GATEWAY).await.unwrap();
    let web = service("web", "192.0.2.10", "[{address: 10.0.1.1}]");
    let state = server.gateway.directory.path().join("state");
    fs::rename(state.join("audit"), state.join("elsewhere")).unwrap();
    let before = server.ask("GET", "/v1/export", "").await.body;
    assert_eq!(server.ask("POST", "/v1/apply", &web).await.status, 500);
    let token = r#"{"name": "machine", "role": "viewer"}"#;
    assert_eq!(server.ask("POST", "/v1/tokens", token).await.status, 500);
    assert_eq!(server.ask("GET", "/v1/export", "").await.body, before);
    assert!(!server.ask("GET", "/v1/tokens", "").await.body.contains("machine"));
    fs::rename(state.join("elsewhere"), state.join("audit")).unwrap();
    assert_eq!(server.ask("POST", "/v1/apply", &web).await.status, 200);
}

#[tokio::test]
async fn who_hangs_up_in_the_middle_of_a_change_is_recorded() {
    let server = Server::start().await;
    server.gateway.apply(GATEWAY).await.unwrap();
    let mut done = 0;
    for number in 0..40_u8 {
        let name = format!("s{number}");
        let body = service(&name, &format!("192.0.2.{}", number + 1), "[{address: 10.0.1.1}]");
        let path = format!("/v1/apply?message={name}");
        let head =
            format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
        let mut stream = UnixStream::connect(&server.socket).await.unwrap();
        stream.write_all((head + &body).as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_micros(400 * u64::from(number))).await;
        drop(stream);
        // Whatever was on its way is over when the next is answered.
        tokio::time::sleep(Duration::from_millis(30)).await;
        done +=
            usize::from(server.ask("GET", &format!("/v1/services/{name}"), "").await.status == 200);
    }
    let page: Value = server.ask("GET", "/v1/audit?limit=1000", "").await.json();
    let records = page["items"].as_array().unwrap();
    let recorded = records.iter().filter(|record| record["action"] == "POST /v1/apply").count();
    let hung_up = records.iter().filter(|record| record["status"] == 0).count();
    println!("{done} done, {recorded} recorded, {hung_up} of them without an end");
    assert!(done > 0 && recorded >= done, "{done} done, {recorded} recorded");
}
