//! A simulated NIC.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::bus::{self, tell, tell_device};
use crate::{BoundProgram, DeviceKnob, Error, Port, bound};

/// Ids that others, people at a shell above all, hardly choose.
static NEXT: AtomicU32 = AtomicU32::new(7_000);

/// What a device is to be like.
#[derive(Clone, Debug)]
pub struct Builder {
    id: Option<u32>,
    ports: u32,
    queues: u32,
}

impl Builder {
    /// The number of the device on the bus; one that is free if not said.
    #[must_use]
    pub fn id(mut self, id: u32) -> Self {
        self.id = Some(id);
        self
    }

    /// How many ports the device has, each a link of its own; one if not said.
    #[must_use]
    pub fn ports(mut self, ports: u32) -> Self {
        self.ports = ports;
        self
    }

    /// How many queues each port has; one if not said.
    #[must_use]
    pub fn queues(mut self, queues: u32) -> Self {
        self.queues = queues;
        self
    }

    /// Makes the device; its links are in the network namespace of the calling thread.
    ///
    /// # Errors
    /// When there is no driver, or the kernel refuses.
    pub fn create(self) -> Result<Device, Error> {
        bus::available()?;
        let id = self.id.unwrap_or_else(|| NEXT.fetch_add(1, Ordering::Relaxed));
        tell("new_device", &format!("{id} {} {}", self.ports, self.queues))?;
        Ok(Device { id, is_removed: AtomicBool::new(false) })
    }
}

/// A simulated NIC, which is removed with this value.
#[derive(Debug)]
pub struct Device {
    id: u32,
    is_removed: AtomicBool,
}

impl Device {
    /// A device with one port.
    ///
    /// # Errors
    /// When there is no driver, or the kernel refuses.
    pub fn create() -> Result<Self, Error> {
        Self::builder().create()
    }

    /// A device of another shape.
    #[must_use]
    pub fn builder() -> Builder {
        Builder { id: None, ports: 1, queues: 1 }
    }

    /// The number of the device on the bus.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// One of the device's ports, counted from 0.
    #[must_use]
    pub fn port(&self, number: u32) -> Port<'_> {
        Port::of(self, number)
    }

    /// Adds a port.
    ///
    /// # Errors
    /// When the device has one of that number, or the kernel refuses.
    pub fn add_port(&self, number: u32) -> Result<Port<'_>, Error> {
        tell_device(self.id, "new_port", &number.to_string())?;
        Ok(self.port(number))
    }

    /// Takes a port away, as when a cable's transceiver dies: its link is gone.
    ///
    /// # Errors
    /// When there is none of that number.
    pub fn remove_port(&self, number: u32) -> Result<(), Error> {
        tell_device(self.id, "del_port", &number.to_string())
    }

    /// Makes the device accept something or refuse it.
    ///
    /// # Errors
    /// When the driver has no such knob.
    pub fn set(&self, knob: DeviceKnob, accept: bool) -> Result<(), Error> {
        bus::write(&bus::debug_folder(self.id).join(knob.file()), word(accept))
    }

    /// Makes the verification of each program for this device take so much longer.
    ///
    /// # Errors
    /// When the driver has no such knob.
    pub fn delay_verification(&self, milliseconds: u32) -> Result<(), Error> {
        let file = bus::debug_folder(self.id).join("bpf_bind_verifier_delay");
        bus::write(&file, &milliseconds.to_string())
    }

    /// The programs that were loaded for this device and still exist, attached or not.
    ///
    /// # Errors
    /// When the debug file system can't be read.
    pub fn bound_programs(&self) -> Result<Vec<BoundProgram>, Error> {
        bound::read(&bus::debug_folder(self.id).join("bpf_bound_progs"))
    }

    /// Removes the device now, as when a card is pulled, and says what came of it. Whatever is asked of it later fails.
    ///
    /// # Errors
    /// When it was removed before.
    pub fn remove(&self) -> Result<(), Error> {
        self.is_removed.store(true, Ordering::Relaxed);
        tell("del_device", &self.id.to_string())
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        if self.is_removed.load(Ordering::Relaxed) {
            return;
        }
        if let Err(error) = tell("del_device", &self.id.to_string()) {
            eprintln!("{error}");
        }
    }
}

/// How the debug file system writes truth.
pub(crate) fn word(truth: bool) -> &'static str {
    if truth { "Y" } else { "N" }
}
