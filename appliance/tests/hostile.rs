//! Bodies that nobody means well with, random ones and mutated good ones, to every route that takes one: no panic, no
//! answer of the 5xx kind, and no change without an answer of the 2xx kind. `SLUICE_LONG=1` sends a hundred thousand.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it fails")]

mod common;

use std::env;
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use common::{GATEWAY, Server, service};
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rcgen::generate_simple_self_signed;
use serde_json::{Map, Value, json};
use tokio::net::UnixStream;
use tokio::time::timeout;

/// So many refused requests in a row are followed by one look at the state.
const BATCH: usize = 20;

/// What a run sends depends on its seed only (SplitMix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    fn chance(&mut self, one_in: usize) -> bool {
        self.below(one_in) == 0
    }
}

/// A route with a body that it takes.
struct Target {
    method: String,
    path: String,
    body: String,
    /// Whether it can be tried out only.
    tries: bool,
}

/// A body for every route that may take one; a new route without is noticed.
fn seed(method: &str, path: &str, backup: &Value) -> String {
    let web = service("web", "192.0.2.10", "[{address: 10.0.1.1, weight: 2}]");
    let prefilter = "apiVersion: sluice.dev/v1\nkind: Prefilter\nmetadata: {name: web}\nspec: {deny: [198.51.100.0/24]}\n";
    let gateway = GATEWAY.replace("name: gateway", "name: web").replace("---\n", "");
    let password = "correct horse battery";
    let json = match path {
        "/v1/apply" => return web + prefilter,
        "/v1/import" => return format!("{GATEWAY}{web}"),
        "/v1/services/{name}" if method == "PUT" => return web.replace("---\n", ""),
        "/v1/prefilters/{name}" if method == "PUT" => return prefilter.to_owned(),
        "/v1/gateways/{name}" if method == "PUT" => return gateway,
        "/v1/services/{name}" => {
            json!({"spec": {"affinity": "source", "backends": [{"address": "10.0.1.3"}]}})
        }
        "/v1/prefilters/{name}" => json!({"spec": {"deny": ["203.0.113.0/24", "2001:db8::/32"]}}),
        "/v1/gateways/{name}" => json!({"spec": {"links": [{"name": "eth0"}]}}),
        "/v1/candidate/commit" | "/v1/revisions/{revision}/rollback" => {
            json!({"message": "why", "confirmSeconds": 86_400, "acceptWarnings": true})
        }
        "/v1/trace" => json!({
            "link": "eth0", "protocol": "tcp", "source": "198.51.100.7:1234",
            "destination": "192.0.2.10:80", "flags": ["syn"], "payload": 9, "ttl": 64
        }),
        "/v1/plan" => json!({"profile": {"schema": 1}, "link": "eth0"}),
        "/v1/backup" => json!({"passphrase": "a passphrase for it"}),
        "/v1/restore" => {
            json!({"backup": backup, "passphrase": "a passphrase for it", "keepUsers": true})
        }
        "/v1/setup" => json!({"token": "guess", "user": "eve", "password": password}),
        "/v1/session" => json!({"user": "ada", "password": password, "totp": "123456"}),
        "/v1/users" => {
            json!({"name": "ada", "role": "viewer", "password": password, "certificate": "a.example"})
        }
        "/v1/users/{name}" => json!({"role": "operator", "certificate": "b.example"}),
        "/v1/users/{name}/password" => json!({"password": password, "current": password}),
        "/v1/users/{name}/totp" => json!({"code": "123456", "current": password}),
        "/v1/tokens" => json!({"name": "machine", "role": "viewer", "readOnly": true, "days": 30}),
        "/v1/certificate" => {
            let made = generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
            json!({"certificate": made.cert.pem(), "key": made.signing_key.serialize_pem()})
        }
        "/v1/candidate/validate" | "/v1/confirmation" | "/v1/links/{name}/probe" => json!({}),
        _ if method == "DELETE" => json!({}),
        _ => panic!("{method} {path} has no body to start from: add one"),
    };
    json.to_string()
}

