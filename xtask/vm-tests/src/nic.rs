//! A simulated NIC with one port.

use std::time::Duration;

use sluice_netdevsim::{BoundProgram, Device, DeviceKnob, Port, PortKnob};

use crate::{Program, Said, command};

/// A simulated NIC whose only link is up.
#[derive(Debug)]
pub struct Nic {
    /// The device.
    pub device: Device,
    /// The name of its link.
    pub name: String,
    /// The index of its link.
    pub ifindex: u32,
}

impl Nic {
    /// A new one; its link is called `name`.
    ///
    /// # Panics
    /// When there is no driver, or the kernel refuses.
    #[must_use]
    pub fn create(name: &str) -> Self {
        if sluice_netdevsim::available().is_err() {
            let _ = command("modprobe netdevsim").ok();
        }
        let device = Device::create().unwrap_or_else(|error| panic!("{error}"));
        let link = device.port(0).rename(name).unwrap_or_else(|error| panic!("{error}"));
        let _ = command(&format!("ip link set dev {name} up")).ok();
        Self { device, name: link.name, ifindex: link.ifindex }
    }

    /// One with a clsact qdisc that may offload.
    ///
    /// # Panics
    /// As [`Nic::create`].
    #[must_use]
    pub fn create_for_tc(name: &str) -> Self {
        let nic = Self::create(name);
        let _ = command(&format!("ethtool -K {name} hw-tc-offload on")).ok();
        let _ = command(&format!("tc qdisc add dev {name} clsact")).ok();
        nic
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> Port<'_> {
        self.device.port(0)
    }

    /// Turns a knob of the port.
    ///
    /// # Panics
    /// When there is no such knob.
    pub fn set(&self, knob: PortKnob, accept: bool) {
        self.port().set(knob, accept).unwrap_or_else(|error| panic!("{error}"));
    }

    /// Turns a knob of the device.
    ///
    /// # Panics
    /// When there is no such knob.
    pub fn set_device(&self, knob: DeviceKnob, accept: bool) {
        self.device.set(knob, accept).unwrap_or_else(|error| panic!("{error}"));
    }

    /// The id of the program on the device.
    ///
    /// # Panics
    /// When the debug file system can't be read.
    #[must_use]
    pub fn offloaded(&self) -> u32 {
        self.port().offloaded_program().unwrap_or_else(|error| panic!("{error}"))
    }

    /// What the device knows of a program.
    ///
    /// # Panics
    /// When the debug file system can't be read.
    #[must_use]
    pub fn bound(&self, id: u32) -> Option<BoundProgram> {
        let programs = self.device.bound_programs().unwrap_or_else(|error| panic!("{error}"));
        programs.into_iter().find(|program| program.id == id)
    }

    /// Checks that no program is bound to the device.
    ///
    /// # Panics
    /// When one is left after a while.
    pub fn assert_unbound(&self) {
        self.assert_bound(&[]);
    }

    /// Checks that these programs are bound to the device, and no others. A program that was taken off its hook is listed
    /// for a moment longer: the kernel lets go of a filter after an RCU grace period (`tcf_queue_work`), and tells the
    /// device in yet another work item that a program has no user any more (`bpf_prog_free_deferred`).
    ///
    /// # Panics
    /// When others are bound after a while.
    pub fn assert_bound(&self, expected: &[u32]) {
        let mut found = Vec::new();
        for _ in 0..100 {
            found = self.device.bound_programs().unwrap_or_else(|error| panic!("{error}"));
            if found.iter().map(|program| program.id).eq(expected.iter().copied()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("bound to the device are {found:?}, not {expected:?}");
    }

    /// Attaches an XDP program: `mode` is ip's `xdpoffload`, `xdpdrv` or `xdpgeneric`.
    #[must_use]
    pub fn attach_xdp(&self, mode: &str, program: &Program) -> Said {
        command(&format!("ip link set dev {} {mode} pinned {}", self.name, program.pin()))
    }

    /// Takes an XDP program off.
    #[must_use]
    pub fn detach_xdp(&self, mode: &str) -> Said {
        command(&format!("ip link set dev {} {mode} off", self.name))
    }

    /// What `ip` shows of the link.
    ///
    /// # Panics
    /// When the link is gone.
    #[must_use]
    pub fn shown(&self) -> String {
        command(&format!("ip -details link show dev {}", self.name)).ok()
    }

    /// Adds a filter with a tc program to the ingress: `flags` go after `bpf`.
    #[must_use]
    pub fn add_filter(&self, flags: &str, program: &Program) -> Said {
        self.add_filter_at("ingress prio 1", flags, program)
    }

    /// Adds a filter at another place.
    #[must_use]
    pub fn add_filter_at(&self, place: &str, flags: &str, program: &Program) -> Said {
        let (name, pin) = (&self.name, program.pin());
        command(&format!(
            "tc filter add dev {name} {place} bpf {flags} direct-action object-pinned {pin}"
        ))
    }

    /// What `tc` shows of the ingress.
    ///
    /// # Panics
    /// When there is no qdisc.
    #[must_use]
    pub fn filters(&self) -> String {
        command(&format!("tc filter show dev {} ingress", self.name)).ok()
    }

    /// Takes all filters off the ingress.
    ///
    /// # Panics
    /// When there is no qdisc.
    pub fn remove_filters(&self) {
        let _ = command(&format!("tc filter del dev {} ingress", self.name)).ok();
    }
}
