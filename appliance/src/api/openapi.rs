//! The OpenAPI document: paths from the handlers, schemas from the types themselves.

use std::borrow::Cow;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::Value;
use utoipa::openapi::schema::{ObjectBuilder, Schema};
use utoipa::openapi::{OpenApi as Described, RefOr};
use utoipa::{OpenApi, PartialSchema, ToSchema};

use crate::access::{CertificateAbout, Checked};
use crate::event::Event;
use crate::wire::{
    Applied, AuditPage, Backup, BackupRequest, Candidate, CandidateDiff, CandidateList,
    Capabilities, CertificateRequest, CommitRequest, Confirmation, Counters, CreatedToken, Gateway,
    GatewayList, NewToken, NewUser, PasswordChange, Plan, Prefilter, PrefilterList, ProbeAnswer,
    ProblemDetails, ProfileNames, Readiness, RestoreRequest, Revision, RevisionDetail,
    RevisionList, SeriesAnswer, SeriesNames, Service, ServiceList, Session, SessionList,
    SetupRequest, SetupState, ShippedProfile, SignInRequest, Status, Supposition, TokenList,
    TotpRequest, TotpState, TraceAnswer, TraceRequest, User, UserList, UserPatch, Validation,
    Version,
};

#[derive(OpenApi)]
#[openapi(
    info(title = "Sluice", description = "L4 load balancer and packet filter with an eBPF datapath."),
    tags(
        (name = "objects", description = "The configuration: what is wanted, with what became of it"),
        (name = "configuration", description = "Candidates, history, confirmation, backup"),
        (name = "state", description = "What is"),
        (name = "access", description = "Who may do what"),
        (name = "probes", description = "For supervisors and monitoring"),
    )
)]
pub(super) struct Document;

/// utoipa needs to know a type's name to refer to it; the schema itself comes from schemars, which the configuration
/// objects use too, so that there is one description of each type.
macro_rules! described {
    ($($type:ty),+ $(,)?) => {
        $(
            impl PartialSchema for $type {
                fn schema() -> RefOr<Schema> {
                    ObjectBuilder::new().into()
                }
            }

            impl ToSchema for $type {
                fn name() -> Cow<'static, str> {
                    <$type as JsonSchema>::schema_name()
                }
            }
        )+

        fn definitions() -> serde_json::Map<String, Value> {
            let settings = SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = "/components/schemas".into();
            });
            let mut generator = SchemaGenerator::new(settings);
            $(generator.subschema_for::<$type>();)+
            generator.take_definitions(true)
        }
    };
}

described!(
    Applied,
    AuditPage,
    CertificateAbout,
    CertificateRequest,
    Checked,
    Backup,
    BackupRequest,
    Candidate,
    CandidateDiff,
    CandidateList,
    Capabilities,
    CommitRequest,
    Confirmation,
    Counters,
    CreatedToken,
    Event,
    Gateway,
    GatewayList,
    NewToken,
    NewUser,
    PasswordChange,
    Plan,
    Prefilter,
    PrefilterList,
    ProbeAnswer,
    ProblemDetails,
    ProfileNames,
    Readiness,
    RestoreRequest,
    Revision,
    RevisionDetail,
    RevisionList,
    SeriesAnswer,
    SeriesNames,
    Service,
    ServiceList,
    Session,
    SessionList,
    SetupRequest,
    SetupState,
    ShippedProfile,
    SignInRequest,
    Status,
    Supposition,
    TraceAnswer,
    TraceRequest,
    TokenList,
    TotpRequest,
    TotpState,
    User,
    UserList,
    UserPatch,
    Validation,
    Version,
);

/// The document with the schemas of all types.
pub(super) fn complete(document: &Described) -> Value {
    let mut document = serde_json::to_value(document).unwrap_or_default();
    let schemas = &mut document["components"]["schemas"];
    for (name, schema) in definitions() {
        schemas[name] = schema;
    }
    document
}

#[cfg(test)]
mod tests {
    use super::*;

    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    match value {
                        Value::String(target) if name == "$ref" => found.push(target),
                        value => references(value, found),
                    }
                }
            }
            Value::Array(values) => values.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_to_a_schema_with_content() {
        let document = crate::api::openapi();
        assert_eq!(document["openapi"], "3.1.0");
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 50, "{}", found.len());
        for reference in found {
            let target = document.pointer(reference.trim_start_matches('#'));
            let target = target.unwrap_or_else(|| panic!("{reference} leads nowhere"));
            assert!(
                target.get("properties").is_some() || target.as_object().unwrap().len() > 1,
                "{reference} is empty"
            );
        }
    }

    #[test]
    fn every_operation_has_its_own_id() {
        let document = crate::api::openapi();
        let paths = document["paths"].as_object().unwrap();
        let mut ids: Vec<_> = paths
            .values()
            .flat_map(|path| path.as_object().unwrap().values())
            .map(|o| o["operationId"].as_str().unwrap())
            .collect();
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count);
    }
}
