//! What generic netlink says about a link, without trying anything.

pub(crate) mod devlink;
pub(crate) mod ethtool;
mod generic;
pub(crate) mod netdev;

pub(crate) use generic::{Generic, Unanswered};
