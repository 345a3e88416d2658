//! What each route needs: the one table that says who may do what.

use axum::http::Method;

use crate::access::Role;

/// Whom a route serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Everybody: here one becomes somebody.
    Nothing,
    /// Supervisors on this machine without credentials, others as viewers.
    Probe,
    /// Who has this role or one that may more.
    Role(Role),
}

/// Whether a request can change something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// It cannot, whatever its method.
    Reads,
    /// It can: it is recorded in the audit log, and not for those who may only look.
    Changes,
}

const VIEWER: Need = Need::Role(Role::Viewer);
const OPERATOR: Need = Need::Role(Role::Operator);
const SECURITY: Need = Need::Role(Role::Security);
const ADMINISTRATOR: Need = Need::Role(Role::Administrator);

use Effect::{Changes, Reads};

/// Method, path, whom it serves, what it can do. A route that is not here is nobody's but the Unix socket's.
pub(super) const RULES: &[(&str, &str, Need, Effect)] = &[
    ("GET", "/healthz", Need::Probe, Reads),
    ("GET", "/readyz", Need::Probe, Reads),
    ("GET", "/metrics", VIEWER, Reads),
    ("GET", "/openapi.json", VIEWER, Reads),
    // What is.
    ("GET", "/v1/status", VIEWER, Reads),
    ("GET", "/v1/counters", VIEWER, Reads),
    ("GET", "/v1/events", VIEWER, Reads),
    ("GET", "/v1/version", VIEWER, Reads),
    ("GET", "/v1/plan", VIEWER, Reads),
    ("GET", "/v1/capabilities", VIEWER, Reads),
    ("GET", "/v1/profiles", VIEWER, Reads),
    ("GET", "/v1/profiles/{name}", VIEWER, Reads),
    ("POST", "/v1/links/{name}/probe", OPERATOR, Changes),
    ("GET", "/v1/series", VIEWER, Reads),
    ("GET", "/v1/series/names", VIEWER, Reads),
    ("POST", "/v1/plan", VIEWER, Reads),
    ("POST", "/v1/trace", VIEWER, Reads),
    // Objects. What several at once need depends on their kinds: the handler asks.
    ("POST", "/v1/apply", OPERATOR, Changes),
    ("GET", "/v1/services", VIEWER, Reads),
    ("GET", "/v1/services/{name}", VIEWER, Reads),
    ("PUT", "/v1/services/{name}", OPERATOR, Changes),
    ("PATCH", "/v1/services/{name}", OPERATOR, Changes),
    ("DELETE", "/v1/services/{name}", OPERATOR, Changes),
    ("GET", "/v1/prefilters", VIEWER, Reads),
    ("GET", "/v1/prefilters/{name}", VIEWER, Reads),
    ("PUT", "/v1/prefilters/{name}", SECURITY, Changes),
    ("PATCH", "/v1/prefilters/{name}", SECURITY, Changes),
    ("DELETE", "/v1/prefilters/{name}", SECURITY, Changes),
    ("GET", "/v1/gateways", VIEWER, Reads),
    ("GET", "/v1/gateways/{name}", VIEWER, Reads),
    ("PUT", "/v1/gateways/{name}", ADMINISTRATOR, Changes),
    ("PATCH", "/v1/gateways/{name}", ADMINISTRATOR, Changes),
    ("DELETE", "/v1/gateways/{name}", ADMINISTRATOR, Changes),
    // What a candidate or an old revision changes decides who may make it take effect: the engine asks.
    ("GET", "/v1/candidate", VIEWER, Reads),
    ("DELETE", "/v1/candidate", OPERATOR, Changes),
    ("GET", "/v1/candidate/diff", VIEWER, Reads),
    ("POST", "/v1/candidate/validate", VIEWER, Reads),
    ("GET", "/v1/candidate/plan", VIEWER, Reads),
    ("POST", "/v1/candidate/commit", OPERATOR, Changes),
    ("GET", "/v1/candidates", VIEWER, Reads),
    ("GET", "/v1/revisions", VIEWER, Reads),
    ("GET", "/v1/revisions/{revision}", VIEWER, Reads),
    ("POST", "/v1/revisions/{revision}/rollback", OPERATOR, Changes),
    ("GET", "/v1/confirmation", VIEWER, Reads),
    ("POST", "/v1/confirmation", OPERATOR, Changes),
    ("DELETE", "/v1/confirmation", OPERATOR, Changes),
    ("GET", "/v1/export", VIEWER, Reads),
    ("POST", "/v1/import", ADMINISTRATOR, Changes),
    ("POST", "/v1/backup", ADMINISTRATOR, Changes),
    ("POST", "/v1/restore", ADMINISTRATOR, Changes),
    // Who may do what. Of passwords and codes one's own: the handler asks.
    ("GET", "/v1/setup", Need::Nothing, Reads),
    ("POST", "/v1/setup", Need::Nothing, Changes),
    ("POST", "/v1/session", Need::Nothing, Changes),
    ("GET", "/v1/session", VIEWER, Reads),
    ("DELETE", "/v1/session", VIEWER, Changes),
    ("GET", "/v1/sessions", VIEWER, Reads),
    ("DELETE", "/v1/sessions/{id}", VIEWER, Changes),
    ("GET", "/v1/users", ADMINISTRATOR, Reads),
    ("POST", "/v1/users", ADMINISTRATOR, Changes),
    ("GET", "/v1/users/{name}", ADMINISTRATOR, Reads),
    ("PATCH", "/v1/users/{name}", ADMINISTRATOR, Changes),
    ("DELETE", "/v1/users/{name}", ADMINISTRATOR, Changes),
    ("POST", "/v1/users/{name}/password", VIEWER, Changes),
    ("POST", "/v1/users/{name}/totp", VIEWER, Changes),
    ("DELETE", "/v1/users/{name}/totp", ADMINISTRATOR, Changes),
    ("GET", "/v1/tokens", ADMINISTRATOR, Reads),
    ("POST", "/v1/tokens", ADMINISTRATOR, Changes),
    ("DELETE", "/v1/tokens/{id}", ADMINISTRATOR, Changes),
    ("GET", "/v1/certificate", VIEWER, Reads),
    ("PUT", "/v1/certificate", ADMINISTRATOR, Changes),
    ("GET", "/v1/audit", SECURITY, Reads),
    ("GET", "/v1/audit/check", SECURITY, Reads),
];

