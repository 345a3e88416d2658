//! The API over its sockets: objects, errors, tokens, events.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it fails")]

mod common;

use std::time::Duration;

use common::{GATEWAY, Server, TOKEN, ask, service};
use serde_json::{Value, json};
use sluice_appliance::api::Listeners;
use sluice_appliance::event::{Event, EventKind, Severity};
use sluice_datapath::abi::{PrefilterHit, PrefilterWord, Reason, address4};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

async fn configured() -> Server {
    let server = Server::start().await;
    let yaml = GATEWAY.to_owned()
        + &service("web", "192.0.2.10", "[{address: 10.0.1.1}, {address: 10.0.1.2}]");
    let answer = server.ask("POST", "/v1/apply", &yaml).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.json()["revision"], 1);
    server
}

#[tokio::test]
async fn objects_are_listed_read_and_written_back() {
    let server = configured().await;
    let list = server.ask("GET", "/v1/services", "").await.json();
    assert_eq!((list["revision"].as_u64(), list["items"].as_array().unwrap().len()), (Some(1), 1));
    let mut web = server.ask("GET", "/v1/services/web", "").await.json();
    assert_eq!(web["metadata"]["resourceVersion"], "1");
    assert_eq!(web["status"]["backends"][1]["state"], "up");
    assert_eq!(web["status"]["origin"]["type"], "api");

    // What was read can be written back, status and all.
    web["spec"]["backends"][0]["weight"] = json!(3);
    let answer = server.ask("PUT", "/v1/services/web", &web.to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let change = &answer.json()["diff"]["changed"][0];
    assert_eq!(change["fields"][0]["field"], "spec.backends[0].weight");

    // A second time it is stale.
    let answer = server.ask("PUT", "/v1/services/web", &web.to_string()).await;
    assert_eq!((answer.status, answer.json()["type"].as_str()), (409, Some("/problems/stale")));
    assert!(answer.head.to_ascii_lowercase().contains("content-type: application/problem+json"));
    assert!(
        answer.json()["detail"]
            .as_str()
            .unwrap()
            .contains("its resourceVersion is 2, the request says 1")
    );
}

#[tokio::test]
async fn put_without_version_needs_force() {
    let server = configured().await;
    let yaml = service("web", "192.0.2.10", "[{address: 10.0.1.3}]");
    let answer = server.ask("PUT", "/v1/services/web", &yaml).await;
    assert_eq!(
        (answer.status, answer.json()["type"].as_str()),
        (428, Some("/problems/version-required"))
    );
    assert_eq!(server.ask("PUT", "/v1/services/web?force=true", &yaml).await.status, 200);
    assert_eq!(
        server.ask("PUT", "/v1/services/other?force=true", &yaml).await.status,
        422,
        "another name"
    );
    let both = yaml.clone() + &service("b", "192.0.2.12", "[]");
    assert_eq!(
        server.ask("PUT", "/v1/services/web?force=true", &both).await.status,
        400,
        "two objects"
    );
}

#[tokio::test]
async fn patch_and_delete() {
    let server = configured().await;
    let answer =
        server.ask("PATCH", "/v1/services/web", r#"{"spec": {"affinity": "source"}}"#).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(
        server.ask("GET", "/v1/services/web", "").await.json()["spec"]["affinity"],
        "source"
    );
    let answer =
        server.ask("PATCH", "/v1/services/web", r#"{"spec": {"affinty": "source"}}"#).await;
    assert_eq!(answer.status, 422);
    assert_eq!(answer.json()["problems"][0]["field"], "spec.affinty");
    assert_eq!(server.ask("PATCH", "/v1/services/web", "[").await.status, 400);

    assert_eq!(server.ask("DELETE", "/v1/services/web?resourceVersion=1", "").await.status, 409);
    assert_eq!(
        server.ask("DELETE", "/v1/services/web?resourceVersion=2&dryRun=true", "").await.status,
        200
    );
    assert_eq!(server.ask("DELETE", "/v1/services/web?resourceVersion=2", "").await.status, 200);
    let answer = server.ask("GET", "/v1/services/web", "").await;
    assert_eq!((answer.status, answer.json()["type"].as_str()), (404, Some("/problems/not-found")));
    assert_eq!(server.ask("DELETE", "/v1/services/web", "").await.status, 404);
}

#[tokio::test]
async fn problems_have_file_line_column_and_field() {
    let server = Server::start().await;
    let yaml =
        GATEWAY.to_owned() + &service("web", "192.0.2.10", "[{address: 10.0.1.1, port: 81}]");
    let answer = server.ask("POST", "/v1/apply?file=web.yaml&dryRun=true", &yaml).await;
    assert_eq!(answer.status, 422);
    let problem = &answer.json()["problems"][0];
    assert_eq!(
        (problem["file"].as_str(), problem["line"].as_u64()),
        (Some("web.yaml"), Some(16)),
        "{problem}"
    );
    assert_eq!(problem["object"], "Service/web");
    assert_eq!(problem["field"], "spec.backends[0].port");
    assert!(problem["column"].is_u64() && problem["hint"].is_string());
}

#[tokio::test]
async fn every_error_is_a_problem() {
    let server = Server::start().await;
    for (method, path, body, status) in [
        ("GET", "/v2/status", "", 404),
        ("GET", "/v1/services/No_Name", "", 400),
        ("POST", "/v1/status", "", 405),
        ("GET", "/v1/events?from=never", "", 400),
        ("GET", "/v1/events?kind=dropp", "", 400),
        ("POST", "/v1/trace", "{\"protocol\": \"tcp\"}", 400),
        ("POST", "/v1/apply?dryrun=true", "", 400),
    ] {
        let answer = server.ask(method, path, body).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.body);
        assert_eq!(answer.json()["status"], status, "{method} {path}");
        assert!(!answer.json()["detail"].as_str().unwrap().is_empty());
    }
}

#[tokio::test]
async fn tcp_needs_the_token() {
    let server = configured().await;
    let right = format!("Authorization: Bearer {TOKEN}\r\n");
    assert_eq!(server.ask_tcp("/v1/status", &right).await.status, 200);
    for wrong in [
        "",
        "Authorization: Bearer 0123456789abcdef0123456789abcdeF\r\n",
        "Authorization: Basic eDp5\r\n",
    ] {
        let answer = server.ask_tcp("/v1/status", wrong).await;
        assert_eq!(
            (answer.status, answer.json()["type"].as_str()),
            (401, Some("/problems/unauthorized"))
        );
        assert!(answer.head.to_ascii_lowercase().contains("www-authenticate: bearer"));
        assert!(!answer.body.contains("web"), "nothing is told");
    }
    for probe in ["/healthz", "/readyz"] {
        assert_eq!(server.ask_tcp(probe, "").await.status, 200);
    }
    assert_eq!(server.ask_tcp("/metrics", "").await.status, 401);
    assert_eq!(server.ask_tcp("/nothing", "").await.status, 401);
}

#[tokio::test]
async fn the_api_knows_who_asks() {
    let server = Server::start().await;
    let root = server.ask("GET", "/v1/session", "").await.json();
    assert_eq!(
        root,
        json!({"user": "root", "role": "administrator", "readOnly": false, "kind": "socket", "from": "local"})
    );
    let token = format!("Authorization: Bearer {TOKEN}\r\n");
    let machine = server.ask_tcp("/v1/session", &token).await.json();
    assert_eq!(
        (machine["kind"].as_str(), machine["from"].as_str()),
        (Some("token"), Some("127.0.0.1"))
    );
}

#[tokio::test]
async fn socket_is_for_its_owner_and_for_one_daemon() {
    use std::os::unix::fs::PermissionsExt;
    let server = Server::start().await;
    let mode = std::fs::metadata(&server.socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let error = Listeners::open(&server.socket, None).await.unwrap_err();
    assert!(error.to_string().contains("another sluiced answers there"), "{error}");
    // A daemon that was killed leaves its socket: the next one takes it.
    server.task.abort();
    let _ = server.task.await;
    Listeners::open(&server.socket, None).await.unwrap();
}

#[tokio::test]
async fn socket_of_a_dying_daemon_is_awaited() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("api.sock");
    let dying = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let next = tokio::spawn(async move { Listeners::open(&path, None).await.map(|_| directory) });
    tokio::time::sleep(Duration::from_millis(300)).await;
    drop(dying);
    next.await.unwrap().unwrap();
}

#[tokio::test]
async fn slow_clients_are_cut_off_and_long_bodies_refused() {
    let server = Server::start().await;
    let mut stream = UnixStream::connect(&server.socket).await.unwrap();
    stream.write_all(b"GET /v1/status HTTP/1.1\r\nHost: x\r\n").await.unwrap();
    // The rest never comes. Meanwhile others are served.
    assert_eq!(server.ask("GET", "/healthz", "").await.status, 200);
    let long = "#".repeat((64 << 20) + 1);
    let stream = UnixStream::connect(&server.socket).await.unwrap();
    let answer = ask(stream, "POST", "/v1/apply", "Expect: 100-continue\r\n", &long[..0]).await;
    assert_eq!(answer.status, 200, "an empty body is no object: {}", answer.body);
}

/// The next message of a stream of events: its lines.
async fn message<S: tokio::io::AsyncBufRead + Unpin>(stream: &mut S) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        timeout(Duration::from_secs(5), stream.read_line(&mut line))
            .await
            .expect("an event in time")
            .unwrap();
        let text = line.trim_end();
        let is_field = ["id:", "event:", "data:"].iter().any(|field| text.starts_with(field));
        if is_field {
            lines.push(text.to_owned());
        } else if text.is_empty() && !lines.is_empty() {
            return lines;
        }
    }
}

