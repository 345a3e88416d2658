//! Numbers of `include/uapi/linux/xfrm.h`, by the names that they have there.

pub(super) const XFRM_MSG_NEWSA: u16 = 0x10;
pub(super) const XFRM_MSG_DELSA: u16 = 0x11;
pub(super) const XFRM_MSG_GETSA: u16 = 0x12;
pub(super) const XFRM_MSG_NEWPOLICY: u16 = 0x13;
pub(super) const XFRM_MSG_DELPOLICY: u16 = 0x14;
pub(super) const XFRM_MSG_GETPOLICY: u16 = 0x15;
pub(super) const XFRM_MSG_ACQUIRE: u16 = 0x17;
pub(super) const XFRM_MSG_EXPIRE: u16 = 0x18;
pub(super) const XFRM_MSG_UPDPOLICY: u16 = 0x19;
pub(super) const XFRM_MSG_UPDSA: u16 = 0x1a;
pub(super) const XFRM_MSG_POLEXPIRE: u16 = 0x1b;
pub(super) const XFRM_MSG_FLUSHSA: u16 = 0x1c;
pub(super) const XFRM_MSG_FLUSHPOLICY: u16 = 0x1d;
pub(super) const XFRM_MSG_NEWAE: u16 = 0x1e;
pub(super) const XFRM_MSG_GETAE: u16 = 0x1f;
pub(super) const XFRM_MSG_NEWSADINFO: u16 = 0x22;
pub(super) const XFRM_MSG_GETSADINFO: u16 = 0x23;
pub(super) const XFRM_MSG_NEWSPDINFO: u16 = 0x24;
pub(super) const XFRM_MSG_GETSPDINFO: u16 = 0x25;
pub(super) const XFRM_MSG_SETDEFAULT: u16 = 0x27;
pub(super) const XFRM_MSG_GETDEFAULT: u16 = 0x28;

pub(super) const XFRMA_ALG_AUTH: u16 = 1;
pub(super) const XFRMA_ALG_CRYPT: u16 = 2;
pub(super) const XFRMA_ENCAP: u16 = 4;
pub(super) const XFRMA_TMPL: u16 = 5;
pub(super) const XFRMA_LTIME_VAL: u16 = 9;
pub(super) const XFRMA_REPLAY_VAL: u16 = 10;
pub(super) const XFRMA_REPLAY_THRESH: u16 = 11;
pub(super) const XFRMA_ETIMER_THRESH: u16 = 12;
pub(super) const XFRMA_LASTUSED: u16 = 15;
pub(super) const XFRMA_ALG_AEAD: u16 = 18;
pub(super) const XFRMA_ALG_AUTH_TRUNC: u16 = 20;
pub(super) const XFRMA_MARK: u16 = 21;
pub(super) const XFRMA_REPLAY_ESN_VAL: u16 = 23;
pub(super) const XFRMA_SA_EXTRA_FLAGS: u16 = 24;
pub(super) const XFRMA_PROTO: u16 = 25;
pub(super) const XFRMA_ADDRESS_FILTER: u16 = 26;
pub(super) const XFRMA_OFFLOAD_DEV: u16 = 28;
pub(super) const XFRMA_SET_MARK: u16 = 29;
pub(super) const XFRMA_SET_MARK_MASK: u16 = 30;
pub(super) const XFRMA_IF_ID: u16 = 31;
/// Since Linux 6.10.
pub(super) const XFRMA_SA_DIR: u16 = 33;
/// Since Linux 6.13.
pub(super) const XFRMA_SA_PCPU: u16 = 35;

pub(super) const XFRMA_SAD_CNT: u16 = 1;
pub(super) const XFRMA_SAD_HINFO: u16 = 2;
pub(super) const XFRMA_SPD_INFO: u16 = 1;

pub(super) const XFRM_STATE_ESN: u8 = 128;

pub(super) const XFRM_OFFLOAD_INBOUND: u8 = 2;
pub(super) const XFRM_OFFLOAD_PACKET: u8 = 4;

/// Sizes of the structures, with the padding at their ends.
pub(super) const USERSA_INFO: usize = 224;
pub(super) const USERPOLICY_INFO: usize = 168;
pub(super) const USER_TMPL: usize = 64;
pub(super) const ALG_NAME: usize = 64;
/// `XFRM_MAX_DEPTH` of `include/net/xfrm.h`.
pub(super) const MAX_TEMPLATES: usize = 6;
/// `XFRMA_REPLAY_ESN_MAX` bits, in words of the bitmap.
pub(super) const MAX_BITMAP_WORDS: usize = 4096 / 32;
