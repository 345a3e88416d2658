#!/bin/bash
# The guest's only service: makes the kernel's file systems visible, runs /exchange/job, says how it ended, powers off.
export PATH=/usr/sbin:/usr/bin HOME=/root TERM=${TERM:-dumb} LC_ALL=C
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t debugfs debugfs /sys/kernel/debug
mount -t tracefs tracefs /sys/kernel/tracing 2> /dev/null
mount -t bpf bpf /sys/fs/bpf
mount -t cgroup2 cgroup2 /sys/fs/cgroup
ulimit -l unlimited
ip link set lo up

exec < /dev/hvc0 > /dev/hvc0 2>&1
stty -onlcr
touch /exchange/started
echo "guest: kernel $(uname -r), up after $(cut -d' ' -f1 /proc/uptime) s"
if [ -e /exchange/interactive ]; then
    stty sane
    setsid --ctty --wait bash /exchange/job
    status=$?
else
    # Through a pipe: to a terminal some programs write colours.
    bash /exchange/job < /dev/null 2>&1 | cat
    status=${PIPESTATUS[0]}
fi
echo "$status" > /exchange/status
dmesg | grep -E 'WARNING:|BUG:|Oops:|general protection' > /exchange/complaints
sync
echo o > /proc/sysrq-trigger
sleep 10
