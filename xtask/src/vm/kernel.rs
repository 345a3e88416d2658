//! The kernels of the virtual machine: stock kernels of Debian, whole series, the newest package of each.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::debian::{self, PrivateApt};
use crate::paths;

/// A series of kernels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kernel {
    /// The kernel of Debian 13
    #[default]
    #[value(name = "6.12")]
    Stable,
    /// From Debian 13's backports
    #[value(name = "7.2")]
    Backports,
}

impl Kernel {
    pub(crate) fn series(self) -> &'static str {
        match self {
            Kernel::Stable => "6.12",
            Kernel::Backports => "7.2",
        }
    }

    /// Where the kernel and the guest's tools come from.
    pub(super) fn suites(self) -> &'static [&'static str] {
        match self {
            Kernel::Stable => &["trixie"],
            Kernel::Backports => &["trixie", "trixie-backports"],
        }
    }

    /// Where everything of this kernel is kept.
    pub(super) fn folder(self) -> PathBuf {
        paths::cache().join("vm").join(self.series())
    }
}

/// One kernel's packages, which belong together.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Packages {
    /// What `uname -r` says, as in `6.12.117+deb13-amd64`.
    pub(super) release: String,
    /// `NAME=VERSION` of the source.
    pub(super) source: String,
}

impl Packages {
    /// The newest of a series for which there are a source and an image.
    pub(super) fn newest(kernel: Kernel, apt: &PrivateApt) -> Result<Self> {
        let source = format!("linux-source-{}", kernel.series());
        let images = apt.names(&format!("linux-image-{}.", kernel.series()))?;
        Self::choose(&source, &apt.madison(&source)?, &images).with_context(|| {
            format!(
                "Debian has in {} no kernel {} with its source any more",
                kernel.suites().join(" and "),
                kernel.series()
            )
        })
    }

    fn choose(source: &str, madison: &str, images: &[String]) -> Option<Self> {
        debian::versions(madison).find_map(|version| {
            let upstream = debian::upstream_version(version);
            let release = images.iter().find_map(|name| release_of(name, upstream))?;
            Some(Packages { release, source: format!("{source}={version}") })
        })
    }

    pub(super) fn image(&self) -> String {
        format!("linux-image-{}", self.release)
    }

    pub(super) fn headers(&self) -> String {
        format!("linux-headers-{}", self.release)
    }
}

/// The release of a general kernel for PCs: those for clouds and with other schedulers have one word more.
fn release_of(image: &str, upstream: &str) -> Option<String> {
    let release = image.strip_prefix("linux-image-")?;
    let rest = release.strip_prefix(upstream)?.strip_suffix("-amd64")?;
    (!rest.contains('-') && !rest.starts_with('.') && !rest.starts_with(|c: char| c.is_numeric()))
        .then(|| release.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MADISON: &str = "\
 linux-source-6.12 | 6.12.118-1 | mirror trixie/main amd64 Packages
 linux-source-6.12 | 6.12.11-1~bpo13+1 | mirror trixie/main amd64 Packages
";

    #[test]
    fn source_and_image_are_of_one_version() {
        let images = [
            "linux-image-6.12.11+deb13-cloud-amd64",
            "linux-image-6.12.117+deb13-amd64",
            "linux-image-6.12.11+deb13-amd64",
            "linux-image-6.12.11+deb13-amd64-dbg",
        ]
        .map(str::to_owned);
        let packages = Packages::choose("linux-source-6.12", MADISON, &images);
        let expected = Packages {
            release: "6.12.11+deb13-amd64".to_owned(),
            source: "linux-source-6.12=6.12.11-1~bpo13+1".to_owned(),
        };
        assert_eq!(packages, Some(expected));
        assert_eq!(Packages::choose("linux-source-6.12", MADISON, &images[..2]), None);
    }
}
