# Makes and boots the machine of tests/support/machine.py; runs in a mount namespace of its own, as root.
#   $1: an empty folder, $2: the virtual environment, $3: its base Python, $4: the checkout, $5: "lib/pythonX.Y"
# Prints the process id of the machine's systemd.  Standard input is held open by the test: when it ends, all ends.
set -eu
stage=$1 venv=$2 base=$3 checkout=$4 lib=$5
mount --make-rprivate /
mount -t tmpfs -o mode=755 machine "$stage"
cd "$stage"
mkdir written work root venv-written venv-work cgroup
mount -t overlay -o "lowerdir=/,upperdir=$stage/written,workdir=$stage/work" machine root

# /opt/novnc_twisted, as the README's first step makes it.
opt=root/opt/novnc_twisted
rm -rf $opt
mkdir -p $opt/bin $opt/lib root/opt/python
mount --bind "$base" root/opt/python
mount -t overlay -o "lowerdir=$venv/lib,upperdir=$stage/venv-written,workdir=$stage/venv-work" venv $opt/lib
ln -s "/opt/python/bin/${lib#lib/}" $opt/bin/python
printf 'home = /opt/python/bin\ninclude-system-site-packages = false\n' > $opt/pyvenv.cfg
script() { # script NAME MODULE FUNCTION: what pip makes of an entry point
    printf '#!/opt/novnc_twisted/bin/python\nimport sys\nfrom %s import %s\nsys.exit(%s())\n' "$2" "$3" "$3" > "$opt/bin/$1"
    chmod 755 "$opt/bin/$1"
}
script twistd twisted.scripts.twistd run
script novnc-reload novnc_twisted.service.reload main
script novnc-redis-acl novnc_twisted.service.redis_acl main
packages=$opt/$lib/site-packages
rm -f $packages/*novnc*.pth $packages/twisted/plugins/dropin.cache
tar -C "$checkout" -c --exclude node_modules --exclude __pycache__ novnc_twisted twisted/plugins | tar -C $packages -x
echo /opt/python/lib > root/etc/ld.so.conf.d/python-of-the-test.conf
ldconfig -r root

mount -t tmpfs -o mode=755 dev root/dev
mkdir root/dev/pts root/dev/shm
for device in null zero full random urandom tty; do cp -a /dev/$device root/dev; done
ln -s /proc/self/fd pts/ptmx root/dev
ln -s /proc/self/fd/0 root/dev/stdin
ln -s /proc/self/fd/1 root/dev/stdout
ln -s /proc/self/fd/2 root/dev/stderr
mount -t devpts -o newinstance,ptmxmode=0666 pts root/dev/pts

# It starts nothing of the machine's own, and keeps its journal in memory.
rm -rf root/etc/systemd/system
mkdir -p root/etc/systemd/system root/etc/systemd/journald.conf.d
for unit in systemd-firstboot systemd-sysusers systemd-update-utmp systemd-random-seed systemd-pcrphase-sysinit \
    systemd-pcrphase systemd-repart systemd-binfmt systemd-modules-load systemd-sysctl systemd-machine-id-commit \
    systemd-tmpfiles-setup-dev systemd-udevd dbus kmod-static-nodes; do
    ln -s /dev/null root/etc/systemd/system/$unit.service
done
for unit in dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount sys-kernel-config.mount \
    sys-fs-fuse-connections.mount proc-sys-fs-binfmt_misc.automount dbus.socket systemd-journald-audit.socket; do
    ln -s /dev/null root/etc/systemd/system/$unit
done
printf '[Unit]\nRequires=basic.target\nAfter=basic.target\nAllowIsolate=yes\n' > root/etc/systemd/system/machine.target
printf '[Journal]\nStorage=volatile\nReadKMsg=no\nForwardToWall=no\nRateLimitIntervalSec=0\n' \
    > root/etc/systemd/journald.conf.d/test.conf
tr -d - < /proc/sys/kernel/random/uuid > root/etc/machine-id
: > root/etc/fstab
mount -t cgroup2 cgroup2 cgroup
group=cgroup/machine-$$
mkdir $group
# shellcheck disable=SC2016
sh -c 'echo $$ > "$1/cgroup.procs"; shift; exec "$@"' sh $group \
    unshare --fork --pid --net --uts --ipc --cgroup --mount --kill-child \
    sh -eu "$checkout/tests/support/machine_boot.sh" root </dev/null &
child=$!
end() {
    kill -KILL $child 2>/dev/null || true
    wait $child 2>/dev/null || true
    # A cgroup can be removed a moment after its last process.
    for _ in $(seq 100); do
        find $group -depth -type d -exec rmdir {} + 2>/dev/null && break
        sleep 0.05
    done
}
trap end EXIT
pid=
until [ -n "$pid" ] && [ -S "/proc/$pid/cwd/run/systemd/private" ]; do
    kill -0 $child
    sleep 0.05
    read -r pid < /proc/$child/task/$child/children || true # it is a line without an end
done
echo "$pid"
cat > /dev/null
