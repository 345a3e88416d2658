use super::{
    ends::{Family, address, read_address, write_address},
    wire::{Read, Reader, Writer},
};
use std::net::IpAddr;

/// ESP in UDP, through NAT (RFC 3948): `struct xfrm_encap_tmpl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encapsulation {
    /// `UDP_ENCAP_*` of `include/uapi/linux/udp.h`.
    pub kind: u16,
    /// Port of the source.
    pub source_port: u16,
    /// Port of the destination.
    pub destination_port: u16,
    /// The address before translation, where it is known: for checksums in transport mode.
    pub original: Option<IpAddr>,
}

impl Encapsulation {
    /// `UDP_ENCAP_ESPINUDP`.
    pub const ESP_IN_UDP: u16 = 2;

    /// ESP in UDP between these ports.
    pub fn udp(source_port: u16, destination_port: u16) -> Self {
        Self { kind: Self::ESP_IN_UDP, source_port, destination_port, original: None }
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.u16(self.kind);
        writer.be16(self.source_port);
        writer.be16(self.destination_port);
        writer.u16(0);
        match self.original {
            Some(original) => write_address(writer, original),
            None => writer.bytes(&[0; 16]),
        }
    }

    /// The family is that of the state.
    pub(super) fn read(mut reader: Reader<'_>, family: Family) -> Read<Self> {
        let kind = reader.u16()?;
        let (source_port, destination_port) = (reader.be16()?, reader.be16()?);
        reader.skip(2)?;
        let original = Some(address(family, read_address(&mut reader)?));
        let original = original.filter(|address| !address.is_unspecified());
        Ok(Self { kind, source_port, destination_port, original })
    }
}
