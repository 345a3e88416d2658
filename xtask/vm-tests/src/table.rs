//! Tables on a device.

use libbpf_rs::libbpf_sys::bpf_map_create_opts;
use libbpf_rs::{MapHandle, MapType};

/// The size of key and value, unless the kind of table wants another.
const BYTES: u32 = 4;

/// Makes a table, on a device if `ifindex` is not 0.
///
/// # Errors
/// When the kernel refuses.
pub fn table(
    kind: MapType,
    entries: u32,
    flags: u32,
    ifindex: u32,
) -> libbpf_rs::Result<MapHandle> {
    let options = bpf_map_create_opts {
        sz: size_of::<bpf_map_create_opts>() as u64,
        map_flags: flags,
        map_ifindex: ifindex,
        ..Default::default()
    };
    let (key, value) = match kind {
        // The length of the prefix and the prefix.
        MapType::LpmTrie => (2 * BYTES, BYTES),
        MapType::RingBuf => (0, 0),
        _ => (BYTES, BYTES),
    };
    MapHandle::create(kind, Some("on_trial"), key, value, entries, &options)
}
