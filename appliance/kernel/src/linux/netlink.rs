//! Route netlink, one request at a time. The kernel works on a request before `send` returns, so waiting for the
//! answer is short.

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{
    Socket,
    protocols::{NETLINK_GENERIC, NETLINK_ROUTE, NETLINK_XFRM},
};
use nix::errno::Errno;
use zeroize::Zeroizing;

/// A request that the kernel refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) errno: Errno,
    /// What the kernel said beyond the number.
    pub(super) text: Option<String>,
}

impl From<Errno> for Refusal {
    fn from(errno: Errno) -> Self {
        Self { errno, text: None }
    }
}

impl From<std::io::Error> for Refusal {
    fn from(error: std::io::Error) -> Self {
        error.raw_os_error().map_or(Errno::EIO, Errno::from_raw).into()
    }
}

/// How often a listing is begun anew because something changed while it was read.
const DUMP_ATTEMPTS: usize = 8;
const F_DUMP_INTERRUPTED: u16 = 0x10;
const F_CAPPED: u16 = 0x100;
const F_TEXTS: u16 = 0x200;
const TYPE_ERROR: u16 = 2;
const TYPE_DONE: u16 = 3;
pub(super) const HEADER_BYTES: usize = 16;

/// A socket in the network namespace of the thread that opened it.
pub(super) struct Netlink {
    socket: Socket,
    sequence: u32,
}

impl Netlink {
    pub(super) fn open() -> Result<Self, Refusal> {
        Self::of(NETLINK_ROUTE)
    }

    /// A socket for security associations.
    pub(super) fn open_xfrm() -> Result<Self, Refusal> {
        Self::of(NETLINK_XFRM)
    }

    /// A socket for families that have names.
    pub(super) fn open_generic() -> Result<Self, Refusal> {
        Self::of(NETLINK_GENERIC)
    }

    fn of(protocol: isize) -> Result<Self, Refusal> {
        let mut socket = Socket::new(protocol)?;
        socket.bind_auto()?;
        socket.set_ext_ack(true)?;
        socket.set_cap_ack(true)?;
        Ok(Self { socket, sequence: 0 })
    }

    /// All objects of a kind.
    pub(super) fn list(
        &mut self,
        request: RouteNetlinkMessage,
    ) -> Result<Vec<RouteNetlinkMessage>, Refusal> {
        for _ in 0..DUMP_ATTEMPTS {
            let answer = self.exchange(request.clone(), NLM_F_REQUEST | NLM_F_DUMP)?;
            if !answer.interrupted {
                return Ok(answer.messages);
            }
        }
        Err(Errno::EINTR.into())
    }

    /// One object, or a change.
    pub(super) fn request(
        &mut self,
        request: RouteNetlinkMessage,
        flags: u16,
    ) -> Result<Vec<RouteNetlinkMessage>, Refusal> {
        Ok(self.exchange(request, NLM_F_REQUEST | NLM_F_ACK | flags)?.messages)
    }

    /// A request that is given as bytes behind the header, for what the library has no types for. The answers are
    /// given as bytes too, with their headers. All of it is wiped afterwards, because it may hold keys.
    pub(super) fn bytes(
        &mut self,
        kind: u16,
        flags: u16,
        body: &[u8],
    ) -> Result<Vec<Zeroizing<Vec<u8>>>, Refusal> {
        Ok(self.exchange_bytes(kind, flags, body)?.messages)
    }

    /// All objects of a kind, as bytes; begun anew if something changed meanwhile.
    pub(super) fn list_bytes(
        &mut self,
        kind: u16,
        body: &[u8],
    ) -> Result<Vec<Zeroizing<Vec<u8>>>, Refusal> {
        for _ in 0..DUMP_ATTEMPTS {
            let answer = self.exchange_bytes(kind, NLM_F_DUMP, body)?;
            if !answer.interrupted {
                return Ok(answer.messages);
            }
        }
        Err(Errno::EINTR.into())
    }

    fn exchange_bytes(
        &mut self,
        kind: u16,
        flags: u16,
        body: &[u8],
    ) -> Result<BytesAnswer, Refusal> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut message = Zeroizing::new(Vec::with_capacity(HEADER_BYTES + body.len()));
        message.extend(((HEADER_BYTES + body.len()) as u32).to_ne_bytes());
        message.extend(kind.to_ne_bytes());
        message.extend((flags | NLM_F_REQUEST).to_ne_bytes());
        message.extend(self.sequence.to_ne_bytes());
        message.extend([0; 4]);
        message.extend(body);
        self.socket.send(&message, 0)?;
        let mut answer = BytesAnswer::default();
        loop {
            let datagram = Zeroizing::new(self.socket.recv_from_full()?.0);
            if answer.read(&datagram, self.sequence)? {
                return Ok(answer);
            }
        }
    }

    fn exchange(&mut self, request: RouteNetlinkMessage, flags: u16) -> Result<Answer, Refusal> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        (header.flags, header.sequence_number) = (flags, self.sequence);
        let mut message = NetlinkMessage::new(header, NetlinkPayload::from(request));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.socket.send(&bytes, 0)?;
        let mut answer = Answer::default();
        loop {
            let (datagram, _) = self.socket.recv_from_full()?;
            if answer.read(&datagram, self.sequence)? {
                return Ok(answer);
            }
        }
    }
}

