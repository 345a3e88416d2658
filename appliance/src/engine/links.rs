//! The gateway's links: our program on each of them, as the kernel shows it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sluice_kernel::{AttachMode, Attachment, Error, ForeignProgram, XdpMode};
use sluice_model::LinkName;
use sluice_model::status::ActualAttach;

use super::hops::Hops;
use crate::event::{Event, EventKind, EventLog, Severity};

/// A refused link is tried again after so long.
const RETRY: Duration = Duration::from_secs(5);
/// The reason where there is no link.
const MISSING: &str = "LinkMissing";

/// What is on one link.
#[derive(Clone, Debug, Default)]
pub(super) struct Actual {
    /// Our program.
    pub(super) attachment: Option<Attachment>,
    /// Why there is none, or not the one that is wanted.
    pub(super) error: Option<Trouble>,
    /// Our program was there, the link still is, but the program is gone.
    torn_off: bool,
    retry: Option<Instant>,
}

/// Why a link is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    /// In one word for programs.
    pub(super) reason: &'static str,
    /// In a sentence.
    pub(super) message: String,
}

impl Trouble {
    fn missing(link: &LinkName) -> Self {
        let message = format!("there is no link {link}: it is attached as soon as it appears");
        Self { reason: MISSING, message }
    }

    fn is_missing(&self) -> bool {
        self.reason == MISSING
    }

    fn refused(error: &Error) -> Self {
        let reason = match error {
            Error::Foreign { .. } => "ForeignProgram",
            Error::NoSuchLink { .. } => MISSING,
            _ => "AttachFailed",
        };
        Self { reason, message: error.to_string() }
    }
}

impl Actual {
    /// How the program is attached.
    pub(super) fn mode(&self) -> ActualAttach {
        match self.attachment.as_ref().map(|attachment| attachment.mode) {
            None | Some(XdpMode::Hardware) => ActualAttach::None,
            Some(XdpMode::Native) => ActualAttach::Native,
            Some(XdpMode::Generic) => ActualAttach::Generic,
        }
    }

    /// Why the mode is not better.
    pub(super) fn reason(&self) -> Option<String> {
        let why = || self.attachment.as_ref().and_then(|attachment| attachment.why.clone());
        self.error.as_ref().map(|trouble| trouble.message.clone()).or_else(why)
    }

    fn ifindex(&self) -> Option<u32> {
        self.attachment.as_ref().map(|attachment| attachment.link.ifindex)
    }
}

/// All links of the configuration.
#[derive(Debug, Default)]
pub(super) struct Links {
    actual: BTreeMap<LinkName, Actual>,
}

impl Links {
    /// What is on a link.
    pub(super) fn get(&self, name: &LinkName) -> Option<&Actual> {
        self.actual.get(name)
    }

    /// Whether a link that was refused may be tried again.
    pub(super) fn may_try(&self, name: &LinkName) -> bool {
        self.get(name).and_then(|actual| actual.retry).is_none_or(|retry| retry <= Instant::now())
    }

    /// The kernel refused a program on a link.
    pub(super) fn refused(&mut self, name: &LinkName, error: &Error) {
        let actual = self.actual.entry(name.clone()).or_default();
        let trouble = Trouble::refused(error);
        // A link that is gone is not waited for: it is tried as soon as there is one of its name.
        actual.retry = (!trouble.is_missing()).then(|| Instant::now() + RETRY);
        actual.error = Some(trouble);
    }

    /// The program was attached, in place of another's.
    pub(super) fn attached(&mut self, name: &LinkName, replaced: Option<&ForeignProgram>) {
        let actual = self.actual.entry(name.clone()).or_default();
        (actual.error, actual.retry) = (None, None);
        if let Some(foreign) = replaced {
            tracing::warn!(link = %name, program = %foreign, "replaced as replaceForeign wants");
        }
    }

