#!/bin/busybox sh
# First process of a machine, out of its initramfs: the host's root, read-only, under a tmpfs.
export PATH=/bin
/bin/busybox mkdir -p /proc /sys /dev /lower /upper /root
/bin/busybox mount -t proc proc /proc
/bin/busybox --install -s /bin
mount -t devtmpfs dev /dev
mount -t sysfs sys /sys
fail() { echo "RIG-FAILED $*" >/dev/console; poweroff -f; }

# Only the units that Debian's packages start on any machine, and the agent's: none of this host's.
with_systemd() {
    case $(cat /proc/cmdline) in
        *vm.unchanged_root*) ;; # a Debian of its own, with what it has enabled
        *) mount -t tmpfs -o mode=755 units /root/etc/systemd/system ;;
    esac
    # Debian's rules for /tmp would remove what is tested.
    mount -t tmpfs -o mode=755 tmpfiles /root/etc/tmpfiles.d
    ln -s /dev/null /root/etc/tmpfiles.d/tmp.conf
    # A file by which systemd would take the machine for a container, as this host may be one.
    rm -f /root/.dockerenv
    mkdir -p /root/run/systemd/system
    cp /agent.service /machine.target /root/run/systemd/system/
    umount /proc
    exec switch_root /root /lib/systemd/systemd
}

while read -r module; do
    insmod "/modules/$module" || fail "insmod $module"
done </modules/order

# cache=mmap: koffi's library is mapped; with cache=none nothing can be. In a root that nobody else changes
# what was read is kept: Node is read once.
cache=mmap
case $(cat /proc/cmdline) in *vm.unchanged_root*) cache=loose ;; esac
mount -t 9p -o "ro,trans=virtio,version=9p2000.L,msize=512000,cache=$cache" root /lower || fail root
mount -t tmpfs -o mode=755 upper /upper
mkdir /upper/files /upper/work
mount -t overlay -o lowerdir=/lower,upperdir=/upper/files,workdir=/upper/work root /root \
    || fail overlay
mkdir -p /root/proc /root/sys /root/dev /root/run
mount -t tmpfs -o mode=755 run /root/run
# Not over /tmp: what is tested may lie there.
mkdir /root/run/vm
cp /bin/busybox /agent.sh /root/run/vm/
mount --move /dev /root/dev
mount --move /sys /root/sys
mkdir /root/run/vm/bin
for applet in sh mount base64 cttyhack setsid; do ln -s ../busybox "/root/run/vm/bin/$applet"; done
case $(cat /proc/cmdline) in *vm.systemd*) with_systemd ;; esac
umount /proc
exec switch_root /root /run/vm/busybox sh /run/vm/agent.sh boot
