//! Families of generic netlink, which have names.

use super::{
    netlink::{HEADER_BYTES, Netlink, Refusal},
    trial::wire::{Attributes, find},
};
use crate::Errno;
use netlink_packet_core::NLM_F_ACK;

/// `struct genlmsghdr`.
pub(super) const GENERIC_HEADER: usize = 4;

/// The number of a family, which the kernel gives out anew at each start. A family of a module that is not loaded is `ENOENT`.
pub(super) fn family(socket: &mut Netlink, name: &str) -> Result<u16, Refusal> {
    /// `GENL_ID_CTRL`, `CTRL_CMD_GETFAMILY`, `CTRL_ATTR_*` of `include/uapi/linux/genetlink.h`.
    const CONTROL: u16 = 16;
    const GET_FAMILY: u8 = 3;
    const FAMILY_ID: u16 = 1;
    const FAMILY_NAME: u16 = 2;
    let mut request = vec![GET_FAMILY, 1, 0, 0];
    request.extend(Attributes::default().with_text(FAMILY_NAME, name).bytes());
    let answers = socket.bytes(CONTROL, NLM_F_ACK, &request)?;
    let attributes = answers.first().and_then(|answer| answer.get(HEADER_BYTES + GENERIC_HEADER..));
    let id = attributes.and_then(|attributes| find(attributes, FAMILY_ID)?.get(..2));
    let id = id.and_then(|id| id.try_into().ok()).ok_or(Errno::EBADMSG)?;
    Ok(u16::from_ne_bytes(id))
}