    /// Takes in how the links are, and tells what changed since the last look. Whether something is to be done about it.
    pub(super) fn observe(
        &mut self,
        configured: &[sluice_model::Link],
        attached: Vec<Attachment>,
        hops: &Hops,
        log: &EventLog,
    ) -> bool {
        let mut before = std::mem::take(&mut self.actual);
        let mut is_to_do = false;
        for link in configured {
            let old = before.remove(&link.name).unwrap_or_default();
            let there = hops.link_named(link.name.as_str()).map(|there| there.ifindex);
            let is_there = there.is_some();
            let mut new = old.clone();
            new.attachment =
                attached.iter().find(|found| link.name == *found.link.name.as_str()).cloned();
            match (&new.attachment, is_there) {
                (None, false) => {
                    (new.error, new.retry) = (Some(Trouble::missing(&link.name)), None);
                }
                (None, true) => {
                    if new.error.as_ref().is_some_and(Trouble::is_missing) {
                        new.error = None;
                    }
                    // A link that was deleted and made anew took its program with it: nobody tore that off.
                    new.torn_off |= old.attachment.is_some() && old.ifindex() == there;
                    is_to_do = true;
                }
                (Some(found), _) => {
                    if attach_mode(link.attach).allows(found.mode) {
                        new.error = None;
                    }
                    new.torn_off = false;
                }
            }
            tell(&link.name, &old, &new, log);
            self.actual.insert(link.name.clone(), new);
        }
        for (name, old) in before {
            if old.attachment.is_some() {
                let message = "the configuration does not have the link any more";
                log.push(
                    Event::new(EventKind::LinkLost, Severity::Info, message)
                        .about(format_args!("link {name}")),
                );
            }
        }
        is_to_do
    }
}

pub(super) const fn attach_mode(mode: sluice_model::AttachMode) -> AttachMode {
    match mode {
        sluice_model::AttachMode::Auto => AttachMode::Auto,
        sluice_model::AttachMode::Native => AttachMode::Native,
        sluice_model::AttachMode::Generic => AttachMode::Generic,
    }
}

/// Tells what changed on a link since the last look.
fn tell(name: &LinkName, before: &Actual, now: &Actual, log: &EventLog) {
    let object = format!("link {name}");
    match (&before.attachment, &now.attachment) {
        (None, None) if before.error == now.error || now.error.is_none() => {}
        (_, None) if before.attachment.is_none() || !now.torn_off => {
            let why = now.reason().unwrap_or_else(|| "its program is gone".to_owned());
            log.push(Event::new(EventKind::LinkLost, Severity::Error, why).about(object));
        }
        (_, None) => {
            let message = "our program was taken off the link by somebody else";
            log.push(Event::new(EventKind::LinkLost, Severity::Error, message).about(object));
        }
        (_, Some(_)) if before.torn_off => {
            let message = "our program was taken off the link by somebody else and is back";
            log.push(
                Event::new(EventKind::TamperingHealed, Severity::Warning, message).about(object),
            );
        }
        (_, Some(found)) if before.ifindex() != now.ifindex() => {
            let why = found.why.as_ref().map(|why| format!(" because native was refused: {why}"));
            let message = format!("attached in {} mode{}", found.mode, why.unwrap_or_default());
            log.push(
                Event::new(EventKind::LinkAttached, Severity::Info, message)
                    .about(object)
                    .with("ifindex", found.link.ifindex)
                    .with("mode", found.mode.to_string())
                    .with("program", found.program),
            );
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_kernel::{Errno, LinkName as Place, Object};

    #[test]
    fn only_a_refusal_makes_a_link_wait() {
        let name = LinkName::new("eth0").unwrap();
        let place = Place { name: "eth0".into(), ifindex: 2 };
        let refusal = Error::kernel(Object::Link(place.clone()), "attach", Errno::EBUSY);
        let mut links = Links::default();
        assert!(links.may_try(&name));
        links.refused(&name, &refusal);
        assert!(!links.may_try(&name));
        // Deleted while it was being attached: the next link of this name is not to wait.
        links.refused(&name, &Error::NoSuchLink { link: place });
        assert!(links.may_try(&name));
        links.refused(&name, &refusal);
        let configured: sluice_model::Link = serde_json::from_str(r#"{"name": "eth0"}"#).unwrap();
        links.observe(&[configured], Vec::new(), &Hops::default(), &EventLog::default());
        assert!(links.may_try(&name), "a link that is gone was refused nothing");
    }
}
