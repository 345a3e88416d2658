//! Changing to larger tables while packets flow.

use super::{
    Datapath,
    attached::LiveLink,
    counters::Counters,
    host_object::Pipeline,
    merge::Merge,
    pins::{at, remove_all},
    tables::Tables,
    xdp,
};
use crate::{Committed, Errno, Error, LinkName, Object, Result, Sizes, TableStore, growth};
use nix::unistd::SysconfVar;
use sluice_datapath::abi::{Settings, Table};
use std::{
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
    time::Duration,
};

/// Larger tables, filled with what the old ones held when they were made.
pub(super) struct Staged {
    pub(super) tables: Arc<Tables>,
    merges: Vec<(Table, Merge)>,
}

impl Staged {
    /// Follows the datapath's writes from the tables in use.
    fn follow(&mut self, old: &Tables) -> u64 {
        let tables = &self.tables;
        let run = |(table, merge): &mut (Table, Merge)| {
            merge.run(old.words(*table), tables.words(*table))
        };
        self.merges.iter_mut().map(run).sum()
    }

    fn undo(&mut self, old: &Tables) {
        for (table, merge) in &mut self.merges {
            merge.undo(old.words(*table), self.tables.words(*table));
        }
    }
}

/// A link whose program is to change.
struct Switch {
    live: LiveLink,
    old: OwnedFd,
    new: Pipeline,
}

impl Datapath {
    pub(super) fn stage_tables(&mut self, wanted: &Sizes) -> Result<Arc<Tables>> {
        let sizes = growth::grown(&self.tables.sizes(), wanted)?;
        let changes = |table: &&Table| sizes.get(**table) != self.tables.sizes().get(**table);
        // The snapshot is older than the copy: what is written in between is seen as a change.
        let merges = Table::ALL
            .iter()
            .filter(changes)
            .filter(|table| growth::is_kept(**table))
            .map(|&table| (table, Merge::new(table, self.tables.words(table))))
            .collect();
        let tables = Arc::new(self.tables.grown(&self.kernel, &sizes)?);
        self.staged = Some(Staged { tables: tables.clone(), merges });
        Ok(tables)
    }

    pub(super) fn commit_tables(&mut self, settings: &[Settings]) -> Result<Committed> {
        let mut staged = self.staged.take().ok_or(Error::NothingStaged)?;
        match self.try_commit(&mut staged, settings) {
            Ok(committed) => {
                self.adopt(staged.tables);
                Ok(committed)
            }
            Err(error) => {
                self.staged = Some(staged);
                Err(error)
            }
        }
    }

    fn try_commit(&self, staged: &mut Staged, settings: &[Settings]) -> Result<Committed> {
        let switches = self.prepare(staged, settings)?;
        let directory = self.pins.staged();
        if let Err(error) = self.pin_staged(staged, &switches) {
            // Leftovers are also removed by the next start.
            let _ = remove_all(&self.kernel, &directory);
            self.unpin_nexts_of(&switches, |switch, id| id == switch.new.continuations.id);
            return Err(error);
        }
        let mut merged_words = staged.follow(&self.tables);
        let switched = match self.switch(&switches) {
            Ok(switched) => switched,
            Err(error) => return Err(self.roll_back(staged, &switches, error)),
        };
        wait_for_old_programs();
        merged_words += staged.follow(&self.tables);
        self.carry_counts(&staged.tables);
        let _ = remove_all(&self.kernel, &directory);
        self.unpin_nexts_of(&switches, |switch, id| id != switch.new.continuations.id);
        let is_switched = |link: &LinkName| switched.contains(&link.ifindex);
        let (switched, vanished) =
            switches.into_iter().map(|switch| switch.live.name).partition(is_switched);
        let _ = self.prune_links();
        Ok(Committed { switched, vanished, merged_words })
    }

    /// Loads all that is needed; nothing in use changes.
    fn prepare(&self, staged: &Staged, settings: &[Settings]) -> Result<Vec<Switch>> {
        let live = self.live_links()?;
        let mut switches = Vec::new();
        for live in live {
            let ifindex = live.name.ifindex;
            let Some(settings) = settings.iter().find(|settings| settings.ifindex == ifindex)
            else {
                return Err(Error::NoSettings { link: live.name });
            };
            let new = self.object.load_datapath(&self.kernel, settings, &staged.tables)?;
            let hold = |errno| xdp::kernel_error(&live.name, "hold its XDP program", errno);
            // A program that is gone belonged to a link that is gone.
            let Some(old) = self.kernel.program_by_id(live.info.program).map_err(hold)? else {
                continue;
            };
            switches.push(Switch { live, old, new });
        }
        Ok(switches)
    }

