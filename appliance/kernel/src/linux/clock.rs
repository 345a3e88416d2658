use super::{
    host_object::{CLOCK, HostObject, Program},
    sys::{Kernel, TestRun},
    tables::Tables,
};
use crate::{Error, Object, Result};
use nix::time::{ClockId, clock_getres};
use sluice_datapath::abi::Settings;
use std::{os::fd::AsFd, time::Duration};

/// About how long a tick is to be.
const TICK: Duration = Duration::from_millis(250);
/// The shortest packet of a test run is an Ethernet header.
const PACKET: [u8; 64] = [0; 64];

/// The clock of the datapath: a program that returns the tick.
pub(super) struct Clock {
    program: Program,
    shift: u32,
    jiffy: Duration,
}

impl Clock {
    pub(super) fn load(kernel: &Kernel, object: &HostObject, tables: &Tables) -> Result<Self> {
        // The coarse clock is updated once a jiffy.
        let jiffy = clock_getres(ClockId::CLOCK_MONOTONIC_COARSE).map_err(|errno| {
            Error::kernel(Object::Program(CLOCK.into()), "find the length of a jiffy", errno)
        })?;
        let jiffy = Duration::from(jiffy);
        let shift = shift_for(jiffy);
        let settings = Settings { tick_shift: shift, ..Settings::default() };
        let program = object.load_clock(kernel, &settings, tables)?;
        Ok(Self { program, shift, jiffy })
    }

    pub(super) fn now(&self, kernel: &Kernel) -> Result<u32> {
        let run = TestRun { packet: &PACKET, out: &mut [], ingress_ifindex: 0 };
        kernel.test_run(self.program.fd.as_fd(), run).map(|(tick, _)| tick).map_err(|errno| {
            Error::kernel(Object::Program(CLOCK.into()), "run it to read the clock", errno)
        })
    }

    pub(super) fn shift(&self) -> u32 {
        self.shift
    }

    pub(super) fn tick(&self) -> Duration {
        self.jiffy * (1 << self.shift)
    }
}

/// The power of two of jiffies that is nearest to a tick.
fn shift_for(jiffy: Duration) -> u32 {
    let jiffies = TICK.as_secs_f64() / jiffy.as_secs_f64().max(1e-6);
    jiffies.log2().round().clamp(0.0, 31.0) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_is_about_a_quarter_of_a_second_for_every_hz() {
        for (hz, shift) in [(100, 5), (250, 6), (300, 6), (1000, 8)] {
            let jiffy = Duration::from_secs(1) / hz;
            assert_eq!(shift_for(jiffy), shift, "HZ {hz}");
            let tick = jiffy * (1 << shift);
            assert!((Duration::from_millis(200)..Duration::from_millis(330)).contains(&tick));
        }
    }
}
