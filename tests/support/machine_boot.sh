# The machine's first process, which becomes its systemd.  $1: the folder that becomes its root
cd "$1"
hostname machine
ip link set lo up
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 run run
mount -t tmpfs -o mode=1777 tmp tmp
mkdir run/before
pivot_root . run/before
cd /
umount -l /run/before
mount --make-rshared / # as on a real machine: systemd prepares a unit's credentials in a namespace of their own
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system --unit=machine.target \
    --log-target=journal --log-level=info --show-status=no