async fn follow(server: &Server, path: &str, headers: &str) -> BufReader<UnixStream> {
    let mut stream = UnixStream::connect(&server.socket).await.unwrap();
    stream
        .write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n").as_bytes())
        .await
        .unwrap();
    BufReader::new(stream)
}

fn data(message: &[String]) -> Value {
    let line = message.iter().find_map(|line| line.strip_prefix("data: ")).unwrap();
    serde_json::from_str(line).unwrap()
}

#[tokio::test]
async fn events_are_resumed_where_the_reader_stopped() {
    let server = configured().await;
    let mut stream =
        follow(&server, "/v1/events?from=start&kind=config-applied,backend-up", "").await;
    let first = message(&mut stream).await;
    assert_eq!(data(&first)["kind"], "config-applied");
    let id = first.iter().find_map(|line| line.strip_prefix("id: ")).unwrap().to_owned();
    drop(stream);

    let push = |number: u32| {
        let event = Event::new(EventKind::BackendUp, Severity::Info, format!("number {number}"));
        server.gateway.log.push(event);
    };
    push(1);
    let path = "/v1/events?kind=config-applied,backend-up";
    let mut stream = follow(&server, path, &format!("Last-Event-ID: {id}\r\n")).await;
    assert_eq!(data(&message(&mut stream).await)["message"], "number 1");
    push(2);
    let second = message(&mut stream).await;
    assert_eq!(data(&second)["message"], "number 2");
    assert!(second.contains(&"event: backend-up".to_owned()));

    let mut stream = follow(&server, path, "Last-Event-ID: 1-5\r\n").await;
    assert_eq!(message(&mut stream).await[0], "event: restarted");
}

