//! The programs, maps and links that are in the kernel.

use std::collections::BTreeMap;

use anyhow::Result;
use aya::maps::loaded_maps;
use aya::programs::{loaded_links, loaded_programs};

/// What an object is, and its number in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Object {
    Program(u32),
    Map(u32),
    Link(u32),
}

/// Everything at one moment, with the names that programs and maps have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Snapshot {
    objects: BTreeMap<Object, String>,
}

impl Snapshot {
    pub(crate) fn take() -> Result<Self> {
        let mut objects = BTreeMap::new();
        let mut names = BTreeMap::new();
        // An object may vanish while the list is read: then it is none that stays.
        for program in loaded_programs().flatten() {
            let name = String::from_utf8_lossy(program.name()).into_owned();
            names.insert(program.id(), name.clone());
            objects.insert(Object::Program(program.id()), name);
        }
        for map in loaded_maps().flatten() {
            objects.insert(Object::Map(map.id()), String::from_utf8_lossy(map.name()).into_owned());
        }
        for link in loaded_links().flatten() {
            let name = names.get(&link.program_id()).cloned().unwrap_or_default();
            objects.insert(Object::Link(link.id()), name);
        }
        Ok(Snapshot { objects })
    }

    /// What is here and was not there before.
    pub(crate) fn since(&self, before: &Self) -> Self {
        let new = |object: &&Object| !before.objects.contains_key(*object);
        let objects = self.objects.iter().filter(|(object, _)| new(object));
        Snapshot { objects: objects.map(|(object, name)| (*object, name.clone())).collect() }
    }

    /// What has one of the names of the others: other programs' objects come and go on the same machine.
    pub(crate) fn named_as(&self, others: &Self) -> Self {
        let known = |name: &String| others.objects.values().any(|other| other == name);
        let objects = self.objects.iter().filter(|(_, name)| known(name));
        Snapshot { objects: objects.map(|(object, name)| (*object, name.clone())).collect() }
    }

    pub(crate) fn len(&self) -> usize {
        self.objects.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// The objects in words.
    pub(crate) fn listed(&self) -> String {
        let words = self.objects.iter().map(|(object, name)| format!("{object:?} {name}"));
        words.collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(objects: &[(Object, &str)]) -> Snapshot {
        Snapshot {
            objects: objects.iter().map(|(object, name)| (*object, (*name).to_owned())).collect(),
        }
    }

    #[test]
    fn only_new_objects_of_ours_count() {
        let before = snapshot(&[(Object::Map(1), "SERVICES")]);
        let running = snapshot(&[(Object::Map(2), "SERVICES"), (Object::Program(9), "gateway")]);
        let after = snapshot(&[
            (Object::Map(1), "SERVICES"),
            (Object::Map(3), "SERVICES"),
            (Object::Map(4), "other"),
        ]);
        let left = after.since(&before).named_as(&running);
        assert_eq!(left.listed(), "Map(3) SERVICES");
    }
}
