//! The probe: first what the kernel says, then what it does.

mod exclusions;
mod features;
mod filters;
mod identity;
mod maps;
mod programs;
mod security;
mod xdp;

use std::fs;

use sluice_kernel::linux::trial::{About, Trials};
use sluice_profile::{Answer, Evidence, Origin, Profile, SCHEMA_VERSION};

use crate::ask::{Generic, Unanswered, ethtool, netdev};
use crate::record::{Record, answered, now};

/// How to probe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Try hooks that are in use, and what stops the queues of a driver for a moment.
    pub disruptive: bool,
    /// How much is asked.
    pub extent: Extent,
}

/// How much is asked of a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Extent {
    /// All there is to know.
    #[default]
    Everything,
    /// What programs on the card could be, and what excludes them: quick enough to be asked again and again. The kernel
    /// loads no module for it that the machine does not use.
    Programs,
}

/// What a probe found.
#[derive(Clone, Debug)]
pub struct Probed {
    /// The profile.
    pub profile: Profile,
    /// What an earlier probe had left behind, and is removed now.
    pub leftovers: Vec<String>,
}

/// Why there is no profile.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel refused something without which nothing can be found out.
    #[error(transparent)]
    Kernel(#[from] sluice_kernel::Error),
    /// Generic netlink cannot be used.
    #[error(
        "generic netlink: {0}; this kernel is too old or built without it: Sluice needs Linux 6.1"
    )]
    Generic(String),
}

/// What all parts of the probe know.
struct Link {
    trials: Trials,
    generic: Generic,
    about: About,
    driver: Option<String>,
    features: Result<std::collections::BTreeMap<String, ethtool::Feature>, Unanswered>,
    xdp: Result<u64, Unanswered>,
    options: Options,
}

impl Link {
    fn name(&self) -> &str {
        &self.trials.link().name
    }

    fn ifindex(&self) -> u32 {
        self.trials.link().ifindex
    }

    /// A feature of ethtool and its evidence; none if there are no features to be had.
    fn feature(&self, name: &str) -> (Option<ethtool::Feature>, Evidence) {
        let asked = format!("ethtool netlink, features, {name}");
        match &self.features {
            Ok(features) => {
                let feature = features.get(name).copied().unwrap_or_default();
                let on = if feature.active { "on" } else { "off" };
                let fixed = if feature.changeable { "" } else { " [fixed]" };
                (Some(feature), answered(&asked, Answer::result(format!("{on}{fixed}"))))
            }
            Err(why) => (None, answered(&asked, Answer::result(why.to_string()))),
        }
    }
}

/// Probes a link of the network namespace of the calling thread. Removes what an earlier probe left behind.
///
/// # Errors
/// [`Error`]: no such link, or no right to look.
pub fn probe(name: &str, options: Options) -> Result<Probed, Error> {
    let trials = Trials::open(name)?;
    let leftovers = match options.extent {
        Extent::Everything => trials.remove_leftovers()?,
        Extent::Programs => trials.remove_leftovers_on_link()?,
    };
    let at = now();
    let generic = Generic::open().map_err(|why| Error::Generic(why.to_string()))?;
    let ifindex = trials.link().ifindex;
    let about = trials.about().unwrap_or_default();
    let link = Link {
        driver: identity::driver(&about),
        features: ethtool::features(&generic, ifindex),
        xdp: netdev::xdp_features(&generic, ifindex),
        options,
        about,
        generic,
        trials,
    };
    let mut record = Record::default();
    features::probe(&link, &mut record);
    {
        let hook = xdp::Hook::take(&link);
        xdp::probe(&link, &hook, &mut record);
        maps::probe(&link, &mut record);
        programs::probe(&link, &hook, &mut record);
        filters::probe(&link, &hook, &mut record);
        if options.extent == Extent::Everything {
            security::probe(&link, &mut record);
        }
        exclusions::probe(&link, &hook, &mut record);
    }
    let origin = Origin::Probed {
        at,
        kernel: kernel_release(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        disruptive: options.disruptive,
    };
    let profile = Profile {
        schema_version: SCHEMA_VERSION,
        name: name.to_owned(),
        origin,
        identity: identity::read(&link),
        lines: record.lines,
    };
    Ok(Probed { profile, leftovers })
}

fn kernel_release() -> String {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    release.trim().to_owned()
}
