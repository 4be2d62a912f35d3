# A machine that boots Debian's cloud-init: the programs of this one, under a root, a host name and a network of its own.
#
# $1 is a directory with `files/`, which the machine finds on its disk, and `cmdline`. What it wrote is left in `wrote/`, and its disk in
# `disk/`, from which it boots the next time.
set -eu
work=$1
rm -rf "$work/wrote"
mkdir -p "$work/machine" "$work/wrote"
mount -t tmpfs tmpfs "$work/machine"
cd "$work/machine"
mkdir upper scratch root sysfs
[ ! -d "$work/disk" ] || cp -a "$work/disk/." upper/
mount -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=scratch root
mount -t sysfs sysfs sysfs
mount -t proc proc root/proc
for place in sys run tmp dev; do mount -t tmpfs tmpfs "root/$place"; done
mkdir -p root/sys/class/net root/sys/class/dmi/id root/sys/devices root/run/lock root/dev/shm
mount --bind sysfs/class/net root/sys/class/net
mount --bind sysfs/devices root/sys/devices
# No disk is here that a module could find.
for node in null zero random urandom; do
    touch "root/dev/$node"
    mount --bind "/dev/$node" "root/dev/$node"
done
ln -s /proc/self/fd root/dev/fd
[ -d "$work/disk" ] || rm -rf root/var/lib/cloud root/var/log/cloud-init* root/etc/netplan/* root/etc/network/interfaces.d/* root/etc/ssh/ssh_host_*
# In a container cloud-init looks neither at DMI nor at what the kernel was told.
rm -f root/.dockerenv
cp -r "$work/files/." root/
cp "$work/cmdline" root/run/cmdline
mount --bind root/run/cmdline root/proc/cmdline
# networkd waits for udev, which is not here, unless this cannot be written.
mount -o remount,ro root/sys
echo ready
# The test has put the interfaces here when it says so.
read -r _
ip link set lo up
status=0
chroot root /bin/sh -eu /boot.sh || status=$?
rm -rf "$work/disk"
cp -a upper "$work/disk"
[ ! -d upper/home ] || mv upper/home "$work/wrote/homes"
cp -r upper/etc upper/var root/run "$work/wrote/"
exit $status
