//! The door: finds out who asks, lets pass who may, and writes down who did or tried what.

use std::sync::Arc;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use serde_json::Value;
use subtle::ConstantTimeEq;

use super::rules::{Effect, Need, can_be_tried, rule};
use super::{ApiError, console};
use crate::access::{Access, Caller, CallerKind, Connection, Entry, Outcome, Role, Session};

/// The cookie of a session. The prefix makes browsers insist on HTTPS, on this host and on the whole of it (RFC 6265bis, 4.1.3.2).
pub(super) const COOKIE: &str = "__Host-sluice";
/// The header that a page of ours sends with every change.
const CSRF: &str = "x-csrf-token";
/// Answers to changes are shorter; of a longer one the differences are not recorded.
const RECORDED_BYTES: u64 = 1 << 20;

/// The way by which requests of a connection come in.
#[derive(Clone, Debug)]
pub(crate) struct Entrance {
    pub(crate) connection: Connection,
    /// The name in the client's certificate, which the client authority vouches for.
    pub(crate) certificate: Option<Arc<str>>,
}

/// The session with which a request came.
#[derive(Clone, Debug)]
pub(super) struct WithSession(pub(super) Session);

/// What a handler tells the audit log beside its answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    /// Who it was, where the request itself makes somebody known.
    pub(super) who: Option<String>,
    pub(super) before: Option<Value>,
    pub(super) after: Option<Value>,
    /// The record of its beginning, where the handler wrote one.
    pub(super) begun: Option<u64>,
}

/// Why a request was not carried out, for the audit log.
#[derive(Clone, Debug)]
pub(super) struct Why(pub(super) String);

pub(super) async fn check(
    State(access): State<Arc<Access>>,
    mut request: Request,
    next: Next,
) -> Response {
    let (method, target) = (request.method().clone(), request.uri().path().to_owned());
    let path = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    // Only where it is taken: elsewhere the request is carried out, whatever it says.
    let dry_run = is_dry_run(request.uri().query())
        && path.as_deref().is_some_and(|path| can_be_tried(&method, path));
    let Some(entrance) = request.extensions().get::<Entrance>().cloned() else {
        return ApiError::Unauthorized.into_response();
    };
    let connection = entrance.connection;
    let elsewhere = || {
        let need = if console::has(&method, &target) { Need::Nothing } else { NOWHERE };
        Some((need, Effect::Reads))
    };
    let rule = path.as_deref().map_or_else(elsewhere, |path| rule(&method, path));
    let effect = rule.map_or(Effect::Changes, |(_, effect)| effect);

    let known = known(&access, &entrance, &method, request.headers());
    let caller = known.as_ref().ok().and_then(|known| known.caller.clone());
    let passed = known.and_then(|known| {
        let rule = rule.ok_or(ApiError::Forbidden { needs: Role::Administrator });
        // Whoever can open the Unix socket is root.
        if entrance.connection.ends.is_some() {
            may(known.caller.as_ref(), rule?, connection)?;
        }
        Ok(known)
    });
    // Before anything is done, so that nothing is done that is recorded nowhere. A sign-in changes nothing that stays; the
    // set-up is written down by its handler, once its link is found to be right.
    let mut begun = None;
    let passed = match passed {
        Ok(known) if effect == Effect::Changes && !dry_run && caller.is_some() => {
            let action = format!("{method} {target}");
            let entry = beginning(caller.as_ref(), connection, action);
            let written = access.record_beginning(entry).await.map(|number| begun = Some(number));
            written.map(|()| known).map_err(ApiError::from)
        }
        passed => passed,
    };
    let response = match passed {
        Ok(known) => {
            request.extensions_mut().insert(connection);
            let gone = known.caller.clone().map(|caller| (access.ending(&caller), caller));
            if let Some(caller) = known.caller {
                request.extensions_mut().insert(caller);
            }
            if let Some(session) = known.session {
                request.extensions_mut().insert(WithSession(session));
            }
            let response = next.run(request).await;
            match gone {
                Some((ending, caller)) if is_stream(&response) => response.map(|body| {
                    let gone = access.clone().until_gone(caller, ending);
                    Body::from_stream(body.into_data_stream().take_until(Box::pin(gone)))
                }),
                _ => response,
            }
        }
        Err(error) => error.into_response(),
    };
    let status = response.status();
    // What was only tried out changed nothing, whether it would be possible or not.
    let tried = dry_run && (status.is_success() || status == StatusCode::UNPROCESSABLE_ENTITY);
    if !is_refusal(status) && (effect == Effect::Reads || tried) {
        return response;
    }
    let (response, mut entry) =
        entry(response, caller.as_ref(), connection, format!("{method} {target}")).await;
    entry.begun = begun.or(entry.begun);
    // Whoever it is that nobody knows, their failures are counted, not only what was refused.
    access.record(entry, caller.is_none() && !status.is_success()).await;
    response
}