#[derive(Default)]
struct Answer {
    messages: Vec<RouteNetlinkMessage>,
    interrupted: bool,
}

impl Answer {
    /// Whether the answer is complete.
    fn read(&mut self, datagram: &[u8], sequence: u32) -> Result<bool, Refusal> {
        for message in split(datagram) {
            // What is left of an earlier request that failed half-way.
            if u32_at(message, 8) != Some(sequence) {
                continue;
            }
            let flags = u16_at(message, 6).unwrap_or(0);
            self.interrupted |= flags & F_DUMP_INTERRUPTED != 0;
            let kind = u16_at(message, 4);
            if kind == Some(TYPE_ERROR) || kind == Some(TYPE_DONE) {
                let code = u32_at(message, HEADER_BYTES).unwrap_or(0) as i32;
                if code >= 0 {
                    return Ok(true);
                }
                let errno = Errno::from_raw(-code);
                return Err(Refusal { errno, text: kernel_text(message, flags) });
            }
            // A message that this version of the library cannot read is no reason to see none.
            if let Ok(parsed) = NetlinkMessage::<RouteNetlinkMessage>::deserialize(message)
                && let NetlinkPayload::InnerMessage(inner) = parsed.payload
            {
                self.messages.push(inner);
            }
        }
        Ok(false)
    }
}

#[derive(Default)]
struct BytesAnswer {
    messages: Vec<Zeroizing<Vec<u8>>>,
    interrupted: bool,
}

impl BytesAnswer {
    /// Whether the answer is complete.
    fn read(&mut self, datagram: &[u8], sequence: u32) -> Result<bool, Refusal> {
        for message in split(datagram).filter(|message| u32_at(message, 8) == Some(sequence)) {
            let flags = u16_at(message, 6).unwrap_or(0);
            self.interrupted |= flags & F_DUMP_INTERRUPTED != 0;
            match u16_at(message, 4) {
                Some(TYPE_ERROR | TYPE_DONE) => {
                    let code = u32_at(message, HEADER_BYTES).unwrap_or(0) as i32;
                    if code >= 0 {
                        return Ok(true);
                    }
                    let errno = Errno::from_raw(-code);
                    return Err(Refusal { errno, text: kernel_text(message, flags) });
                }
                _ => self.messages.push(Zeroizing::new(message.to_vec())),
            }
        }
        Ok(false)
    }
}

/// The messages of a datagram.
pub(super) fn split(mut datagram: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let length = u32_at(datagram, 0)? as usize;
        let message = datagram.get(..length).filter(|_| length >= HEADER_BYTES)?;
        datagram = datagram.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(message)
    })
}

/// The text of an extended acknowledgement.
fn kernel_text(message: &[u8], flags: u16) -> Option<String> {
    const TEXT: u16 = 1;
    if flags & F_TEXTS == 0 {
        return None;
    }
    // The number, and for an error the request: its header alone or all of it.
    let behind = match u16_at(message, 4)? {
        TYPE_DONE => HEADER_BYTES + 4,
        _ if flags & F_CAPPED != 0 => HEADER_BYTES + 4 + HEADER_BYTES,
        _ => HEADER_BYTES + 4 + (u32_at(message, HEADER_BYTES + 4)? as usize).next_multiple_of(4),
    };
    let mut attributes = message.get(behind..)?;
    loop {
        let length = u16_at(attributes, 0)? as usize;
        let value = attributes.get(4..length)?;
        if u16_at(attributes, 2)? == TEXT {
            let text = value.split(|byte| *byte == 0).next()?;
            return Some(String::from_utf8_lossy(text).into_owned());
        }
        attributes = attributes.get(length.next_multiple_of(4)..)?;
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(flags: u16, texts: &[u8]) -> Vec<u8> {
        let mut message = vec![0; HEADER_BYTES];
        message[4..6].copy_from_slice(&TYPE_ERROR.to_ne_bytes());
        message[6..8].copy_from_slice(&flags.to_ne_bytes());
        message[8..12].copy_from_slice(&7u32.to_ne_bytes());
        message.extend((-(Errno::EBUSY as i32)).to_ne_bytes());
        message.extend([0; HEADER_BYTES]);
        message.extend(texts);
        let length = message.len() as u32;
        message[..4].copy_from_slice(&length.to_ne_bytes());
        message
    }

    #[test]
    fn the_kernels_words_are_read() {
        let texts = [&12u16.to_ne_bytes()[..], &1u16.to_ne_bytes(), b"in use\0\0"].concat();
        let error = Answer::default().read(&refusal(F_CAPPED | F_TEXTS, &texts), 7).unwrap_err();
        assert_eq!(error, Refusal { errno: Errno::EBUSY, text: Some("in use".into()) });
        let error = Answer::default().read(&refusal(F_CAPPED, &[]), 7).unwrap_err();
        assert_eq!(error.text, None);
    }

    #[test]
    fn answers_to_others_and_nonsense_are_skipped() {
        assert!(!Answer::default().read(&refusal(0, &[]), 8).unwrap());
        assert!(!Answer::default().read(&[1, 2, 3], 7).unwrap());
        assert!(!Answer::default().read(&[0; 64], 7).unwrap());
    }
}
