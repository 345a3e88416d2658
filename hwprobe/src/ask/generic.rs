//! Generic netlink by neli: a question, a list of attributes as answer.

use std::collections::BTreeMap;

use neli::consts::nl::NlmF;
use neli::consts::socket::NlFamily;
use neli::err::RouterError;
use neli::genl::{AttrTypeBuilder, Genlmsghdr, GenlmsghdrBuilder, NlattrBuilder};
use neli::nl::NlPayload;
use neli::router::synchronous::NlRouter;
use neli::types::{Buffer, GenlBuffer};
use neli::utils::Groups;
use sluice_kernel::Errno;

type Message = Genlmsghdr<u8, u16>;

/// A socket in the network namespace of the thread that opened it.
pub(crate) struct Generic {
    router: NlRouter,
    families: std::cell::RefCell<BTreeMap<&'static str, Option<u16>>>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unanswered {
    /// The kernel refused.
    Errno(Errno),
    /// The kernel has no such family.
    NoFamily(&'static str),
    /// Anything else.
    Other(String),
}

/// Attributes in the order in which they came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attributes(Vec<(u16, Vec<u8>)>);

/// Attributes of a question.
#[derive(Clone, Debug, Default)]
pub(crate) struct Question(Vec<(u16, bool, Vec<u8>)>);

impl Generic {
    pub(crate) fn open() -> Result<Self, Unanswered> {
        let (router, _) = NlRouter::connect(NlFamily::Generic, None, Groups::empty())
            .map_err(|error| Unanswered::Other(error.to_string()))?;
        Ok(Self { router, families: Default::default() })
    }

    /// One object.
    pub(crate) fn ask(
        &self,
        family: &'static str,
        command: u8,
        question: &Question,
    ) -> Result<Attributes, Unanswered> {
        let answers = self.send(family, command, question, NlmF::ACK)?;
        answers.into_iter().next().ok_or(Unanswered::Other("an empty answer".to_owned()))
    }

    /// All objects.
    pub(crate) fn list(
        &self,
        family: &'static str,
        command: u8,
    ) -> Result<Vec<Attributes>, Unanswered> {
        self.send(family, command, &Question::default(), NlmF::DUMP)
    }

    fn send(
        &self,
        family: &'static str,
        command: u8,
        question: &Question,
        flags: NlmF,
    ) -> Result<Vec<Attributes>, Unanswered> {
        let id = self.family(family)?;
        let message = message(command, question).map_err(Unanswered::Other)?;
        let answers = self
            .router
            .send::<u16, Message, u16, Message>(id, flags, NlPayload::Payload(message))
            .map_err(|error| Unanswered::Other(error.to_string()))?;
        let mut found = Vec::new();
        for answer in answers {
            match answer {
                Ok(answer) => {
                    if let NlPayload::Payload(payload) = answer.nl_payload() {
                        found.push(Attributes::read(payload));
                    }
                }
                Err(RouterError::Nlmsgerr(error)) => {
                    return Err(Unanswered::Errno(Errno::from_raw(-error.error())));
                }
                Err(error) => return Err(Unanswered::Other(error.to_string())),
            }
        }
        Ok(found)
    }

    fn family(&self, name: &'static str) -> Result<u16, Unanswered> {
        let mut families = self.families.borrow_mut();
        let id = families.entry(name).or_insert_with(|| self.router.resolve_genl_family(name).ok());
        (*id).ok_or(Unanswered::NoFamily(name))
    }
}

fn message(command: u8, question: &Question) -> Result<Message, String> {
    let mut attributes = GenlBuffer::<u16, Buffer>::new();
    for (kind, nested, value) in &question.0 {
        let kind = AttrTypeBuilder::default().nla_type(*kind).nla_nested(*nested).build();
        let kind = kind.map_err(|error| error.to_string())?;
        let attribute =
            NlattrBuilder::default().nla_type(kind).nla_payload(value.as_slice()).build();
        attributes.push(attribute.map_err(|error| error.to_string())?);
    }
    let message = GenlmsghdrBuilder::default().cmd(command).version(1).attrs(attributes).build();
    message.map_err(|error| error.to_string())
}

impl Question {
    pub(crate) fn with_u32(mut self, kind: u16, value: u32) -> Self {
        self.0.push((kind, false, value.to_ne_bytes().to_vec()));
        self
    }

    pub(crate) fn with_text(mut self, kind: u16, text: &str) -> Self {
        let mut bytes = text.as_bytes().to_vec();
        bytes.push(0);
        self.0.push((kind, false, bytes));
        self
    }

    /// A nested list of one number.
    pub(crate) fn with_nested_u32(mut self, kind: u16, inner: u16, value: u32) -> Self {
        let mut bytes = 8u16.to_ne_bytes().to_vec();
        bytes.extend(inner.to_ne_bytes());
        bytes.extend(value.to_ne_bytes());
        self.0.push((kind, true, bytes));
        self
    }
}

impl Attributes {
    fn read(message: &Message) -> Self {
        let attributes = message.attrs().iter();
        let pairs = attributes.map(|attribute| {
            let value: &[u8] = attribute.nla_payload().as_ref();
            (*attribute.nla_type().nla_type(), value.to_vec())
        });
        Self(pairs.collect())
    }

    /// The attributes that are written in a value.
    fn nested(mut bytes: &[u8]) -> Self {
        let half = |bytes: &[u8], at: usize| {
            Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
        };
        let mut pairs = Vec::new();
        while let (Some(length), Some(kind)) = (half(bytes, 0), half(bytes, 2)) {
            let length = usize::from(length);
            let Some(value) = bytes.get(4..length) else { break };
            pairs.push((kind & 0x3fff, value.to_vec()));
            bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        Self(pairs)
    }

    pub(crate) fn bytes(&self, kind: u16) -> Option<&[u8]> {
        self.0.iter().find(|(of, _)| *of == kind).map(|(_, value)| value.as_slice())
    }

    pub(crate) fn has(&self, kind: u16) -> bool {
        self.bytes(kind).is_some()
    }

    /// A number of any length up to eight bytes.
    pub(crate) fn number(&self, kind: u16) -> Option<u64> {
        let value = self.bytes(kind)?;
        let mut bytes = [0; 8];
        match value.len() {
            1 => Some(u64::from(*value.first()?)),
            2 => Some(u64::from(u16::from_ne_bytes(value.try_into().ok()?))),
            4 => Some(u64::from(u32::from_ne_bytes(value.try_into().ok()?))),
            8 => {
                bytes.copy_from_slice(value);
                Some(u64::from_ne_bytes(bytes))
            }
            _ => None,
        }
    }

    pub(crate) fn text(&self, kind: u16) -> Option<String> {
        let text = self.bytes(kind)?.split(|byte| *byte == 0).next()?;
        Some(String::from_utf8_lossy(text).into_owned())
    }

    pub(crate) fn inner(&self, kind: u16) -> Self {
        Self::nested(self.bytes(kind).unwrap_or_default())
    }

    /// All nested lists of this type.
    pub(crate) fn each(&self, kind: u16) -> impl Iterator<Item = Self> {
        let all = self.0.iter().filter(move |(of, _)| *of == kind);
        all.map(|(_, value)| Self::nested(value))
    }
}

impl std::fmt::Display for Unanswered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Errno(errno) => write!(f, "{errno:?}"),
            Self::NoFamily(name) => write!(f, "this kernel has no netlink family '{name}'"),
            Self::Other(text) => f.write_str(text),
        }
    }
}
