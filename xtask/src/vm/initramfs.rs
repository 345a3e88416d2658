//! The first file system of the guest: a shell, the modules that reach the shares, and the script that mounts them.

use std::fs;

use anyhow::Result;

use super::root::Root;

const INIT: &str = include_str!("guest/init.sh");

/// What the guest needs before it sees its root: virtio, 9p and overlay.
const MODULES: &str = "virtio_pci virtio_console virtio_net virtio_rng 9p 9pnet_virtio overlay";

const SCRIPT: &str = r#"
release=$1; modules=$2
folder=/tmp/initramfs
rm -rf "$folder"
mkdir -p "$folder/bin" "$folder/modules" "$folder/dev" "$folder/proc" "$folder/sys" "$folder/lower" \
    "$folder/upper" "$folder/root"
cp /usr/bin/busybox "$folder/bin/"
for name in sh cat cut echo insmod mkdir mount poweroff switch_root; do ln -s busybox "$folder/bin/$name"; done
for module in $modules; do modprobe --set-version "$release" --show-depends "$module"; done |
    while read -r kind path rest; do
        # What is compiled in needs no file; what two modules need is loaded once.
        [ "$kind" = insmod ] || continue
        name=$(basename "${path%.xz}")
        [ -e "$folder/modules/$name" ] && continue
        case $path in *.xz) xz -dc "$path" ;; *) cat "$path" ;; esac > "$folder/modules/$name"
        echo "$name" >> "$folder/modules/list"
    done
install -m 755 /tmp/init "$folder/init"
cd "$folder"
find . | cpio --quiet -o -H newc > /boot/initramfs
rm -rf "$folder" /tmp/init
"#;

/// Writes `boot/initramfs` of the root, when the one there is not made of the current script.
pub(super) fn write(root: &Root, release: &str) -> Result<()> {
    let made_of = root.path("boot/initramfs-script");
    let wanted = format!("{MODULES}\n{SCRIPT}\n{INIT}");
    if fs::read_to_string(&made_of).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    fs::write(root.path("tmp/init"), INIT)?;
    root.script(SCRIPT, &[release, MODULES])?;
    fs::write(made_of, wanted)?;
    Ok(())
}
