//! The kernel as an ELF file, out of the compressed image that Debian ships.
//!
//! Started that way the guest needs no firmware, and above all does not decompress its kernel, which takes an emulated
//! processor ten seconds.

use std::fs;

use anyhow::{Context, Result, bail};

use super::root::Root;

/// Where the boot protocol's header says how many sectors of real-mode code come first, and where in what follows the
/// compressed kernel is (Documentation/arch/x86/boot.rst).
const SETUP_SECTORS: usize = 0x1f1;
const MAGIC: (usize, &[u8]) = (0x202, b"HdrS");
const PAYLOAD_OFFSET: usize = 0x248;
const PAYLOAD_LENGTH: usize = 0x24c;
const SECTOR: usize = 512;

/// The first bytes of what the kernel may be compressed with, and the program that takes it apart.
const COMPRESSIONS: [(&[u8], &str); 3] =
    [(b"\xfd7zXZ", "xz"), (b"\x28\xb5\x2f\xfd", "zstd"), (b"\x1f\x8b", "gzip")];

/// Writes the kernel that the packages brought into the root as `boot/vmlinux`.
pub(super) fn extract(root: &Root, release: &str) -> Result<()> {
    // Newer packages keep it with its modules and copy it while they are installed.
    let places = [format!("boot/vmlinuz-{release}"), format!("usr/lib/modules/{release}/vmlinuz")];
    let image = places.iter().find_map(|place| fs::read(root.path(place)).ok());
    let image =
        image.with_context(|| format!("the packages have none of {}", places.join(", ")))?;
    let payload =
        payload(&image).context("the kernel's image has no header of the boot protocol")?;
    let Some((_, program)) = COMPRESSIONS.iter().find(|(magic, _)| payload.starts_with(magic))
    else {
        bail!("the kernel is compressed in a way that is not known here");
    };
    fs::write(root.path("tmp/payload"), payload)?;
    // The length of the kernel follows its end, which the programs complain about.
    let script = format!("{program} -dc /tmp/payload > /boot/vmlinux || true; rm /tmp/payload");
    root.script(&script, &[])?;
    if !fs::read(root.path("boot/vmlinux"))?.starts_with(b"\x7fELF") {
        bail!("what {program} made of the kernel's image is no ELF file");
    }
    Ok(())
}

fn payload(image: &[u8]) -> Option<&[u8]> {
    let (at, magic) = MAGIC;
    if image.get(at..)?.starts_with(magic) {
        let word = |at: usize| -> Option<usize> {
            let bytes: [u8; 4] = image.get(at..at + 4)?.try_into().ok()?;
            usize::try_from(u32::from_le_bytes(bytes)).ok()
        };
        let start = (usize::from(*image.get(SETUP_SECTORS)?) + 1) * SECTOR + word(PAYLOAD_OFFSET)?;
        image.get(start..start + word(PAYLOAD_LENGTH)?)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_is_where_the_header_says() {
        let mut image = vec![0; 4 * SECTOR];
        image[SETUP_SECTORS] = 1;
        image[MAGIC.0..MAGIC.0 + 4].copy_from_slice(MAGIC.1);
        image[PAYLOAD_OFFSET] = 16;
        image[PAYLOAD_LENGTH] = 3;
        image[2 * SECTOR + 16..2 * SECTOR + 19].copy_from_slice(b"abc");
        assert_eq!(payload(&image), Some(b"abc".as_slice()));
        image[PAYLOAD_LENGTH + 2] = 1;
        assert_eq!(payload(&image), None, "longer than the file");
        assert_eq!(payload(b"short"), None);
    }
}
