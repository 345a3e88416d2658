use crate::{
    error::errno_text,
    xfrm::{Addresses, PolicyId, StateId},
};
use nix::errno::Errno;
use std::fmt;

/// What an operation on IPsec was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpsecThing {
    /// A state.
    State(StateId),
    /// A policy.
    Policy(PolicyId),
    /// All states.
    States,
    /// All policies.
    Policies,
    /// The default policies.
    Defaults,
    /// What the kernel tells.
    Events,
}

impl fmt::Display for IpsecThing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::State(id) => write!(f, "IPsec state {:#010x} to {}", id.spi, id.destination),
            Self::Policy(id) => {
                write!(f, "IPsec policy ({:?}) ", id.direction)?;
                match id.selector.addresses {
                    Addresses::Unspecified => f.write_str("for everything"),
                    Addresses::V4 { source, destination } => {
                        let ((from, from_bits), (to, to_bits)) = (source, destination);
                        write!(f, "from {from}/{from_bits} to {to}/{to_bits}")
                    }
                    Addresses::V6 { source, destination } => {
                        let ((from, from_bits), (to, to_bits)) = (source, destination);
                        write!(f, "from {from}/{from_bits} to {to}/{to_bits}")
                    }
                }
            }
            Self::States => f.write_str("IPsec states"),
            Self::Policies => f.write_str("IPsec policies"),
            Self::Defaults => f.write_str("IPsec default policies"),
            Self::Events => f.write_str("IPsec events"),
        }
    }
}

/// What the kernel or a card did not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpsecRefusal {
    /// What it was about.
    pub thing: IpsecThing,
    /// What was to be done, as an infinitive.
    pub operation: &'static str,
    /// The kernel's number.
    pub errno: Errno,
    /// What the kernel said beyond the number, or what is known of the card.
    pub words: Option<String>,
}

impl IpsecRefusal {
    fn advice(&self) -> &'static str {
        match self.errno {
            Errno::EPERM | Errno::EACCES => "; run as root, or with CAP_NET_ADMIN",
            Errno::EPROTONOSUPPORT => {
                "; this kernel has no IPsec: use one with CONFIG_XFRM_USER and CONFIG_INET_ESP"
            }
            Errno::ENOSYS if self.words.is_none() => {
                "; this kernel lacks the algorithm or ESP: load esp4, esp6 and the cipher's module"
            }
            Errno::EPROTO => "; this kernel lacks ESP: load esp4 and esp6",
            Errno::EEXIST => "; choose another SPI, or delete the old state first",
            _ => "",
        }
    }
}

impl fmt::Display for IpsecRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { thing, operation, errno, words } = self;
        write!(f, "{thing}: cannot {operation}: {}", errno_text(*errno))?;
        if let Some(words) = words {
            write!(f, ": '{words}'")?;
        }
        f.write_str(self.advice())
    }
}