/// The rule of a route; `None` for one that was forgotten in the table. HEAD is a GET without its body.
pub(super) fn rule(method: &Method, path: &str) -> Option<(Need, Effect)> {
    let method = if method == Method::HEAD { "GET" } else { method.as_str() };
    let found = RULES.iter().find(|(known, at, ..)| *known == method && *at == path);
    found.map(|(_, _, need, effect)| (*need, *effect))
}

/// The routes that take `dryRun`, and then change nothing. What is tried on others is done, and recorded.
const TRIED: &[(&str, &str)] = &[
    ("POST", "/v1/apply"),
    ("PUT", "/v1/services/{name}"),
    ("PATCH", "/v1/services/{name}"),
    ("DELETE", "/v1/services/{name}"),
    ("PUT", "/v1/prefilters/{name}"),
    ("PATCH", "/v1/prefilters/{name}"),
    ("DELETE", "/v1/prefilters/{name}"),
    ("PUT", "/v1/gateways/{name}"),
    ("PATCH", "/v1/gateways/{name}"),
    ("DELETE", "/v1/gateways/{name}"),
    ("POST", "/v1/revisions/{revision}/rollback"),
    ("POST", "/v1/import"),
];

/// Whether a request to this route can be tried out only.
pub(super) fn can_be_tried(method: &Method, path: &str) -> bool {
    TRIED.contains(&(method.as_str(), path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_has_a_rule_and_every_rule_a_route() {
        let document = crate::api::openapi();
        let mut routes = vec![("GET".to_owned(), "/openapi.json".to_owned())];
        for (path, operations) in document["paths"].as_object().unwrap() {
            for method in operations.as_object().unwrap().keys() {
                routes.push((method.to_uppercase(), path.clone()));
            }
        }
        for (method, path) in &routes {
            let method: Method = method.parse().unwrap();
            assert!(rule(&method, path).is_some(), "{method} {path} has no rule: add it to RULES");
        }
        for (method, path, ..) in RULES {
            let known = routes.iter().any(|(m, p)| m == method && p == path);
            assert!(known, "the rule {method} {path} has no route");
        }
        assert_eq!(routes.len(), RULES.len(), "a rule stands there twice");
    }

    #[test]
    fn only_routes_that_take_a_dry_run_can_be_tried() {
        let document = crate::api::openapi();
        let mut taking = Vec::new();
        for (path, operations) in document["paths"].as_object().unwrap() {
            for (method, operation) in operations.as_object().unwrap() {
                let mut parameters = operation["parameters"].as_array().into_iter().flatten();
                if parameters.any(|parameter| parameter["name"] == "dryRun") {
                    taking.push((method.to_uppercase(), path.clone()));
                }
            }
        }
        let mut known: Vec<_> = TRIED.iter().map(|(m, p)| (m.to_string(), p.to_string())).collect();
        known.sort();
        taking.sort();
        assert_eq!(known, taking);
        assert!(!can_be_tried(&Method::POST, "/v1/users"));
    }

    #[test]
    fn only_what_cannot_change_anything_is_open() {
        let open: Vec<_> = RULES
            .iter()
            .filter(|(_, _, need, _)| *need == Need::Nothing)
            .map(|(method, path, ..)| format!("{method} {path}"))
            .collect();
        assert_eq!(open, ["GET /v1/setup", "POST /v1/setup", "POST /v1/session"]);
        for (method, path, _, effect) in RULES {
            let reads = *method == "GET"
                || matches!(*path, "/v1/plan" | "/v1/trace" | "/v1/candidate/validate");
            assert_eq!(*effect == Reads, reads, "{method} {path}");
        }
    }
}
