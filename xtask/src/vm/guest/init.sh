#!/bin/sh
# The first program in the guest: mounts the root (shared by the host, read-only, under a layer in memory) and the
# shares that the kernel's command line names as sluice.share=TAG:PATH, then hands over to /exchange/start.
export PATH=/bin

give_up() {
    echo "guest: $1"
    poweroff -f
}

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
while read -r module; do
    insmod "/modules/$module" || give_up "cannot load $module"
done < /modules/list

share() {
    # What the host alone writes may be cached; what both write may not.
    case $1 in
    rw*) options=cache=none ;;
    *) options=ro,cache=loose ;;
    esac
    mount -t 9p -o "trans=virtio,version=9p2000.L,msize=512000,$options" "$1" "$2" || give_up "cannot mount $2"
}

share ro-root /lower
mount -t tmpfs -o mode=755 tmpfs /upper
mkdir /upper/files /upper/work
mount -t overlay -o lowerdir=/lower,upperdir=/upper/files,workdir=/upper/work overlay /root ||
    give_up "cannot lay a writable layer over the root"
for word in $(cat /proc/cmdline); do
    case $word in
    sluice.share=*)
        word=${word#sluice.share=}
        mkdir -p "/root${word#*:}"
        share "${word%%:*}" "/root${word#*:}"
        ;;
    esac
done
mount --move /proc /root/proc
mount --move /sys /root/sys
mount --move /dev /root/dev
exec switch_root /root /exchange/start