/// As the handlers read it: `dryRun=true`.
fn is_dry_run(query: Option<&str>) -> bool {
    query.is_some_and(|query| query.split('&').any(|pair| pair == "dryRun=true"))
}

/// Addresses without a route are for those who may look at all.
const NOWHERE: Need = Need::Role(Role::Viewer);

#[derive(Debug, Default)]
struct Known {
    caller: Option<Caller>,
    session: Option<Session>,
}

/// Who asks. Credentials that are wrong are an error; none are none.
fn known(
    access: &Access,
    entrance: &Entrance,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Known, ApiError> {
    let connection = entrance.connection;
    if connection.ends.is_none() {
        let root = Caller {
            name: "root".into(),
            role: Role::Administrator,
            read_only: false,
            kind: CallerKind::Socket,
            connection,
        };
        return Ok(Known { caller: Some(root), session: None });
    }
    same_origin(headers)?;
    if headers.contains_key(header::AUTHORIZATION) {
        let caller = bearer(headers).and_then(|given| access.by_token(given, connection));
        return caller
            .map(|caller| Known { caller: Some(caller), session: None })
            .ok_or(ApiError::Unauthorized);
    }
    // A cookie whose session is over is like none: one can sign in with it.
    if let Some((caller, session)) =
        cookie(headers).and_then(|cookie| access.by_cookie(cookie, connection))
    {
        if !method.is_safe() {
            ours(headers, &session)?;
        }
        return Ok(Known { caller: Some(caller), session: Some(session) });
    }
    let by_certificate = |name: &Arc<str>| access.by_certificate(name, connection);
    Ok(Known { caller: entrance.certificate.as_ref().and_then(by_certificate), session: None })
}

/// Requests that a page of another site makes are refused: there is no site that would have to.
fn same_origin(headers: &HeaderMap) -> Result<(), ApiError> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    if let Some(origin) = text("origin") {
        // A proxy before us may speak TLS or not: the host decides.
        let site = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
        let own = site.is_some() && site == text("host");
        if !own {
            return Err(ApiError::Origin(origin.to_owned()));
        }
    }
    match text("sec-fetch-site") {
        None | Some("same-origin" | "none") => Ok(()),
        Some(other) => Err(ApiError::Origin(other.to_owned())),
    }
}

/// A change with a cookie needs what only a page of ours knows, and comes from one.
fn ours(headers: &HeaderMap, session: &Session) -> Result<(), ApiError> {
    let given = headers.get(CSRF).map(|value| value.as_bytes());
    let right = given.is_some_and(|given| session.csrf.is(given));
    if right && headers.contains_key(header::ORIGIN) { Ok(()) } else { Err(ApiError::Csrf) }
}

fn may(
    caller: Option<&Caller>,
    (need, effect): (Need, Effect),
    connection: Connection,
) -> Result<(), ApiError> {
    let needs = match need {
        Need::Nothing => return Ok(()),
        Need::Probe if connection.is_local() => return Ok(()),
        Need::Probe => Role::Viewer,
        Need::Role(role) => role,
    };
    let caller = caller.ok_or(ApiError::Unauthorized)?;
    if caller.role < needs {
        return Err(ApiError::Forbidden { needs });
    }
    if caller.read_only && effect == Effect::Changes {
        return Err(ApiError::ReadOnly);
    }
    Ok(())
}

/// RFC 6750, section 2.1; the scheme's case does not matter (RFC 9110, section 11.1).
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

/// What our cookie holds.
pub(super) fn cookie(headers: &HeaderMap) -> Option<&str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|line| line.split(';')).find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        bool::from(name.as_bytes().ct_eq(COOKIE.as_bytes())).then_some(value)
    })
}

