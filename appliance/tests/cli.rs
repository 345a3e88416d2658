//! The command against a daemon.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it fails")]

mod common;

use std::fs;

use common::{GATEWAY, Server, service};
use serde_json::Value;
use sluice_datapath::abi::Reason;

fn config(server: &Server, text: &str) -> String {
    let path = server.gateway.directory.path().join("input.yaml");
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn web(backends: &str) -> String {
    GATEWAY.to_owned() + &service("web", "192.0.2.10", backends)
}

#[tokio::test]
async fn apply_get_edit_apply_delete() {
    let server = Server::start().await;
    let file = config(&server, &web("[{address: 10.0.1.1}]"));
    let (code, out, _) = server.sluice(&format!("apply -f {file} --dry-run")).await;
    assert_eq!(code, 0);
    assert!(
        out.contains("Service/web created\nthis would be revision 1; nothing was changed"),
        "{out}"
    );
    let (code, out, _) = server.sluice(&format!("apply -f {file}")).await;
    assert_eq!(
        (code, out.as_str()),
        (0, "Gateway/gateway created\nService/web created\nrevision 1\n")
    );

    let (_, out, _) = server.sluice("get services").await;
    let row: Vec<_> = out.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(row[..5], ["web", "192.0.2.10", "80/TCP", "dsr", "1/1"]);

    // Read, edit, write back; then the file that was read is stale.
    let (_, out, _) = server.sluice("get service web -o yaml").await;
    let file = config(&server, &out.replace("weight: 1", "weight: 5"));
    let (code, out, _) = server.sluice(&format!("apply -f {file}")).await;
    assert_eq!(
        (code, out.as_str()),
        (0, "Service/web changed\n  spec.backends[0].weight: 1 -> 5\nrevision 2\n")
    );
    let stale = fs::read_to_string(&file).unwrap().replace("weight: 5", "weight: 6");
    let file = config(&server, &stale);
    let (code, _, error) = server.sluice(&format!("apply -f {file}")).await;
    assert_eq!(code, 1);
    assert!(error.starts_with("error: Service/web was changed in between"), "{error}");

    let (code, out, _) = server.sluice("delete service web").await;
    assert_eq!((code, out.as_str()), (0, "Service/web removed\nrevision 3\n"));
    let (code, _, error) = server.sluice("delete service web").await;
    assert_eq!(
        (code, error.as_str()),
        (1, "error: Service/web does not exist: `sluice get service` lists what does\n")
    );
}

#[tokio::test]
async fn problems_are_printed_as_a_compiler_prints_them() {
    let server = Server::start().await;
    let file = config(&server, &web("[{address: 10.0.1.1, weigth: 2}, {address: 10.0.1}]"));
    let (code, out, error) = server.sluice(&format!("apply -f {file}")).await;
    assert_eq!((code, out.as_str()), (1, ""));
    let lines: Vec<_> = error.lines().collect();
    assert_eq!(lines[0], "error: The configuration is not valid; nothing was changed");
    assert!(
        lines[1].starts_with(&format!("{file}:16:34: Service/web: spec.backends[0].weigth: ")),
        "{error}"
    );
    assert_eq!(lines.len(), 3, "{error}");
}

#[tokio::test]
async fn output_is_a_table_json_or_yaml() {
    let server = Server::start().await;
    let file = config(&server, &web("[{address: 10.0.1.1}]"));
    server.sluice(&format!("apply -f {file}")).await;
    for command in [
        "status",
        "get gateways",
        "get services",
        "get prefilters",
        "get service web",
        "plan",
        "version",
        "describe service web",
        "describe gateway gateway",
        "top -n 1 --interval 0.1",
        "trace tcp 198.51.100.7:1234 192.0.2.10:80 --flags syn",
    ] {
        let (code, table, error) = server.sluice(command).await;
        assert_eq!(code, 0, "{command}: {error}");
        assert!(!table.trim().is_empty() && !table.starts_with('{'), "{command}: {table}");
        let (_, text, _) = server.sluice(&format!("-o json {command}")).await;
        let json: Value = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{command}: {error}: {text}"));
        let (_, text, _) = server.sluice(&format!("-o yaml {command}")).await;
        if !command.starts_with("get ") && !command.starts_with("top") {
            let yaml: Value = serde_saphyr::from_str(&text)
                .unwrap_or_else(|error| panic!("{command}: {error}: {text}"));
            let keys =
                |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
            assert_eq!(keys(&json), keys(&yaml), "{command}");
        }
    }
}

#[tokio::test]
async fn status_counts_drops_by_reason() {
    let server = Server::start().await;
    server.gateway.world.count(Reason::DropDenied, 7, 700);
    server.gateway.world.count(Reason::DropNoNextHop, 9, 900);
    let (code, out, error) = server.sluice("status").await;
    assert_eq!(code, 0, "{error}");
    let drops: Vec<Vec<&str>> = out
        .lines()
        .skip_while(|line| !line.starts_with("DROPPED"))
        .skip(1)
        .take(2)
        .map(|line| line.split_whitespace().take(2).collect())
        .collect();
    assert_eq!(drops, [["no-next-hop", "9"], ["denied", "7"]], "{out}");
}

#[tokio::test]
async fn lists_as_yaml_can_be_applied_again() {
    let server = Server::start().await;
    let yaml =
        web("[{address: 10.0.1.1}]") + &service("api", "192.0.2.11", "[{address: 10.0.1.2}]");
    let file = config(&server, &yaml);
    server.sluice(&format!("apply -f {file}")).await;
    let (_, out, _) = server.sluice("get services -o yaml").await;
    let file = config(&server, &out);
    let (code, out, error) = server.sluice(&format!("apply -f {file}")).await;
    assert_eq!((code, out.as_str()), (0, "nothing changes\nrevision 1\n"), "{error}");
}

#[tokio::test]
async fn tcp_with_a_token_works_like_the_socket() {
    let server = Server::start().await;
    let token = server.token_file.display();
    let (fingerprint, port) = (server.certificates.about().fingerprint, server.tcp.port());
    let kept = server.gateway.directory.path().join("state/certificate.pem");
    let (at, ca) = (format!("--server https://localhost:{port}"), kept.display());
    for known in [format!("--fingerprint {fingerprint}"), format!("--ca {ca}")] {
        let (code, out, error) =
            server.sluice(&format!("{at} {known} --token-file {token} status")).await;
        assert_eq!(code, 0, "{error}");
        assert!(out.starts_with("sluiced "), "{out}");
    }
    for (options, says) in [
        (format!("{at} --fingerprint {fingerprint}"), "Authorization: Bearer"),
        (format!("{at} --token-file {token}"), "--fingerprint"),
        (format!("{at} --fingerprint {} --token-file {token}", "0".repeat(64)), &*fingerprint),
        (format!("{at} --fingerprint 12 --token-file {token}"), "64 hexadecimal digits"),
        (format!("--server http://localhost:{port} --token-file {token}"), "https://"),
    ] {
        let (code, _, error) = server.sluice(&format!("{options} status")).await;
        assert_ne!(code, 0, "{options}");
        assert!(error.contains(says), "{options}: {error}");
    }
}

#[tokio::test]
async fn events_are_shown_and_followed() {
    let server = Server::start().await;
    let file = config(&server, &web("[{address: 10.0.1.1}]"));
    server.sluice(&format!("apply -f {file}")).await;
    let (code, out, _) = server.sluice("events --kind config-applied").await;
    assert_eq!(code, 0);
    assert!(out.contains("config-applied") && out.contains("revision 1 is in force"), "{out}");
    assert_eq!(out.lines().count(), 1);
    let (_, out, _) = server.sluice("-o json events --kind config-applied").await;
    let event: Value = serde_json::from_str(out.trim()).unwrap();
    assert_eq!(event["fields"]["revision"], 1);
}

#[tokio::test]
async fn wrong_command_lines_end_with_two_and_no_daemon_with_one() {
    let server = Server::start().await;
    assert_eq!(server.sluice("get nothing").await.0, 2);
    assert_eq!(server.sluice("frobnicate").await.0, 2);
    assert_eq!(server.sluice("trace icmp 192.0.2.1:1 192.0.2.2:2").await.0, 2);
    assert_eq!(server.sluice("--help").await.0, 0);
    std::fs::remove_file(&server.socket).unwrap();
    let (code, _, error) = server.sluice("status").await;
    assert_eq!(code, 1);
    assert!(error.contains("api.sock") && error.contains("is it running?"), "{error}");
}

#[tokio::test]
async fn packet_that_cannot_be_is_not_traced() {
    let server = Server::start().await;
    let file = config(&server, &web("[{address: 10.0.1.1}]"));
    server.sluice(&format!("apply -f {file}")).await;
    let trace = "trace udp 198.51.100.7:1234 192.0.2.10:80 --payload";
    let (code, _, error) = server.sluice(&format!("{trace} 65508")).await;
    assert!(code == 1 && error.contains("65508 bytes behind the headers"), "{code}: {error}");
    let (code, out, error) = server.sluice(&format!("{trace} 65507")).await;
    assert!(code == 0 && out.contains("not-service"), "{out}{error}");
}

#[tokio::test]
async fn completions_and_manual_pages_are_generated() {
    let server = Server::start().await;
    let (code, out, _) = server.sluice("completions bash").await;
    assert_eq!(code, 0);
    assert!(out.contains("_sluice()"));
    let directory = server.gateway.directory.path().join("man");
    let (code, _, error) = server.sluice(&format!("man {}", directory.display())).await;
    assert_eq!(code, 0, "{error}");
    let page = fs::read_to_string(directory.join("sluice-apply.1")).unwrap();
    assert!(page.contains("dry\\-run"), "{page}");
    let page = fs::read_to_string(directory.join("sluiced.1")).unwrap();
    assert!(page.contains("detach\\-all"), "{page}");
}