fn targets(backup: &Value) -> Vec<Target> {
    let document = sluice_appliance::api::openapi();
    let mut targets = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            if method == "get" {
                continue;
            }
            let method = method.to_uppercase();
            let body = seed(&method, path, backup);
            let mut parameters = operation["parameters"].as_array().into_iter().flatten();
            let tries = parameters.any(|parameter| parameter["name"] == "dryRun");
            targets.push(Target { method, path: path.clone(), body, tries });
        }
    }
    assert!(targets.len() > 30, "{}", targets.len());
    targets
}

/// Values of every kind in the place of the one expected.
fn strange(dice: &mut Dice) -> Value {
    let long = "x".repeat(1 << dice.below(14));
    dice.one(&[
        Value::Null,
        json!(true),
        json!(0),
        json!(-1),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(1e308),
        json!(0.1),
        json!(65_536),
        json!(""),
        json!("\u{0}"),
        json!("../../etc/passwd"),
        json!("\u{202e}\u{fffd}é\u{1f980}"),
        json!("0.0.0.0/0"),
        json!("::/0"),
        json!("255.255.255.255"),
        json!("ff02::1"),
        json!("999999999999999999999999"),
        json!("2001:db8::/129"),
        json!(long),
        json!([]),
        json!({}),
        json!([[[[]]]]),
        json!({"": {"": null}}),
    ])
    .clone()
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Object(fields) => fields.values().map(count).sum(),
        Value::Array(values) => values.iter().map(count).sum(),
        _ => 0,
    }
}

/// Changes the value with this number, counted as they stand.
fn change(value: &mut Value, number: &mut usize, dice: &mut Dice) {
    if *number == 0 {
        match value {
            Value::Object(fields) if !fields.is_empty() && dice.chance(2) => {
                change_fields(fields, dice)
            }
            Value::Array(values) if !values.is_empty() && dice.chance(2) => {
                let again = dice.one(&values[..]).clone();
                values.extend(std::iter::repeat_n(again, 1 << dice.below(8)));
            }
            _ => *value = strange(dice),
        }
    }
    let Some(rest) = number.checked_sub(1) else { return *number = usize::MAX };
    *number = rest;
    match value {
        Value::Object(fields) => fields.values_mut().for_each(|value| change(value, number, dice)),
        Value::Array(values) => values.iter_mut().for_each(|value| change(value, number, dice)),
        _ => {}
    }
}

fn change_fields(fields: &mut Map<String, Value>, dice: &mut Dice) {
    let names: Vec<_> = fields.keys().cloned().collect();
    let name = dice.one(&names[..]).clone();
    let value = if dice.chance(3) { strange(dice) } else { fields[&name].clone() };
    match dice.below(3) {
        0 => drop(fields.remove(&name)),
        1 => drop(fields.insert(format!("{name}x"), value)),
        _ => {
            fields.remove(&name);
            fields
                .insert(dice.one(&["", "spec", "name", "__proto__", "dryRun"]).to_string(), value);
        }
    }
}

/// The bytes as they come, without any regard for what they mean.
fn spoil(bytes: &mut Vec<u8>, others: &[Target], dice: &mut Dice) {
    for _ in 0..=dice.below(4) {
        let at = dice.below(bytes.len() + 1);
        match dice.below(6) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, dice.next() as u8),
            2 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
            3 => {
                let end = (at + dice.below(64)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            4 => {
                let other = dice.one(others).body.as_bytes();
                let from = dice.below(other.len());
                bytes.splice(at..at, other[from..].to_vec());
            }
            _ => {
                let piece = dice.one(&[
                    "\0",
                    "\n---\n",
                    "\t",
                    "{",
                    "]",
                    "\"",
                    "&a [*a, *a]",
                    "!!binary x",
                    "\u{feff}",
                    "%YAML 9\n",
                ]);
                bytes.splice(at..at, piece.bytes());
            }
        }
    }
}

/// Forms that have felled parsers before: depth, aliases that multiply, no end.
fn classic(dice: &mut Dice) -> Vec<u8> {
    let depth = 1 << dice.below(17);
    match dice.below(6) {
        0 => "[".repeat(depth).into_bytes(),
        1 => "{\"a\":".repeat(depth).into_bytes(),
        2 => format!("{}1{}", "[".repeat(depth), "]".repeat(depth)).into_bytes(),
        3 => {
            let line =
                |n: usize| format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 9].join(","));
            ("a0: &a0 [x,x]\n".to_owned() + &(1..12).map(line).collect::<String>()).into_bytes()
        }
        4 => "- ".repeat(depth).into_bytes(),
        _ => (0..dice.below(2000)).map(|_| dice.next() as u8).collect(),
    }
}