fn is_refusal(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS
    )
}

fn is_stream(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}

/// What the audit log is told of an answer. Of a change of objects, the differences stand in the answer itself.
async fn entry(
    mut response: Response,
    caller: Option<&Caller>,
    connection: Connection,
    action: String,
) -> (Response, Entry) {
    let status = response.status();
    let told = response.extensions_mut().remove::<Told>();
    let reason = response.extensions_mut().remove::<Why>().map(|why| why.0);
    let outcome = match status {
        _ if is_refusal(status) => Outcome::Refused,
        _ if status.is_success() => Outcome::Allowed,
        _ => Outcome::Failed,
    };
    let (response, told) = match told {
        Some(told) => (response, told),
        None if status.is_success() => with_diff(response).await,
        None => (response, Told::default()),
    };
    let begun = beginning(caller, connection, action);
    let entry = Entry {
        who: told.who.unwrap_or(begun.who),
        outcome,
        status: status.as_u16(),
        reason,
        before: told.before,
        after: told.after,
        begun: told.begun,
        ..begun
    };
    (response, entry)
}

/// What the audit log is told before something is done.
pub(super) fn beginning(caller: Option<&Caller>, connection: Connection, action: String) -> Entry {
    Entry {
        who: caller.map_or("-", |caller| &*caller.name).to_owned(),
        kind: caller.map_or("-", |caller| caller.kind.as_str()).to_owned(),
        from: connection.to_string(),
        action,
        outcome: Outcome::Allowed,
        status: 0,
        reason: Some("begun; what became of it was not recorded".to_owned()),
        before: None,
        after: None,
        unrecorded: 0,
        begun: None,
    }
}

async fn with_diff(response: Response) -> (Response, Told) {
    use axum::body::HttpBody;
    let length = response.body().size_hint().exact().filter(|length| *length <= RECORDED_BYTES);
    if length.is_none() {
        return (response, Told::default());
    }
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let told = Told { after: diff(&bytes), ..Told::default() };
    (Response::from_parts(parts, bytes.into()), told)
}

fn diff(answer: &Bytes) -> Option<Value> {
    let mut answer: Value = serde_json::from_slice(answer).ok()?;
    let fields = answer.as_object_mut()?;
    let names = ["revision", "dryRun", "diff", "warnings"];
    let kept = names.iter().filter_map(|name| fields.remove_entry(*name)).collect();
    Some(Value::Object(kept))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        list.iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn only_our_own_pages_may_ask() {
        let asked = |list| same_origin(&headers(list)).is_ok();
        assert!(asked(&[("host", "gw.test:8440"), ("origin", "https://gw.test:8440")]));
        assert!(asked(&[("host", "gw.test"), ("sec-fetch-site", "same-origin")]));
        assert!(asked(&[("host", "gw.test")]));
        for foreign in ["https://gw.test", "http://gw.test:80", "https://evil.test", "null", ""] {
            let mut list = headers(&[("host", "gw.test:8440")]);
            list.insert("origin", HeaderValue::from_static(foreign));
            assert!(same_origin(&list).is_err(), "{foreign}");
        }
        assert!(!asked(&[("origin", "https://gw.test")]), "no host");
        assert!(!asked(&[("host", "gw.test"), ("sec-fetch-site", "cross-site")]));
        assert!(!asked(&[("host", "gw.test"), ("sec-fetch-site", "same-site")]));
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let found = |text| cookie(&headers(&[("cookie", text)])).map(str::to_owned);
        assert_eq!(found("a=b; __Host-sluice=xyz; c=d").as_deref(), Some("xyz"));
        assert_eq!(found("sluice=xyz"), None);
        assert_eq!(found("__Host-sluice"), None);
    }

    #[test]
    fn a_token_is_read_in_any_case_of_the_scheme() {
        let given = |text| bearer(&headers(&[("authorization", text)])).map(<[u8]>::to_vec);
        assert_eq!(given("Bearer abc").as_deref(), Some(&b"abc"[..]));
        assert_eq!(given("bearer abc").as_deref(), Some(&b"abc"[..]));
        for wrong in ["Bearer", "Basic abc", ""] {
            assert_eq!(given(wrong), None, "{wrong}");
        }
    }
}