    /// Pins all that the switch needs, and puts the staged tables into place: from here on only the programs are old.
    fn pin_staged(&self, staged: &Staged, switches: &[Switch]) -> Result<()> {
        let directory = self.pins.staged();
        for switch in switches {
            self.pin_next(&switch.live.name, &switch.new.continuations)?;
        }
        remove_all(&self.kernel, &directory)?;
        staged.tables.pin(&self.kernel, &directory)?;
        self.kernel
            .exchange(&directory, &self.pins.tables())
            .map_err(at(&directory, "put the staged tables into place"))
    }

    /// Lets go of programs that are not used any more; what is left is also removed by the next start.
    fn unpin_nexts_of(&self, switches: &[Switch], these: impl Fn(&Switch, u32) -> bool) {
        for switch in switches {
            let _ = self.unpin_nexts(switch.live.name.ifindex, |id| these(switch, id));
        }
    }

    /// Replaces the programs; the indices of the links that were still there.
    fn switch(&self, switches: &[Switch]) -> Result<Vec<u32>, Error> {
        let mut switched = Vec::new();
        for switch in switches {
            match self.kernel.link_update(switch.live.fd.as_fd(), switch.new.program.fd.as_fd()) {
                Ok(()) => switched.push(switch.live.name.ifindex),
                // The link was deleted.
                Err(Errno::ENOLINK) => {}
                Err(errno) => {
                    let operation = "replace its XDP program by one with the new tables";
                    return Err(xdp::kernel_error(&switch.live.name, operation, errno));
                }
            }
        }
        Ok(switched)
    }

    /// Gives the links their old programs and the directory its old tables; the error to report.
    fn roll_back(&self, staged: &mut Staged, switches: &[Switch], error: Error) -> Error {
        let mut failed = None;
        for switch in switches {
            let operation = "give the old XDP program back";
            match self.kernel.link_update(switch.live.fd.as_fd(), switch.old.as_fd()) {
                Ok(()) | Err(Errno::ENOLINK) => {}
                Err(errno) => {
                    failed =
                        failed.or(Some(xdp::kernel_error(&switch.live.name, operation, errno)));
                }
            }
        }
        wait_for_old_programs();
        staged.undo(&self.tables);
        self.unpin_nexts_of(switches, |switch, id| id == switch.new.continuations.id);
        let directory = self.pins.staged();
        if let Err(errno) = self.kernel.exchange(&directory, &self.pins.tables()) {
            let error = at(&directory, "put the old tables back into place")(errno);
            failed = failed.or(Some(error));
        } else {
            let _ = remove_all(&self.kernel, &directory);
        }
        match failed {
            None => error,
            Some(why) => Error::NotRestored {
                object: Object::Tables,
                what: "the state before the commit",
                why: Box::new(why),
                cause: Box::new(error),
            },
        }
    }

    /// Writes down what was counted in tables that are about to be forgotten.
    fn carry_counts(&self, new: &Tables) {
        let counters = Counters { kernel: &self.kernel, tables: &self.tables, cpus: self.cpus };
        for &table in Table::ALL {
            let Some(carried) = new.carried(table).filter(|_| !self.tables.shares(new, table))
            else {
                continue;
            };
            // What cannot be read is lost; there is no way back from here, and packets matter more.
            let sums = counters.all_sums(table).unwrap_or_default();
            carried.words().iter().zip(sums).for_each(|(word, sum)| word.set(sum));
        }
    }
}

/// Waits until no CPU runs a program that was replaced before: `MEMBARRIER_CMD_GLOBAL` waits for an RCU grace period,
/// and programs run in RCU read sections.
pub(super) fn wait_for_old_programs() {
    const GLOBAL: i32 = 1;
    // SAFETY: the call takes two numbers and touches no memory of ours.
    #[allow(unsafe_code)]
    let result = unsafe { libc::syscall(libc::SYS_membarrier, GLOBAL, 0, 0) };
    // With one CPU the kernel sees no need for a grace period, but a program may have been preempted.
    let cpus = nix::unistd::sysconf(SysconfVar::_NPROCESSORS_ONLN).ok().flatten();
    if result != 0 || cpus.unwrap_or(1) < 2 {
        std::thread::sleep(Duration::from_millis(20));
    }
}
