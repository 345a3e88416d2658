//! Filters at ingress that are there for a moment.

use super::{
    DeviceProgram, NAME, Refused, Trials, Tried,
    wire::{Attributes, find, text_of, u32_of},
};
use crate::{
    Errno,
    linux::netlink::{Netlink, Refusal},
};
use netlink_packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL};
use std::os::fd::{AsFd, AsRawFd};

const NEW_QDISC: u16 = 36;
const DELETE_QDISC: u16 = 37;
const GET_QDISC: u16 = 38;
const NEW_FILTER: u16 = 44;
const DELETE_FILTER: u16 = 45;
const GET_FILTER: u16 = 46;

/// Handle and parent of clsact and of its predecessor, the ingress qdisc.
const CLSACT: u32 = 0xffff_0000;
const CLSACT_PARENT: u32 = 0xffff_fff1;
/// Where filters at ingress hang, in both.
const INGRESS: u32 = 0xffff_fff2;

const A_KIND: u16 = 1;
const A_OPTIONS: u16 = 2;
const A_EGRESS_BLOCK: u16 = 14;

/// A clsact qdisc of ours has this number as the shared block of its egress side, which is empty: a mark that a later start
/// finds, since a qdisc has no name.
const MARK: u32 = 0x51c0_de00;
/// Filters on trial have these preferences, and nobody else's: one per kind, since a preference has one protocol.
const PREFERENCES: [u16; 2] = [0x51c0, 0x51c1];
const HANDLE: u32 = 0x51c0de;

const CLS_SKIP_SW: u32 = 1 << 1;
const CLS_IN_HW: u32 = 1 << 2;
const PROTOCOL_ALL: u16 = 3;

/// The bytes of `struct tcmsg` and of the header before it.
const HEADER: usize = 16;
const TC_MESSAGE: usize = 20;

/// The ingress hook of a link. A qdisc that had to be made for it goes when it is dropped.
pub struct Ingress<'t> {
    trials: &'t Trials,
    made: bool,
}

/// A filter of somebody that runs on the card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offloaded {
    /// `bpf`, `flower` and so on.
    pub kind: String,
    /// Its preference.
    pub preference: u16,
}

/// A filter on trial; it goes when it is dropped.
pub struct HeldFilter<'i> {
    ifindex: u32,
    preference: u16,
    protocol: u16,
    _ingress: &'i Ingress<'i>,
}

impl std::fmt::Debug for HeldFilter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HeldFilter").field("ifindex", &self.ifindex).finish_non_exhaustive()
    }
}

impl Trials {
    /// The ingress hook, with a qdisc if there was none.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn ingress(&self) -> Tried<Ingress<'_>> {
        let ifindex = self.link.ifindex;
        if qdisc(ifindex)?.is_some() {
            return Ok(Ingress { trials: self, made: false });
        }
        let attributes =
            Attributes::default().with_text(A_KIND, "clsact").with_u32(A_EGRESS_BLOCK, MARK);
        let body = body(ifindex, CLSACT, CLSACT_PARENT, 0, &attributes);
        let flags = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
        Netlink::open()?.bytes(NEW_QDISC, flags, &body)?;
        Ok(Ingress { trials: self, made: true })
    }
}

impl Drop for Ingress<'_> {
    fn drop(&mut self) {
        if self.made {
            let _ = remove_qdisc(self.trials.link.ifindex);
        }
    }
}

impl Ingress<'_> {
    pub(super) fn ifindex(&self) -> u32 {
        self.trials.link.ifindex
    }

    /// Whether the qdisc was made for the trial.
    pub fn made(&self) -> bool {
        self.made
    }

    /// The filters of others that run on the card.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn offloaded(&self) -> Tried<Vec<Offloaded>> {
        let mut found = Vec::new();
        for message in filters(self.trials.link.ifindex)? {
            let Some(filter) = Filter::read(&message) else { continue };
            if !PREFERENCES.contains(&filter.preference) && filter.flags & CLS_IN_HW != 0 {
                found.push(Offloaded { kind: filter.kind, preference: filter.preference });
            }
        }
        Ok(found)
    }

    /// Adds a cls_bpf filter with skip_sw, and reads back that it is `in_hw`.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn cls_bpf(&self, program: &DeviceProgram) -> Tried<HeldFilter<'_>> {
        const FD: u16 = 6;
        const NAME_OF: u16 = 7;
        const FLAGS: u16 = 8;
        const FLAGS_GEN: u16 = 9;
        const DIRECT_ACTION: u32 = 1;
        let options = Attributes::default()
            .with_u32(FD, program.as_fd().as_raw_fd() as u32)
            .with_text(NAME_OF, NAME)
            .with_u32(FLAGS, DIRECT_ACTION)
            .with_u32(FLAGS_GEN, CLS_SKIP_SW);
        self.add("bpf", PROTOCOL_ALL, &options)
    }

    /// Adds a filter with skip_sw in its options, and reads back that it is `in_hw`.
    pub(super) fn add(
        &self,
        kind: &str,
        protocol: u16,
        options: &Attributes,
    ) -> Tried<HeldFilter<'_>> {
        let ifindex = self.trials.link.ifindex;
        let preference = PREFERENCES[usize::from(kind != "bpf")];
        let attributes =
            Attributes::default().with_text(A_KIND, kind).with_nested(A_OPTIONS, options);
        let body = body(ifindex, HANDLE, INGRESS, info(preference, protocol), &attributes);
        let flags = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
        Netlink::open()?.bytes(NEW_FILTER, flags, &body)?;
        let held = HeldFilter { ifindex, preference, protocol, _ingress: self };
        let ours =
            filters(ifindex)?.iter().filter_map(|message| Filter::read(message)).find(|filter| {
                filter.preference == preference && filter.kind == kind && filter.handle != 0
            });
        match ours {
            Some(filter) if filter.flags & CLS_IN_HW != 0 => Ok(held),
            Some(_) => Err(Refused::read_back("not_in_hw")),
            None => Err(Refused::read_back("the filter is not there")),
        }
    }
}