#[tokio::test]
async fn events_that_are_gone_are_counted() {
    let server = configured().await;
    for _ in 0..20_000 {
        server.gateway.log.push(Event::new(EventKind::Drop, Severity::Warning, "a packet"));
    }
    let answer = server.ask("GET", "/v1/events?from=start&follow=false", "").await;
    let lost =
        answer.body.split("\n\n").find(|message| message.starts_with("event: lost")).unwrap();
    assert!(lost.contains(&format!("{{\"lost\":{}}}", 20_000 - 16_384)), "{lost}");
    assert_eq!(answer.body.matches("event: drop").count(), 16_384);
    assert_eq!(
        answer.body.matches("event: config-applied").count(),
        1,
        "the flood leaves the rest"
    );
}

#[tokio::test]
async fn metrics_are_text_for_prometheus() {
    let server = configured().await;
    server.gateway.world.count(Reason::DropDenied, 7, 700);
    server.gateway.world.add_prefilter_hit(PrefilterHit {
        address: address4([198, 51, 100, 0].into()),
        word: PrefilterWord::new(24, true),
        family: 4,
        hits: 7,
        votes: 7,
    });
    let answer = server.ask("GET", "/metrics", "").await;
    assert!(
        answer.head.to_ascii_lowercase().contains("content-type: application/openmetrics-text")
    );
    for line in [
        "sluice_ready 1",
        "sluice_revision 1",
        "sluice_packets_total{class=\"drop\",reason=\"denied\"} 7",
        "sluice_prefix_hits_total{prefix=\"198.51.100.0/24\",action=\"deny\"} 7",
        "sluice_packet_bytes_total{class=\"drop\",reason=\"denied\"} 700",
        "sluice_backends{service=\"web\",state=\"up\"} 2",
        "sluice_backend_packets_total{service=\"web\",backend=\"10.0.1.1\",direction=\"forward\"} 0",
    ] {
        assert!(
            answer.body.lines().any(|found| found == line),
            "{line} is missing in\n{}",
            answer.body
        );
    }
    assert!(answer.body.ends_with("# EOF\n"));
}

