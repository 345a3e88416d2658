//! The laboratory's own programs at the far ends of links. Decapsulation at the backends: this kernel has no IPIP devices,
//! so an XDP program strips the outer header. And one that passes everything on.

use anyhow::{Context, Result};
use aya::Ebpf;
use aya::programs::Xdp;
use aya::programs::xdp::XdpMode;

use super::Namespace;

/// The program that takes the outer header off.
pub(super) const DECAPSULATE: &str = "decap";
/// The program that leaves everything as it is.
pub(super) const PASS: &str = "pass";

/// A program on a link, detached when dropped.
pub(crate) struct Attached {
    // Closing the link's descriptor detaches the program.
    _loaded: Ebpf,
}

impl Attached {
    /// Loads a program and attaches it to a link, in the driver: frames that were redirected to the link never reach the
    /// generic hook.
    pub(super) fn attach(
        object: &[u8],
        name: &str,
        namespace: &Namespace,
        link: &str,
    ) -> Result<Self> {
        namespace.enter(|| {
            let mut loaded =
                Ebpf::load(object).context("the laboratory's eBPF object does not load")?;
            let program: &mut Xdp = loaded
                .program_mut(name)
                .with_context(|| format!("the laboratory's eBPF object has no program {name}"))?
                .try_into()?;
            program.load().with_context(|| format!("the kernel refuses program {name}"))?;
            program
                .attach(link, XdpMode::Driver)
                .with_context(|| format!("cannot attach {name} to {link}"))?;
            Ok(Attached { _loaded: loaded })
        })
    }
}