fn body(target: &Target, all: &[Target], dice: &mut Dice) -> Vec<u8> {
    let good = &target.body;
    match dice.below(10) {
        0 => good.clone().into_bytes(),
        1 => classic(dice),
        2 => dice.one(all).body.clone().into_bytes(),
        3..=5 => {
            let mut bytes = good.clone().into_bytes();
            spoil(&mut bytes, all, dice);
            bytes
        }
        _ => {
            // Objects in YAML are changed as JSON, which is YAML too.
            let first = good.split("---\n").find(|part| !part.trim().is_empty()).unwrap_or("{}");
            let mut value: Value = serde_saphyr::from_str(first).unwrap();
            for _ in 0..=dice.below(3) {
                let mut number = dice.below(count(&value));
                change(&mut value, &mut number, dice);
            }
            value.to_string().into_bytes()
        }
    }
}

fn path(target: &Target, dice: &mut Dice) -> String {
    let names = [
        "web",
        "gateway",
        "ada",
        "none",
        "No_Name",
        "%00",
        "..%2f..",
        "a%20b",
        "%ff",
        "%F0%9F%A6%80",
    ];
    let numbers = ["1", "2", "0", "-1", "18446744073709551615", "99999999999999999999", "x", "%31"];
    let name = if dice.chance(3) { *dice.one(&names[..]) } else { "web" };
    let number = *dice.one(&numbers[..]);
    let path = target.path.replace("{name}", name);
    let path = path.replace("{revision}", number).replace("{id}", number);
    let queries = [
        "dryRun=true",
        "candidate=true",
        "force=true",
        "acceptWarnings=true",
        "resourceVersion=1",
        "resourceVersion=-1",
        "confirmSeconds=86400",
        "confirmSeconds=0",
        "confirmSeconds=99999999999",
        "dryRun=maybe",
        "file=%00",
        "message=%ff",
        "message=",
        "nothing=1",
        "&&&",
        "%",
    ];
    let chosen: Vec<_> = (0..dice.below(3)).map(|_| *dice.one(&queries[..])).collect();
    if chosen.is_empty() { path } else { format!("{path}?{}", chosen.join("&")) }
}

