//! Tables on the device.

use libbpf_rs::libbpf_sys::{BPF_F_MMAPABLE, BPF_F_NO_PREALLOC, BPF_F_RDONLY_PROG};
use libbpf_rs::{ErrorKind, MapCore as _, MapFlags, MapHandle, MapType};
use nix::errno::Errno;
use sluice_vm_tests::{ENOTSUPP, Nic, Pins, Program, errno, in_guest, table};
use std::os::fd::AsFd as _;

fn key(number: u32) -> [u8; 4] {
    number.to_le_bytes()
}

fn put(table: &MapHandle, number: u32, flags: MapFlags) -> libbpf_rs::Result<()> {
    table.update(&key(number), &key(number + 100), flags)
}

fn get(table: &MapHandle, number: u32) -> Option<Vec<u8>> {
    table.lookup(&key(number), MapFlags::ANY).unwrap()
}

#[test]
fn tables_have_room_for_two_entries() {
    if !in_guest() {
        return;
    }
    let nic = Nic::create("card0");
    for kind in [MapType::Array, MapType::Hash] {
        for entries in [1, 2] {
            table(kind, entries, 0, nic.ifindex)
                .unwrap_or_else(|error| panic!("{kind:?}: {error:?}"));
        }
        for entries in [3, 1000] {
            let error = table(kind, entries, 0, nic.ifindex).expect_err("it has room for two");
            assert_eq!(errno(&error), Errno::ENOMEM as i32, "{kind:?}: {error:?}");
        }
    }
}

#[test]
fn only_arrays_and_hashes_are_taken() {
    if !in_guest() {
        return;
    }
    let nic = Nic::create("card0");
    let refused = [
        MapType::LruHash,
        MapType::PercpuHash,
        MapType::PercpuArray,
        MapType::LruPercpuHash,
        MapType::ProgArray,
        MapType::PerfEventArray,
        MapType::Devmap,
        MapType::Cpumap,
        MapType::Xskmap,
        MapType::Queue,
        MapType::BloomFilter,
    ];
    for kind in refused {
        let error = table(kind, 2, 0, nic.ifindex).map(drop);
        let error = error.expect_err(&format!("{kind:?} on a device"));
        assert_eq!(errno(&error), Errno::EINVAL as i32, "{kind:?}: {error:?}");
    }
    // These want a size or flag of their own, so that the host takes them.
    for (kind, entries, flags) in
        [(MapType::LpmTrie, 2, BPF_F_NO_PREALLOC), (MapType::RingBuf, 4096, 0)]
    {
        table(kind, entries, flags, 0).expect("the host takes it");
        let error = table(kind, entries, flags, nic.ifindex).map(drop);
        let error = error.expect_err(&format!("{kind:?} on a device"));
        assert_eq!(errno(&error), Errno::EINVAL as i32, "{kind:?}: {error:?}");
    }
}

/// Global data needs them, so no program for a device has global data.
#[test]
fn no_flags_are_taken() {
    if !in_guest() {
        return;
    }
    let nic = Nic::create("card0");
    for (kind, flags) in [
        (MapType::Hash, BPF_F_NO_PREALLOC),
        (MapType::Array, BPF_F_MMAPABLE),
        (MapType::Array, BPF_F_RDONLY_PROG),
    ] {
        table(kind, 2, flags, 0).expect("the host takes it");
        let error = table(kind, 2, flags, nic.ifindex).map(drop).expect_err("flags");
        assert_eq!(errno(&error), Errno::EINVAL as i32, "{kind:?} {flags:#x}: {error:?}");
    }
}

#[test]
fn a_full_hash_says_so_and_takes_another_after_a_removal() {
    if !in_guest() {
        return;
    }
    let nic = Nic::create("card0");
    let hash = table(MapType::Hash, 2, 0, nic.ifindex).unwrap();
    put(&hash, 1, MapFlags::ANY).unwrap();
    put(&hash, 2, MapFlags::NO_EXIST).unwrap();
    let error = put(&hash, 3, MapFlags::ANY).expect_err("it is full");
    assert_eq!(errno(&error), Errno::E2BIG as i32, "{error:?}");
    assert_eq!(get(&hash, 2), Some(key(102).to_vec()), "what is there stays");
    put(&hash, 2, MapFlags::EXIST).expect("an entry that is there is overwritten");
    let error = put(&hash, 2, MapFlags::NO_EXIST).expect_err("it is there");
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    hash.delete(&key(1)).unwrap();
    assert_eq!(get(&hash, 1), None);
    put(&hash, 3, MapFlags::ANY).expect("there is room again");
    let mut keys: Vec<Vec<u8>> = hash.keys().collect();
    keys.sort();
    assert_eq!(keys, [key(2), key(3)]);
}

/// However many entries were asked for, one can be written and read by its index, and none removed.
#[test]
fn an_array_has_its_entries_from_the_start() {
    if !in_guest() {
        return;
    }
    let nic = Nic::create("card0");
    let array = table(MapType::Array, 2, 0, nic.ifindex).unwrap();
    assert_eq!(get(&array, 0), Some(key(0).to_vec()));
    put(&array, 1, MapFlags::ANY).unwrap();
    assert_eq!(get(&array, 1), Some(key(101).to_vec()));
    let error = array.delete(&key(1)).expect_err("entries of arrays stay");
    assert_eq!(errno(&error), Errno::EINVAL as i32, "{error:?}");
    let error = put(&array, 2, MapFlags::ANY).expect_err("beyond the end");
    assert_eq!(errno(&error), Errno::E2BIG as i32, "{error:?}");
}

#[test]
fn entries_are_written_one_by_one() {
    if !in_guest() {
        return;
    }
    let nic = Nic::create("card0");
    let hash = table(MapType::Hash, 2, 0, nic.ifindex).unwrap();
    let (keys, values) = ([key(1), key(2)].concat(), [key(1), key(2)].concat());
    let error = hash.update_batch(&keys, &values, 2, MapFlags::ANY, MapFlags::ANY);
    let error = error.expect_err("no batches on a device");
    assert_eq!(errno(&error), ENOTSUPP, "{error:?}");
    let host = table(MapType::Hash, 2, 0, 0).unwrap();
    host.update_batch(&keys, &values, 2, MapFlags::ANY, MapFlags::ANY)
        .expect("the host takes them");
}

#[test]
fn device_and_host_share_no_table() {
    if !in_guest() {
        return;
    }
    let (nic, other) = (Nic::create("card0"), Nic::create("card1"));
    let pins = Pins::create();
    let on_device = table(MapType::Array, 2, 0, nic.ifindex).unwrap();
    let on_host = table(MapType::Array, 2, 0, 0).unwrap();
    Program::load_with_table(&pins, "both_there", on_device.as_fd(), nic.ifindex).unwrap();
    Program::load_with_table(&pins, "both_here", on_host.as_fd(), 0).unwrap();
    for (name, table, ifindex) in [
        ("host_table", &on_host, nic.ifindex),
        ("device_table", &on_device, 0),
        ("others_table", &on_device, other.ifindex),
    ] {
        let loaded = Program::load_with_table(&pins, name, table.as_fd(), ifindex);
        let error = loaded.map(drop).expect_err(name);
        assert_eq!(errno(&error), Errno::EINVAL as i32, "{name}: {error:?}");
    }
}
