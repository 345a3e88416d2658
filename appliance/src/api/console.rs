//! The web console: files in the binary, for everybody, because one signs in with them.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sluice_console::Asset;

use super::ApiError;

/// Whether there is a file of the console at this path.
pub(super) fn has(method: &Method, path: &str) -> bool {
    matches!(*method, Method::GET | Method::HEAD) && sluice_console::asset(path).is_some()
}

/// The console's file at the request's path, or that there is nothing.
pub(super) async fn file(request: Request) -> Response {
    let path = request.uri().path();
    match sluice_console::asset(path) {
        Some(asset) if has(request.method(), path) => answer(asset, request.headers()),
        _ => ApiError::NoRoute(path.to_owned()).into_response(),
    }
}

fn answer(asset: Asset, headers: &HeaderMap) -> Response {
    let packed = asset.gzip.filter(|_| takes_gzip(headers));
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let is_known = known.is_some_and(|tags| is_among(asset.etag, tags));
    let mut response = if is_known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        packed.unwrap_or(asset.bytes).into_response()
    };
    let answer = response.headers_mut();
    // Hashed names change with their content; a page is asked for again, which costs a few bytes.
    let keep = if asset.immutable { "public, max-age=31536000, immutable" } else { "no-cache" };
    let mut set = |name, value| answer.insert(name, HeaderValue::from_static(value));
    set(header::CACHE_CONTROL, keep);
    set(header::ETAG, asset.etag);
    set(header::VARY, "accept-encoding");
    if !is_known {
        set(header::CONTENT_TYPE, asset.content_type);
        if packed.is_some() {
            set(header::CONTENT_ENCODING, "gzip");
        }
    }
    response
}

/// RFC 9110, section 12.5.3, as far as browsers use it.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(header::ACCEPT_ENCODING).iter();
    lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(',')).any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        parts.next() == Some("gzip") && !parts.any(|part| matches!(part, "q=0" | "q=0.0"))
    })
}

/// RFC 9110, section 13.1.2: weak comparison.
fn is_among(etag: &str, tags: &str) -> bool {
    tags.split(',').map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASSET: Asset = Asset {
        path: "/assets/a-1.js",
        bytes: b"long long long",
        gzip: Some(b"short"),
        content_type: "text/javascript",
        etag: "\"abc\"",
        immutable: true,
    };

    fn ask(name: header::HeaderName, value: &'static str) -> Response {
        answer(ASSET, &HeaderMap::from_iter([(name, HeaderValue::from_static(value))]))
    }

    #[test]
    fn who_takes_gzip_gets_it() {
        for (takes, value) in
            [(true, "gzip, br"), (true, "br;q=1.0, gzip;q=0.8"), (false, "br"), (false, "gzip;q=0")]
        {
            let coding = ask(header::ACCEPT_ENCODING, value);
            assert_eq!(coding.headers().contains_key(header::CONTENT_ENCODING), takes, "{value}");
        }
    }

    #[test]
    fn what_is_known_is_not_sent_again() {
        for (status, value) in
            [(304, "\"abc\""), (304, "\"x\", W/\"abc\""), (304, "*"), (200, "\"x\"")]
        {
            let response = ask(header::IF_NONE_MATCH, value);
            assert_eq!(response.status().as_u16(), status, "{value}");
            assert_eq!(response.headers()[header::ETAG], "\"abc\"");
        }
    }
}
