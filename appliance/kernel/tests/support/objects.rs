//! Which BPF objects this process made, and whether they are gone.
//!
//! Other processes make objects too, so the ids of all of them prove nothing.

use sluice_kernel::linux::object_ids;
use std::{collections::BTreeSet, fs, time::Duration};

/// Kind and id.
type Id = (&'static str, u32);

/// The objects that this process had open at the moments of [`Objects::note`].
#[derive(Default)]
pub struct Objects(BTreeSet<Id>);

impl Objects {
    /// Notes what this process has open now.
    pub fn note(&mut self) {
        for entry in fs::read_dir("/proc/self/fdinfo").unwrap().flatten() {
            let Ok(text) = fs::read_to_string(entry.path()) else { continue };
            for (kind, label) in [("map", "map_id:"), ("program", "prog_id:"), ("link", "link_id:")]
            {
                let id = text.lines().find_map(|line| line.strip_prefix(label));
                self.0.extend(id.map(|id| (kind, id.trim().parse().unwrap())));
            }
        }
    }

    /// Notes an object that the kernel named.
    pub fn add(&mut self, kind: &'static str, id: u32) {
        self.0.insert((kind, id));
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The kernel frees some of them a moment after their last use.
    pub fn assert_gone(&self) {
        let mut left = BTreeSet::new();
        for _ in 0..100 {
            let all = all();
            left = &self.0 & &all;
            if left.is_empty() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("{} objects are left: {left:?}", left.len());
    }
}

/// How many BPF objects this process has open.
pub fn open_objects() -> usize {
    let targets = fs::read_dir("/proc/self/fd").unwrap().flatten();
    let targets = targets.filter_map(|entry| fs::read_link(entry.path()).ok());
    targets.filter(|target| target.to_string_lossy().contains("bpf")).count()
}

/// All objects of the machine.
fn all() -> BTreeSet<Id> {
    let ids = object_ids().unwrap();
    let kinds = [("program", ids.programs), ("map", ids.maps), ("link", ids.links)];
    kinds.into_iter().flat_map(|(kind, ids)| ids.into_iter().map(move |id| (kind, id))).collect()
}
