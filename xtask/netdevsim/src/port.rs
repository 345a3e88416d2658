//! A port of a simulated NIC, which the kernel shows as a link.

use std::fs;
use std::path::PathBuf;

use crate::named::{self, Named};
use crate::{Device, Error, Ipsec, PortKnob, bus, device::word};

/// A port of a device.
#[derive(Clone, Copy, Debug)]
pub struct Port<'a> {
    device: &'a Device,
    number: u32,
}

impl<'a> Port<'a> {
    pub(crate) fn of(device: &'a Device, number: u32) -> Self {
        Self { device, number }
    }

    /// The link, whatever it was renamed to, as the calling thread's network namespace has it.
    ///
    /// # Errors
    /// When there is no such port, or its link is in another namespace.
    pub fn link(&self) -> Result<Named, Error> {
        named::find(self.device.id(), self.number)
    }

    /// Gives the link another name, and says what it is now.
    ///
    /// # Errors
    /// When the name is taken or no name of a link, or as [`Port::link`].
    pub fn rename(&self, name: &str) -> Result<Named, Error> {
        let link = self.link()?;
        named::rename(&link.name, name)?;
        Ok(Named { name: name.to_owned(), ..link })
    }

    /// Makes the port accept something or refuse it.
    ///
    /// # Errors
    /// When the driver has no such knob.
    pub fn set(&self, knob: PortKnob, accept: bool) -> Result<(), Error> {
        bus::write(&self.folder().join(knob.file()), word(accept))
    }

    /// The id of the program that is attached on the device, by XDP or by tc; 0 if there is none.
    ///
    /// # Errors
    /// When the debug file system can't be read.
    pub fn offloaded_program(&self) -> Result<u32, Error> {
        bus::read_number(&self.folder().join("bpf_offloaded_id"))
    }

    /// What the port holds of IPsec.
    ///
    /// # Errors
    /// When the driver was compiled without IPsec.
    pub fn ipsec(&self) -> Result<Ipsec, Error> {
        let file = self.folder().join("ipsec");
        let text = fs::read_to_string(&file).map_err(Error::of("read", &file))?;
        Ipsec::parse(&text).ok_or(Error::Unexpected {
            path: file,
            found: text,
            expected: "a count and security associations",
        })
    }

    fn folder(&self) -> PathBuf {
        bus::debug_folder(self.device.id()).join(format!("ports/{}", self.number))
    }
}
