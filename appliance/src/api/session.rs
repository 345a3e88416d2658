//! Who is signed in.

use axum::Json;

use super::state::By;
use crate::wire::Session;

/// Who I am, as far as the API knows.
#[utoipa::path(get, path = "/v1/session", operation_id = "session", tag = "access", responses((status = 200, body = Session)))]
pub(super) async fn session(By(caller): By) -> Json<Session> {
    Json(Session {
        user: caller.name.to_string(),
        role: caller.role,
        kind: caller.kind.as_str().to_owned(),
        from: caller.connection.to_string(),
    })
}