/// One connection for many requests, as a patient attacker has.
struct Wire {
    server: Arc<Server>,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Wire {
    async fn send(&mut self, method: &str, path: &str, body: Vec<u8>, kind: &str) -> (u16, Bytes) {
        let mut sender = match self.sender.take() {
            Some(sender) => sender,
            None => {
                let stream = UnixStream::connect(&self.server.socket).await.unwrap();
                let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
                tokio::spawn(connection);
                sender
            }
        };
        let request = Request::builder().method(method).uri(path).header("host", "test");
        let request = request.header("content-type", kind).body(Full::new(body.into())).unwrap();
        let exchange = async {
            let response = sender.send_request(request).await?;
            let status = response.status().as_u16();
            let closes = response.headers().get("connection").is_some_and(|value| value == "close");
            Ok::<_, hyper::Error>((
                status,
                closes,
                response.into_body().collect().await?.to_bytes(),
            ))
        };
        let answer = timeout(Duration::from_secs(60), exchange).await.expect("an answer in time");
        let (status, closes, body) = answer.unwrap_or_else(|error| panic!("no answer: {error}"));
        // A body that is not read to its end ends the connection, too.
        if !closes && sender.ready().await.is_ok() {
            self.sender = Some(sender);
        }
        (status, body)
    }

    async fn get(&mut self, path: &str) -> Value {
        let (status, body) = self.send("GET", path, Vec::new(), "text/plain").await;
        assert_eq!(status, 200, "{path}");
        serde_json::from_slice(&body).unwrap()
    }

    /// Everything that a request could have changed.
    async fn state(&mut self) -> Vec<Value> {
        let mut state = Vec::new();
        for path in [
            "/v1/revisions?limit=1",
            "/v1/services",
            "/v1/prefilters",
            "/v1/gateways",
            "/v1/candidates",
            "/v1/confirmation",
            "/v1/users",
            "/v1/tokens",
            "/v1/sessions",
            "/v1/setup",
            "/v1/certificate",
        ] {
            let mut seen = self.get(path).await;
            // What it runs like may change by itself.
            for item in seen["items"].as_array_mut().into_iter().flatten() {
                if item.get("spec").is_some() {
                    item.as_object_mut().unwrap().remove("status");
                }
            }
            state.push(seen);
        }
        state
    }
}

#[tokio::test]
async fn no_body_panics_fails_inside_or_changes_anything_unseen() {
    let panics = Arc::new(AtomicU64::new(0));
    let (counted, usual) = (panics.clone(), panic::take_hook());
    panic::set_hook(Box::new(move |what| {
        counted.fetch_add(1, Ordering::Relaxed);
        usual(what);
    }));
    let long = env::var_os("SLUICE_LONG").is_some();
    let requests = if long { 100_000 } else { 5_000 };
    let seed = match env::var("SLUICE_SEED") {
        Ok(text) => text.parse().expect("SLUICE_SEED is a number"),
        Err(_) => rand::random(),
    };
    println!("{requests} requests; SLUICE_SEED={seed} sends them again");
    let mut dice = Dice(seed);

    let server = Arc::new(Server::start().await);
    let web = service("web", "192.0.2.10", "[{address: 10.0.1.1}]");
    server.gateway.apply(&format!("{GATEWAY}{web}")).await.unwrap();
    let passphrase = json!({"passphrase": "a passphrase for it"}).to_string();
    let backup = server.ask("POST", "/v1/backup", &passphrase).await.json();
    let targets = targets(&backup);
    let mut wire = Wire { server: server.clone(), sender: None };
    let mut state = wire.state().await;
    let (mut refused, mut done, mut unseen) = (0_u64, 0_u64, Vec::new());
    for _ in 0..requests {
        let target = dice.one(&targets[..]);
        let (path, body) = (path(target, &mut dice), body(target, &targets, &mut dice));
        let kind = *dice.one(&["application/json", "application/yaml", "text/plain", "x", ""]);
        let shown =
            format!("{} {path} {kind:?} {:?}", target.method, String::from_utf8_lossy(&body));
        let shown: String = shown.chars().take(2000).collect();
        let (status, answer) = wire.send(&target.method, &path, body, kind).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(status < 500, "{status} {answer}\n{shown}");
        assert_eq!(panics.load(Ordering::Relaxed), 0, "{shown}");
        let reads = matches!(
            &*target.path,
            "/v1/trace" | "/v1/plan" | "/v1/candidate/validate" | "/v1/backup"
        );
        if !reads && (200..300).contains(&status) {
            // Nothing may happen by itself afterwards: a commit that waits to be confirmed returns now.
            let (returned, _) = wire.send("DELETE", "/v1/confirmation", Vec::new(), "").await;
            assert!(matches!(returned, 200 | 404 | 409), "{returned}");
            if target.tries && path.contains("dryRun=true") {
                unseen.push(shown);
            } else {
                (state, done) = (wire.state().await, done + 1);
                unseen.clear();
                continue;
            }
        } else {
            refused += u64::from(status >= 400);
            unseen.push(shown);
        }
        if unseen.len() == BATCH {
            assert_eq!(
                wire.state().await,
                state,
                "one of these changed it:\n{}",
                unseen.join("\n")
            );
            unseen.clear();
        }
    }
    assert_eq!(wire.state().await, state, "one of these changed it:\n{}", unseen.join("\n"));
    assert_eq!(panics.load(Ordering::Relaxed), 0);
    println!("{refused} refused, {done} done");
    // Both ways were gone: otherwise nothing is shown.
    assert!(refused > requests / 4 && done > requests / 100, "{refused} refused, {done} done");
    let checked = wire.get("/v1/audit/check").await;
    assert_eq!(checked["broken"], json!([]), "the audit log is whole");
}
