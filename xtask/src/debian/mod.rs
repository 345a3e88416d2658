//! Packages of Debian suites that are not this machine's own: downloaded with an apt of the repository's own,
//! unpacked below `.cache` and never installed.

mod apt;
mod mirror;

pub(crate) use apt::PrivateApt;
pub(crate) use mirror::mirror;

/// The versions of a package from the output of `apt-cache madison`, newest first.
pub(crate) fn versions(madison: &str) -> impl Iterator<Item = &str> {
    madison.lines().filter_map(|line| line.split('|').nth(1).map(str::trim))
}

/// `1.95.0` of `1.95.0+dfsg1-2~bpo13+1`.
pub(crate) fn upstream_version(package_version: &str) -> &str {
    package_version.split(['+', '-', '~']).next().unwrap_or_default()
}
