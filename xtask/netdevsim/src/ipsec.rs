//! Security associations on a port, as the debug file system lists them:
//!
//! ```text
//! SA count=1 tx=0
//! sa[0] tx ipaddr=192.0.2.1
//! sa[0]    spi=0x00000100 proto=0x32 salt=0x40302010 crypt=1
//! sa[0]    key=0x04030201 08070605 0c0b0a09 100f0e0d
//! ```

use std::net::IpAddr;

/// What a port holds of IPsec.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ipsec {
    /// How many packets were sent that the device was to encrypt.
    pub sent: u32,
    /// The security associations.
    pub associations: Vec<SecurityAssociation>,
}

/// One security association.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecurityAssociation {
    /// Whether it is for packets that arrive.
    pub is_inbound: bool,
    /// The address of the far end.
    pub address: IpAddr,
    /// The security parameter index.
    pub spi: u32,
    /// The protocol: 50 is ESP.
    pub protocol: u8,
    /// What follows the key in the key material, in the byte order of the machine.
    pub salt: u32,
    /// Whether it encrypts, not only signs.
    pub encrypts: bool,
    /// The key, word by word in the byte order of the machine. There is room for 128 bits, whatever was given.
    pub key: [u32; 4],
}

impl Ipsec {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let (count, sent) = lines.next()?.strip_prefix("SA count=")?.split_once(" tx=")?;
        let mut associations = Vec::new();
        while let Some(line) = lines.next() {
            associations.push(association([line, lines.next()?, lines.next()?])?);
        }
        let is_complete = associations.len() == count.parse::<usize>().ok()?;
        is_complete.then_some(Self { sent: sent.parse().ok()?, associations })
    }
}

fn association(lines: [&str; 3]) -> Option<SecurityAssociation> {
    // `sa[0]` is at the front of each line.
    let [address, parameters, key] = lines.map(|line| line.split_once(' '));
    let (direction, address) = address?.1.split_once("x ipaddr=")?;
    let parameters = parameters?.1;
    let parameter = |name: &str| {
        parameters.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    };
    let mut words = key?.1.trim_start().strip_prefix("key=")?.split(' ').map(hexadecimal);
    let key = [words.next()??, words.next()??, words.next()??, words.next()??];
    Some(SecurityAssociation {
        is_inbound: direction == "r",
        address: address.parse().ok()?,
        spi: hexadecimal(parameter("spi")?)?,
        protocol: u8::try_from(hexadecimal(parameter("proto")?)?).ok()?,
        salt: hexadecimal(parameter("salt")?)?,
        encrypts: parameter("crypt")? == "1",
        key,
    })
}

fn hexadecimal(word: &str) -> Option<u32> {
    u32::from_str_radix(word.trim_start_matches("0x"), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "SA count=2 tx=7
sa[0] tx ipaddr=192.0.2.1
sa[0]    spi=0x00000100 proto=0x32 salt=0x40302010 crypt=1
sa[0]    key=0x04030201 08070605 0c0b0a09 100f0e0d
sa[3] rx ipaddr=2001:db8::1
sa[3]    spi=0x00000101 proto=0x32 salt=0x00000000 crypt=1
sa[3]    key=0x00000000 00000000 00000000 00000001
";

    #[test]
    fn associations_are_read_as_the_driver_writes_them() {
        let ipsec = Ipsec::parse(TEXT).expect("it is as the driver writes it");
        assert_eq!(ipsec.sent, 7);
        let [sending, receiving] = ipsec.associations.as_slice() else { panic!("two are there") };
        assert!(!sending.is_inbound && sending.encrypts);
        assert_eq!(sending.address, IpAddr::from([192, 0, 2, 1]));
        assert_eq!((sending.spi, sending.protocol, sending.salt), (0x100, 50, 0x4030_2010));
        assert_eq!(sending.key, [0x0403_0201, 0x0807_0605, 0x0c0b_0a09, 0x100f_0e0d]);
        assert!(receiving.is_inbound);
        assert_eq!(receiving.address, "2001:db8::1".parse::<IpAddr>().expect("an address"));
    }

    #[test]
    fn a_list_that_was_cut_is_not_taken_for_whole() {
        assert_eq!(Ipsec::parse("SA count=0 tx=0\n"), Some(Ipsec::default()));
        let cut = TEXT.lines().take(4).collect::<Vec<_>>().join("\n");
        assert_eq!(Ipsec::parse(&cut), None);
        assert_eq!(Ipsec::parse(""), None);
    }
}
