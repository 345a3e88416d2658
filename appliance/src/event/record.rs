//! One event.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// Where it stands in the log; a reader that stopped here goes on with the next.
    pub id: Cursor,
    /// When it happened.
    pub time: Timestamp,
    /// What happened.
    pub kind: EventKind,
    /// How much it matters.
    pub severity: Severity,
    /// The object it happened to: `Service/web`, `link eth0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// What happened, in a sentence.
    pub message: String,
    /// The same for programs.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub fields: Map<String, Value>,
}

impl Event {
    /// An event of this moment. The log gives it its id.
    pub fn new(kind: EventKind, severity: Severity, message: impl Into<String>) -> Self {
        Self {
            id: Cursor::default(),
            time: Timestamp::now(),
            kind,
            severity,
            object: None,
            message: message.into(),
            fields: Map::new(),
        }
    }

    /// The same about this object.
    #[must_use]
    pub fn about(mut self, object: impl fmt::Display) -> Self {
        self.object = Some(object.to_string());
        self
    }

    /// The same with one more field.
    #[must_use]
    pub fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(field.to_owned(), value.into());
        self
    }
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// The datapath dropped a packet (limited by `events.dropsPerSecond`).
    Drop,
    /// A flow began (one in `events.sampleFlows`).
    Flow,
    /// A backend answers its probes.
    BackendUp,
    /// A backend does not answer its probes any more.
    BackendDown,
    /// A configuration took effect.
    ConfigApplied,
    /// A configuration was refused; nothing changed.
    ConfigRefused,
    /// A configuration took effect, and is undone unless it is confirmed in time.
    ConfigPending,
    /// A configuration that was to be confirmed was.
    ConfigConfirmed,
    /// A configuration that was to be confirmed was not: the one before returned.
    ConfigReturned,
    /// The datapath runs on a link.
    LinkAttached,
    /// The datapath does not run on a link any more.
    LinkLost,
    /// Somebody else changed what is ours; it was put right.
    TamperingHealed,
    /// The next hop of a backend is not known any more.
    NeighbourLost,
    /// The next hop of a backend is known.
    NeighbourFound,
    /// A table of the datapath is full.
    TableFull,
    /// A card runs stages.
    CardPlaced,
    /// A card did not take what was planned; the host does it.
    CardRefused,
    /// A card does not run what it ran; the host does it.
    CardLost,
}

impl EventKind {
    /// All kinds.
    pub const ALL: [Self; 18] = [
        Self::Drop,
        Self::Flow,
        Self::BackendUp,
        Self::BackendDown,
        Self::ConfigApplied,
        Self::ConfigRefused,
        Self::ConfigPending,
        Self::ConfigConfirmed,
        Self::ConfigReturned,
        Self::LinkAttached,
        Self::LinkLost,
        Self::TamperingHealed,
        Self::NeighbourLost,
        Self::NeighbourFound,
        Self::TableFull,
        Self::CardPlaced,
        Self::CardRefused,
        Self::CardLost,
    ];

    /// The word in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Flow => "flow",
            Self::BackendUp => "backend-up",
            Self::BackendDown => "backend-down",
            Self::ConfigApplied => "config-applied",
            Self::ConfigRefused => "config-refused",
            Self::ConfigPending => "config-pending",
            Self::ConfigConfirmed => "config-confirmed",
            Self::ConfigReturned => "config-returned",
            Self::LinkAttached => "link-attached",
            Self::LinkLost => "link-lost",
            Self::TamperingHealed => "tampering-healed",
            Self::NeighbourLost => "neighbour-lost",
            Self::NeighbourFound => "neighbour-found",
            Self::TableFull => "table-full",
            Self::CardPlaced => "card-placed",
            Self::CardRefused => "card-refused",
            Self::CardLost => "card-lost",
        }
    }

    /// Whether a packet causes it: there may be thousands a second.
    pub const fn is_packet(self) -> bool {
        matches!(self, Self::Drop | Self::Flow)
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for EventKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| {
            let all = Self::ALL.map(Self::as_str).join(", ");
            format!("`{text}` is not a kind of event: expected one of {all}")
        })
    }
}

/// How much an event matters.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// As it should be.
    Info,
    /// Worth a look.
    Warning,
    /// Something does not work.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// A place in the log of one run of the daemon: `1763683200-42`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct Cursor {
    /// Start of the daemon, seconds since 1970: the logs of two runs have nothing in common.
    pub run: u64,
    /// Number of the event in this run, from 1.
    pub number: u64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.run, self.number)
    }
}

impl FromStr for Cursor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split_once('-')
            .and_then(|(run, number)| {
                Some(Self { run: run.parse().ok()?, number: number.parse().ok()? })
            })
            .ok_or_else(|| {
                format!("`{text}` is not the id of an event: expected one such as 1763683200-42")
            })
    }
}

impl TryFrom<String> for Cursor {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl JsonSchema for Cursor {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Cursor".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^[0-9]+-[0-9]+$" })
    }
}

impl From<Cursor> for String {
    fn from(cursor: Cursor) -> Self {
        cursor.to_string()
    }
}
