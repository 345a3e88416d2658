//! What a user of Debian can install instead, as far as it is an XDP program: `xdp-filter` of xdp-tools.

use super::{case::Case, configuration::LISTED, frame::source4};
use anyhow::{Context, Result};
use aya::{
    Ebpf, EbpfLoader,
    maps::{MapData, PerCpuHashMap, PerCpuValues},
    programs::Xdp,
};
use std::path::{Path, PathBuf};

/// One of them.
pub(super) struct Peer {
    /// Its name in the results.
    pub name: &'static str,
    /// The name of its program.
    entry: String,
    loaded: Ebpf,
}

impl Peer {
    /// The program.
    ///
    /// # Errors
    /// When it has none of that name.
    pub(super) fn program(&self) -> Result<&Xdp> {
        Ok(self.loaded.program(&self.entry).context("no such program")?.try_into()?)
    }
}

/// Those that are there.
#[derive(Default)]
pub(super) struct Peers(Vec<Peer>);

/// The objects of Debian's package libxdp1 that let pass what is not listed: addresses alone, and everything it can.
const XDP_FILTER: [(&str, &str); 2] =
    [("xdp-filter-ip", "xdpfilt_alw_ip.o"), ("xdp-filter-all", "xdpfilt_alw_all.o")];

impl Peers {
    /// None.
    pub(super) fn none() -> Self {
        Self::default()
    }

    /// Loads them with the addresses of as many listed flows; says why one is left out.
    pub(super) fn load(listed: u32) -> Self {
        let mut peers = Vec::new();
        for (name, file) in XDP_FILTER {
            match xdp_filter(name, file, listed) {
                Ok(peer) => peers.push(peer),
                Err(error) => println!("skipped: {name}: {error:#}"),
            }
        }
        Self(peers)
    }

    /// Those that can do what a case asks for.
    pub(super) fn of(&self, case: &Case) -> impl Iterator<Item = &Peer> {
        let is_filter = case.name.starts_with("prefilter-") && case.name.contains("/ipv4/");
        self.0.iter().filter(move |_| is_filter)
    }

    /// One of them by its name.
    pub(super) fn named(&self, name: &str) -> Option<&Peer> {
        self.0.iter().find(|peer| peer.name == name)
    }
}

fn find(file: &str) -> Option<PathBuf> {
    let folders =
        ["/usr/lib/x86_64-linux-gnu/bpf", "/usr/lib/aarch64-linux-gnu/bpf", "/usr/lib/bpf"];
    folders.iter().map(|folder| Path::new(folder).join(file)).find(|path| path.is_file())
}

fn xdp_filter(name: &'static str, file: &str, listed: u32) -> Result<Peer> {
    let path =
        find(file).with_context(|| format!("{file} is not there: apt-get install xdp-tools"))?;
    let mut loader = EbpfLoader::new();
    for map in ["filter_ipv4", "filter_ipv6"] {
        loader.map_max_entries(map, listed.max(1));
    }
    // Its maps ask to be pinned by name: not beside those of an xdp-filter that this machine uses.
    let pins = PathBuf::from(format!("/sys/fs/bpf/sluice-bench-{}", std::process::id()));
    std::fs::create_dir(&pins).with_context(|| format!("cannot make {}", pins.display()))?;
    let loaded = loader.default_map_pin_directory(&pins).load_file(&path);
    std::fs::remove_dir_all(&pins).with_context(|| format!("cannot remove {}", pins.display()))?;
    let mut loaded = loaded.context("its object does not load")?;
    let entry = file.trim_end_matches(".o").to_owned();
    let program: &mut Xdp =
        loaded.program_mut(&entry).with_context(|| format!("no program {entry}"))?.try_into()?;
    program.load().context("the kernel refuses its program")?;
    let cpus = aya::util::nr_cpus().map_err(|(_, error)| error)?;
    let mut blocked: PerCpuHashMap<&mut MapData, u32, u64> =
        loaded.map_mut("filter_ipv4").context("no map filter_ipv4")?.try_into()?;
    for flow in 0..listed {
        // The lowest bit: blocked as a source.
        let value = PerCpuValues::try_from(vec![1u64; cpus])?;
        blocked.insert(u32::from_ne_bytes(source4(LISTED + flow).octets()), value, 0)?;
    }
    Ok(Peer { name, entry, loaded })
}
