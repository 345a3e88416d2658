//! The driver netdevsim, which no stock kernel of Debian's has: compiled out of the kernel's own source.

use anyhow::{Context, Result};

use super::kernel::Packages;
use super::root::Root;
use crate::debian::PrivateApt;

/// Where Debian's package of the source keeps its archive, and the driver in it.
const SCRIPT: &str = r#"
release=$1
cd /usr/src
tar -xJf linux-source-*.tar.xz --strip-components=1 --wildcards '*/drivers/net/netdevsim'
rm linux-source-*.tar.xz
cd drivers/net/netdevsim
make -C "/usr/src/linux-headers-$release" "M=$PWD" CONFIG_NETDEVSIM=m "-j$(nproc)" modules
strip --strip-debug netdevsim.ko
mkdir -p "/usr/lib/modules/$release/updates"
mv netdevsim.ko "/usr/lib/modules/$release/updates/"
depmod "$release"
"#;

/// Compiles the driver and puts it among the kernel's modules.
pub(super) fn build(root: &Root, apt: &PrivateApt, packages: &Packages) -> Result<()> {
    println!("compiling netdevsim for {}", packages.release);
    let source = apt.download(&packages.source)?;
    root.unpack(&source)?;
    apt.forget_downloads()?;
    root.script(SCRIPT, &[&packages.release]).with_context(|| {
        format!("netdevsim of {} does not compile for {}", packages.source, packages.release)
    })?;
    Ok(())
}
