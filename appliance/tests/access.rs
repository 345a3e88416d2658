//! Who may do what, over TLS as browsers and machines come: every route with every kind of credential.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it fails")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Answer, GATEWAY, Gateway, Server, TOKEN, ask, builder, service};
use rcgen::{CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::RootCertStore;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use sluice_appliance::access::SessionLimits;
use tokio::net::TcpStream;

const PASSWORD: &str = "correct horse battery";

/// A browser that is signed in.
struct Browser {
    cookie: String,
    csrf: String,
}

impl Browser {
    fn of(answer: &Answer) -> Self {
        assert_eq!(answer.status, 200, "{}", answer.body);
        let line = answer.head.lines().find(|line| line.to_lowercase().starts_with("set-cookie"));
        let line = line.unwrap();
        for needed in ["Secure", "HttpOnly", "SameSite=Strict", "Path=/"] {
            assert!(line.contains(needed), "{line}");
        }
        let cookie = line.split_once(": ").unwrap().1.split(';').next().unwrap().to_owned();
        let csrf = answer.json()["csrf"].as_str().unwrap().to_owned();
        Self { cookie, csrf }
    }

    /// What a page of the console sends with everything.
    fn headers(&self) -> String {
        format!("{}Origin: https://test\r\nx-csrf-token: {}\r\n", self.cookie_header(), self.csrf)
    }

    fn cookie_header(&self) -> String {
        format!("Cookie: {}\r\n", self.cookie)
    }
}

async fn set_up(server: &Server) -> Browser {
    let token = server.access.setup_token().unwrap();
    let body = json!({"token": token.reveal(), "user": "ada", "password": PASSWORD}).to_string();
    Browser::of(&server.ask_tls("POST", "/v1/setup", "", &body).await)
}

async fn sign_in(server: &Server, user: &str) -> Browser {
    let body = json!({"user": user, "password": PASSWORD}).to_string();
    Browser::of(&server.ask_tls("POST", "/v1/session", "", &body).await)
}

async fn add_user(server: &Server, name: &str, role: &str) -> Browser {
    let body = json!({"name": name, "role": role, "password": PASSWORD}).to_string();
    let added = server.ask("POST", "/v1/users", &body).await;
    assert!(matches!(added.status, 200 | 201), "{}", added.body);
    sign_in(server, name).await
}

async fn add_token(server: &Server, more: Value) -> String {
    let mut body = json!({"name": "machine", "role": "administrator"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let made = server.ask("POST", "/v1/tokens", &body.to_string()).await;
    assert!(matches!(made.status, 200 | 201), "{}", made.body);
    made.json()["secret"].as_str().or(made.json()["token"].as_str()).unwrap().to_owned()
}

/// A gateway that keeps a token whose last day is over.
async fn with_expired_token(gateway: Gateway) -> (Gateway, String) {
    let server = Server::of(gateway).await;
    let secret = add_token(&server, json!({"days": 1})).await;
    let Server { gateway, task, .. } = server;
    task.abort();
    let _ = task.await;
    let path = gateway.directory.path().join("state/tokens.json");
    let mut kept: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let mut changed = 0;
    for token in kept.as_object_mut().unwrap().values_mut() {
        token["expires"] = json!("2020-01-01T00:00:00Z");
        changed += 1;
    }
    assert_eq!(changed, 1, "{kept}");
    std::fs::write(&path, kept.to_string()).unwrap();
    (gateway, secret)
}

/// Methods and paths of the document, with something in the place of names.
fn routes() -> Vec<(String, String)> {
    let document = sluice_appliance::api::openapi();
    let mut routes = vec![("GET".to_owned(), "/openapi.json".to_owned())];
    for (path, operations) in document["paths"].as_object().unwrap() {
        let path = path.replace("{name}", "web").replace("{revision}", "1").replace("{id}", "0");
        for method in operations.as_object().unwrap().keys() {
            routes.push((method.to_uppercase(), path.clone()));
        }
    }
    routes
}

/// What anybody may ask: here one becomes somebody; and what supervisors on this machine ask.
fn is_open(path: &str) -> bool {
    matches!(path, "/v1/setup" | "/v1/session" | "/healthz" | "/readyz")
}

#[tokio::test]
async fn every_route_refuses_who_may_not() {
    let gateway = Gateway::start().await;
    gateway
        .apply(&format!("{GATEWAY}{}", service("web", "192.0.2.10", "[{address: 10.0.1.1}]")))
        .await
        .unwrap();
    let (gateway, past) = with_expired_token(gateway).await;
    let brief = SessionLimits { idle: Duration::from_millis(1), ..SessionLimits::default() };
    let server = Server::with_limits(gateway, brief).await;
    let expired = set_up(&server).await;
    let looking = add_token(&server, json!({"readOnly": true})).await;
    let viewer = add_token(&server, json!({"role": "viewer"})).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let bearer = |token: &str| format!("Authorization: Bearer {token}\r\n");
    let before = server.ask("GET", "/v1/export", "").await.body;
    let mut asked = 0;
    for (method, path) in routes() {
        let is_open = is_open(&path) || path.ends_with("/session");
        let mut cases = vec![
            ("no credentials", String::new(), 401),
            ("an expired session", expired.headers(), 401),
            ("an expired token", bearer(&past), 401),
            ("a wrong token", bearer(&TOKEN.replace('0', "1")), 401),
        ];
        if is_open {
            // Credentials that are wrong are refused even there; none are none.
            cases.retain(|(what, ..)| what.ends_with("token"));
        }
        cases.push((
            "a foreign origin",
            format!("{}Origin: https://evil.test\r\n", bearer(TOKEN)),
            403,
        ));
        cases.push((
            "a foreign page",
            format!("{}Sec-Fetch-Site: cross-site\r\n", bearer(TOKEN)),
            403,
        ));
        let reads = matches!(method.as_str(), "GET" | "HEAD")
            || matches!(&*path, "/v1/plan" | "/v1/trace" | "/v1/candidate/validate");
        if !reads && !is_open {
            cases.push(("a token for reading only", bearer(&looking), 403));
            // One's own password and sessions are everybody's; a token has neither.
            let own = path.starts_with("/v1/users/") || path.starts_with("/v1/sessions/");
            if !own {
                cases.push(("a viewer", bearer(&viewer), 403));
            }
        }
        for (what, headers, status) in cases {
            let answer = server.ask_tls(&method, &path, &headers, "{}").await;
            assert_eq!(answer.status, status, "{method} {path} with {what}: {}", answer.body);
            asked += 1;
        }
    }
    assert!(asked > 300, "{asked}");
    assert_eq!(server.ask("GET", "/v1/export", "").await.body, before, "nothing changed");
}

#[tokio::test]
async fn a_cookie_alone_changes_nothing() {
    let server = Server::start().await;
    let ada = set_up(&server).await;
    let mut asked = 0;
    for (method, path) in routes() {
        if method == "GET" || path == "/v1/session" || path == "/v1/setup" {
            continue;
        }
        let foreign = ada.headers().replace(&ada.csrf, "guess");
        for headers in
            [ada.cookie_header(), foreign, ada.headers().replace("Origin: https://test\r\n", "")]
        {
            let answer = server.ask_tls(&method, &path, &headers, "{}").await;
            assert_eq!(answer.status, 403, "{method} {path}: {}", answer.body);
            assert_eq!(answer.json()["type"], "/problems/csrf");
            asked += 1;
        }
    }
    assert!(asked > 60, "{asked}");
    let right = server.ask_tls("DELETE", "/v1/candidate", &ada.headers(), "").await;
    assert_eq!(right.status, 200, "{}", right.body);
}

#[tokio::test]
async fn the_link_makes_one_administrator_once() {
    let server = Server::start().await;
    let token = server.access.setup_token().unwrap();
    assert!(server.ask_tls("GET", "/v1/setup", "", "").await.json()["needed"].as_bool().unwrap());
    let wrong = json!({"token": "guess", "user": "eve", "password": PASSWORD}).to_string();
    assert_eq!(server.ask_tls("POST", "/v1/setup", "", &wrong).await.status, 403);
    let ada = set_up(&server).await;
    let me = server.ask_tls("GET", "/v1/session", &ada.headers(), "").await.json();
    assert_eq!((me["user"].as_str(), me["role"].as_str()), (Some("ada"), Some("administrator")));
    let again = json!({"token": token.reveal(), "user": "eve", "password": PASSWORD}).to_string();
    assert_eq!(server.ask_tls("POST", "/v1/setup", "", &again).await.status, 403);
    assert!(!server.ask_tls("GET", "/v1/setup", "", "").await.json()["needed"].as_bool().unwrap());
    let out = server.ask_tls("DELETE", "/v1/session", &ada.headers(), "").await;
    assert_eq!(out.status, 204, "{}", out.body);
    assert_eq!(server.ask_tls("GET", "/v1/status", &ada.headers(), "").await.status, 401);
}

#[tokio::test]
async fn a_role_commits_no_more_than_it_may_change() {
    let server = Server::start().await;
    server
        .gateway
        .apply(&format!("{GATEWAY}{}", service("web", "192.0.2.10", "[{address: 10.0.1.1}]")))
        .await
        .unwrap();
    let ada = set_up(&server).await;
    let operator = add_user(&server, "otto", "operator").await;
    let prefilter = "apiVersion: sluice.dev/v1\nkind: Prefilter\nmetadata: {name: bad}\nspec: {deny: [198.51.100.0/24]}\n";
    let path = "/v1/apply?message=x";
    let refused = server.ask_tls("POST", path, &operator.headers(), prefilter).await;
    assert_eq!(refused.status, 403, "{}", refused.body);
    let made = server.ask_tls("POST", path, &ada.headers(), prefilter).await;
    assert_eq!(made.status, 200, "{}", made.body);
    // To go back behind it would take the prefilter away, which is not an operator's.
    let before = made.json()["revision"].as_u64().unwrap() - 1;
    let back = format!("/v1/revisions/{before}/rollback");
    let refused = server.ask_tls("POST", &back, &operator.headers(), "{}").await;
    assert_eq!(refused.status, 403, "{}", refused.body);
    assert!(
        refused.body.contains("needs the role security, because of Prefilter/bad"),
        "{}",
        refused.body
    );
    assert_eq!(server.ask("GET", "/v1/prefilters/bad", "").await.status, 200);
    // To confirm is to make it stay: that is no operator's, either.
    let other = prefilter.replace("198.51.100.0/24", "203.0.113.0/24");
    let version =
        server.ask("GET", "/v1/prefilters/bad", "").await.json()["metadata"]["resourceVersion"]
            .as_str()
            .unwrap()
            .to_owned();
    let other =
        other.replace("{name: bad}", &format!("{{name: bad, resourceVersion: \"{version}\"}}"));
    let waits =
        server.ask_tls("POST", "/v1/apply?confirmSeconds=600", &ada.headers(), &other).await;
    assert_eq!(waits.status, 200, "{}", waits.body);
    let refused = server.ask_tls("POST", "/v1/confirmation", &operator.headers(), "").await;
    assert_eq!(refused.status, 403, "{}", refused.body);
    let confirmed = server.ask_tls("POST", "/v1/confirmation", &ada.headers(), "").await;
    assert_eq!(confirmed.status, 200, "{}", confirmed.body);
    // What an operator may change, an operator may commit.
    let two = service("web", "192.0.2.10", "[{address: 10.0.1.1}, {address: 10.0.1.2}]");
    let edited =
        server.ask_tls("POST", "/v1/apply?candidate=true", &operator.headers(), &two).await;
    assert_eq!(edited.status, 200, "{}", edited.body);
    let done = server.ask_tls("POST", "/v1/candidate/commit", &operator.headers(), "{}").await;
    assert_eq!(done.status, 200, "{}", done.body);
}

#[tokio::test]
async fn plain_http_is_sent_to_https() {
    let server = Server::start().await;
    let stream = TcpStream::connect(server.tcp).await.unwrap();
    let token = format!("Authorization: Bearer {TOKEN}\r\n");
    let answer = ask(stream, "GET", "/v1/status?x=1", &token, "").await;
    assert_eq!(answer.status, 308);
    assert!(answer.head.contains("location: https://test/v1/status?x=1"), "{}", answer.head);
    assert!(!answer.body.contains("revision"), "{}", answer.body);
}

#[tokio::test]
async fn the_console_is_for_everybody_and_nothing_else_is() {
    let server = Server::start().await;
    for path in ["/", "/services", "/sign-in"] {
        let page = server.ask_tls("GET", path, "", "").await;
        assert_eq!(page.status, 200, "{path}");
        let head = page.head.to_lowercase();
        for header in [
            "content-type: text/html",
            "content-security-policy: default-src 'self'",
            "strict-transport-security: max-age=63072000",
            "x-content-type-options: nosniff",
            "etag: ",
        ] {
            assert!(head.contains(header), "{path}: {head}");
        }
    }
    assert_eq!(server.ask_tls("GET", "/nothing.js", "", "").await.status, 401);
    assert_eq!(server.ask_tls("POST", "/", "", "").await.status, 401);
}

#[tokio::test]
async fn the_certificate_is_replaced_without_a_restart() {
    let server = Server::start().await;
    let old = server.certificates.about();
    assert_eq!(
        server.ask("GET", "/v1/certificate", "").await.json()["fingerprint"],
        old.fingerprint
    );
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let foreign = KeyPair::generate().unwrap().serialize_pem();
    let wrong = json!({"certificate": certificate, "key": foreign}).to_string();
    let refused = server.ask("PUT", "/v1/certificate", &wrong).await;
    assert_eq!(refused.status, 422);
    assert!(
        refused.body.contains("it is not the key of the first certificate"),
        "{}",
        refused.body
    );
    assert!(!refused.body.contains("PRIVATE"), "{}", refused.body);
    assert_eq!(server.certificates.about(), old, "nothing changed");

    let right = json!({"certificate": certificate, "key": key}).to_string();
    let taken = server.ask("PUT", "/v1/certificate", &right).await;
    assert_eq!(taken.status, 200, "{}", taken.body);
    let new = server.certificates.about();
    assert_ne!(new.fingerprint, old.fingerprint);
    // It trusts only what is kept now.
    let stream = server.connect().await;
    assert_eq!(&*stream.get_ref().1.peer_certificates().unwrap()[0], &**made.cert.der());
    let state = server.gateway.directory.path().join("state");
    assert!(state.join("certificate.previous.pem").exists());
    let audit = server.ask("GET", "/v1/audit", "").await.body;
    assert!(audit.contains(&new.fingerprint) && !audit.contains("PRIVATE"), "{audit}");
}

#[tokio::test]
async fn a_machine_signs_in_by_its_certificate() {
    let gateway = Gateway::start().await;
    let authority = |name: &str| {
        let mut parameters = CertificateParams::new(vec![]).unwrap();
        parameters.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        parameters.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let pem = parameters.self_signed(&key).unwrap().pem();
        (pem, Issuer::new(parameters, key))
    };
    let ((pem, ours), (_, foreign)) = (authority("ours"), authority("foreign"));
    std::fs::write(gateway.directory.path().join("client-ca.pem"), pem).unwrap();
    let server = Server::of(gateway).await;
    let body = json!({"name": "metrics", "role": "viewer", "certificate": "metrics.example"});
    let added = server.ask("POST", "/v1/users", &body.to_string()).await;
    assert!(matches!(added.status, 200 | 201), "{}", added.body);

    let client = |issuer: &Issuer<'_, KeyPair>, name: &str| {
        let key = KeyPair::generate().unwrap();
        let parameters = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = parameters.signed_by(&key, issuer).unwrap();
        let mut roots = RootCertStore::empty();
        let kept = server.gateway.directory.path().join("state/certificate.pem");
        roots.add(rustls::pki_types::CertificateDer::from_pem_file(kept).unwrap()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
        let chain = vec![certificate.der().clone()];
        builder().with_root_certificates(roots).with_client_auth_cert(chain, key).unwrap()
    };
    let known = server.connect_with(client(&ours, "metrics.example")).await.unwrap();
    let me = ask(known, "GET", "/v1/session", "", "").await.json();
    assert_eq!((me["user"].as_str(), me["kind"].as_str()), (Some("metrics"), Some("certificate")));
    let known = server.connect_with(client(&ours, "metrics.example")).await.unwrap();
    assert_eq!(ask(known, "POST", "/v1/apply", "", "").await.status, 403);
    let other = server.connect_with(client(&ours, "other.example")).await.unwrap();
    assert_eq!(ask(other, "GET", "/v1/status", "", "").await.status, 401);
    // A foreign authority's is refused in the handshake, which TLS 1.3 tells with the first bytes read.
    let refused = async {
        use tokio::io::AsyncReadExt;
        let mut stream = server.connect_with(client(&foreign, "metrics.example")).await?;
        stream.read(&mut [0; 1]).await.and_then(|read| {
            if read == 0 { Err(std::io::Error::other("closed")) } else { Ok(read) }
        })
    };
    assert!(refused.await.is_err());
}

#[tokio::test]
async fn roles_see_no_more_than_they_may() {
    let server = Server::start().await;
    let least = [
        ("/v1/users", "administrator"),
        ("/v1/users/ada", "administrator"),
        ("/v1/tokens", "administrator"),
        ("/v1/audit", "security"),
        ("/v1/audit/check", "security"),
        ("/v1/status", "viewer"),
        ("/v1/candidate", "viewer"),
    ];
    let _ = set_up(&server).await;
    let roles = ["viewer", "operator", "security", "administrator"];
    for (number, role) in roles.iter().enumerate() {
        let body = json!({"name": format!("t{number}"), "role": role}).to_string();
        let made = server.ask("POST", "/v1/tokens", &body).await.json();
        let bearer = format!("Authorization: Bearer {}\r\n", made["secret"].as_str().unwrap());
        for (path, needs) in least {
            let may = number >= roles.iter().position(|role| *role == needs).unwrap();
            let answer = server.ask_tls("GET", path, &bearer, "").await;
            assert_eq!(answer.status, if may { 200 } else { 403 }, "{role} {path}");
        }
    }
}

#[tokio::test]
async fn what_is_wrong_in_a_request_is_not_kept_in_the_log() {
    let server = Server::start().await;
    let _ = set_up(&server).await;
    let body = r#"{"user": "ada", "password": 123456789012}"#;
    let answer = server.ask_tls("POST", "/v1/session", "", body).await;
    assert_eq!(answer.status, 400);
    let long = format!("Origin: https://{}\r\n", "x".repeat(5000));
    assert_eq!(server.ask_tls("POST", "/v1/session", &long, "{}").await.status, 403);
    let audit = server.ask("GET", "/v1/audit", "").await.body;
    assert!(audit.contains("/v1/session") && !audit.contains("123456789012"), "{audit}");
    assert!(!audit.contains(&"x".repeat(600)), "what was sent is cut");
}

#[tokio::test]
async fn what_is_only_tried_is_not_recorded() {
    let server = Server::start().await;
    server.gateway.apply(GATEWAY).await.unwrap();
    let yaml = service("web", "192.0.2.10", "[{address: 10.0.1.1}]");
    assert_eq!(server.ask("POST", "/v1/apply?dryRun=true", &yaml).await.status, 200);
    assert!(!server.ask("GET", "/v1/audit", "").await.body.contains("/v1/apply"));
    assert_eq!(server.ask("POST", "/v1/apply", &yaml).await.status, 200);
    assert!(server.ask("GET", "/v1/audit", "").await.body.contains("/v1/apply"));
}

#[tokio::test]
async fn an_ended_session_ends_its_stream() {
    let server = Arc::new(Server::start().await);
    let ada = set_up(&server).await;
    let (following, headers) = (server.clone(), ada.headers());
    let stream =
        tokio::spawn(
            async move { following.ask_tls("GET", "/v1/events", &headers, "").await.status },
        );
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!stream.is_finished());
    assert_eq!(server.ask_tls("DELETE", "/v1/session", &ada.headers(), "").await.status, 204);
    let ended = tokio::time::timeout(Duration::from_secs(5), stream).await;
    assert_eq!(ended.expect("the stream ends").unwrap(), 200);
}