impl Drop for HeldFilter<'_> {
    fn drop(&mut self) {
        let _ = remove_filters(self.ifindex, self.preference, self.protocol);
    }
}

/// What is asked of a filter that is there.
struct Filter {
    handle: u32,
    preference: u16,
    protocol: u16,
    kind: String,
    flags: u32,
}

impl Filter {
    fn read(message: &[u8]) -> Option<Self> {
        const BPF_FLAGS_GEN: u16 = 9;
        const FLOWER_FLAGS: u16 = 22;
        const MATCHALL_FLAGS: u16 = 3;
        const U32_FLAGS: u16 = 11;
        let handle = u32_of(message.get(HEADER + 8..)?)?;
        let info = u32_of(message.get(HEADER + 16..)?)?;
        let attributes = message.get(HEADER + TC_MESSAGE..)?;
        let kind = text_of(find(attributes, A_KIND)?);
        let flags = match kind.as_str() {
            "bpf" => BPF_FLAGS_GEN,
            "flower" => FLOWER_FLAGS,
            "matchall" => MATCHALL_FLAGS,
            _ => U32_FLAGS,
        };
        let options = find(attributes, A_OPTIONS).unwrap_or_default();
        Some(Self {
            handle,
            preference: (info >> 16) as u16,
            protocol: u16::from_be(info as u16),
            kind,
            flags: find(options, flags).and_then(u32_of).unwrap_or(0),
        })
    }
}

/// Removes what an earlier process left; whether there was something.
pub(super) fn remove_leftovers(ifindex: u32) -> Result<bool, Refusal> {
    let Some(mark) = qdisc(ifindex)? else { return Ok(false) };
    let mut found = false;
    for message in filters(ifindex)? {
        if let Some(filter) = Filter::read(&message)
            && PREFERENCES.contains(&filter.preference)
        {
            found = true;
            match remove_filters(ifindex, filter.preference, filter.protocol) {
                // Several messages of one filter.
                Err(refusal) if refusal.errno != Errno::ENOENT => return Err(refusal),
                _ => {}
            }
        }
    }
    if mark == Some(MARK) {
        found = true;
        // Somebody may have put filters of his own into it meanwhile.
        if filters(ifindex)?.is_empty() {
            remove_qdisc(ifindex)?;
        }
    }
    Ok(found)
}

/// The qdisc that takes filters at ingress, if there is one, and the block of its egress side.
fn qdisc(ifindex: u32) -> Result<Option<Option<u32>>, Refusal> {
    let body = body(ifindex, 0, 0, 0, &Attributes::default());
    for message in Netlink::open()?.bytes(GET_QDISC, NLM_F_DUMP, &body)? {
        let word = |at: usize| message.get(HEADER + at..).and_then(u32_of);
        if word(4) == Some(ifindex) && word(12) == Some(CLSACT_PARENT) {
            let attributes = message.get(HEADER + TC_MESSAGE..).unwrap_or_default();
            return Ok(Some(find(attributes, A_EGRESS_BLOCK).and_then(u32_of)));
        }
    }
    Ok(None)
}

fn remove_qdisc(ifindex: u32) -> Result<(), Refusal> {
    let attributes = Attributes::default().with_text(A_KIND, "clsact");
    let body = body(ifindex, CLSACT, CLSACT_PARENT, 0, &attributes);
    Netlink::open()?.bytes(DELETE_QDISC, NLM_F_ACK, &body).map(drop)
}

fn filters(ifindex: u32) -> Result<Vec<zeroize::Zeroizing<Vec<u8>>>, Refusal> {
    let body = body(ifindex, 0, INGRESS, 0, &Attributes::default());
    Netlink::open()?.bytes(GET_FILTER, NLM_F_DUMP, &body)
}

fn remove_filters(ifindex: u32, preference: u16, protocol: u16) -> Result<(), Refusal> {
    let body = body(ifindex, 0, INGRESS, info(preference, protocol), &Attributes::default());
    Netlink::open()?.bytes(DELETE_FILTER, NLM_F_ACK, &body).map(drop)
}

/// Preference and protocol as `tcm_info` has them.
fn info(preference: u16, protocol: u16) -> u32 {
    u32::from(preference) << 16 | u32::from(protocol.to_be())
}

/// `struct tcmsg` and attributes.
fn body(ifindex: u32, handle: u32, parent: u32, info: u32, attributes: &Attributes) -> Vec<u8> {
    let words = [0, ifindex, handle, parent, info];
    let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    bytes.extend(attributes.bytes());
    bytes
}