#[tokio::test]
async fn trace_tells_what_decides() {
    let server = configured().await;
    let prefilter = "apiVersion: sluice.dev/v1\nkind: Prefilter\nmetadata: {name: list}\nspec: {deny: [198.51.100.0/24], allow: [198.51.100.7/32]}";
    assert_eq!(server.ask("POST", "/v1/apply", prefilter).await.status, 200);
    let trace = async |source: &str, destination: &str| {
        let packet = json!({"protocol": "tcp", "source": source, "destination": destination, "flags": ["syn"]});
        server.ask("POST", "/v1/trace", &packet.to_string()).await.json()
    };
    let before = server.gateway.contents();
    let sent = trace("198.51.100.7:1234", "192.0.2.10:80").await;
    assert_eq!(
        (sent["verdict"].as_str(), sent["reason"].as_str()),
        (Some("sent"), Some("encapsulated"))
    );
    assert_eq!(sent["service"], "web");
    assert!(["10.0.1.1", "10.0.1.2"].contains(&sent["backend"]["address"].as_str().unwrap()));
    assert_eq!(sent["nextHop"]["link"], "eth1");
    assert_eq!(
        sent["prefix"],
        json!({"prefix": "198.51.100.7/32", "action": "allow", "prefilter": "list"})
    );
    assert_eq!(sent["after"].as_array().unwrap().len(), 4, "{}", sent["after"]);

    let denied = trace("198.51.100.8:1234", "192.0.2.10:80").await;
    assert_eq!(
        (denied["verdict"].as_str(), denied["reason"].as_str()),
        (Some("drop"), Some("denied"))
    );
    assert_eq!(denied["prefix"]["prefix"], "198.51.100.0/24");
    let passed = trace("203.0.113.1:1234", "192.0.2.10:81").await;
    assert_eq!(
        (passed["verdict"].as_str(), passed["reason"].as_str()),
        (Some("pass"), Some("not-service"))
    );
    assert_eq!(server.gateway.contents(), before, "a trace remembers nothing");
}

#[tokio::test]
async fn stopping_ends_streams_and_the_socket() {
    let server = configured().await;
    let mut stream = follow(&server, "/v1/events?from=start", "").await;
    message(&mut stream).await;
    server.stop.send_replace(true);
    timeout(Duration::from_secs(10), server.task).await.expect("the server ends").unwrap();
    assert!(!server.socket.exists());
    assert!(TcpStream::connect(server.tcp).await.is_err());
}

#[tokio::test]
async fn rates_are_kept_by_second_and_by_minute() {
    let server = configured().await;
    let names = async {
        loop {
            let names = server.ask("GET", "/v1/series/names", "").await.json();
            if names["names"].as_array().unwrap().contains(&json!("service/web/packets")) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(Duration::from_secs(20), names).await.unwrap();
    let answer = server.ask("GET", "/v1/series?name=traffic/,service/web/bytes&count=10", "").await;
    let answer = answer.json();
    assert_eq!(answer["series"].as_array().unwrap().len(), 7, "{answer}");
    assert_eq!(answer["series"][0]["values"].as_array().unwrap().len(), 10);
    let wrong = server.ask("GET", "/v1/series?name=traffic/&step=1h", "").await;
    assert_eq!(wrong.status, 400, "{}", wrong.body);
}

#[tokio::test]
async fn cards_can_be_looked_at_and_supposed() {
    let server = configured().await;
    let names = server.ask("GET", "/v1/profiles", "").await.json();
    assert!(names["names"].as_array().unwrap().contains(&json!("nfp")), "{names}");
    let mut nfp = server.ask("GET", "/v1/profiles/nfp", "").await.json();
    let supposed = json!({ "link": "eth0", "profile": nfp["profile"].take() });
    let answer = server.ask("POST", "/v1/plan", &supposed.to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let wrong = server.ask("GET", "/v1/profiles/none", "").await;
    assert!(wrong.status == 400 && wrong.body.contains("nfp"), "{}", wrong.body);
    let links = server.ask("GET", "/v1/capabilities", "").await;
    assert_eq!(links.status, 200, "{}", links.body);
}

/// The console's client is generated from this file, so whatever changes the API changes it too.
#[test]
fn the_console_is_made_from_the_document_of_this_daemon() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../web-ui/openapi.json");
    let written: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    assert!(
        written == sluice_appliance::api::openapi(),
        "web-ui/openapi.json is stale: `cargo xtask build-console` writes it"
    );
}
