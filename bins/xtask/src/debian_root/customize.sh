#!/bin/sh
# Runs in mmdebstrap's customize step; $1 is the new root. What it changes is what makes one root serve many machines.
set -eu
root="$1"

# Each machine draws its own at first boot.
: > "$root/etc/machine-id"
rm -f "$root/var/lib/dbus/machine-id" "$root"/etc/ssh/ssh_host_*_key "$root"/etc/ssh/ssh_host_*_key.pub
rm -f "$root/var/lib/systemd/random-seed" "$root/etc/hostname"
rm -rf "$root"/var/lib/cloud/* "$root"/var/log/journal

# Networking as Debian's own cloud images have it: cloud-init -> netplan -> systemd-networkd, names by systemd-resolved.
chroot "$root" systemctl --quiet enable systemd-networkd.service systemd-resolved.service ssh.service
ln -sf ../run/systemd/resolve/stub-resolv.conf "$root/etc/resolv.conf"
mkdir -p "$root/etc/cloud/cloud.cfg.d"
cat > "$root/etc/cloud/cloud.cfg.d/10-bootcode-root.cfg" <<'CFG'
# The sources that this root was built from stay; two modern host keys instead of four; the locale that needs no generating.
# What cloud-init does goes to its log: the console is for the kernel, for systemd and for who logs in.
apt: {preserve_sources_list: true}
ssh_genkeytypes: [ed25519, ecdsa]
locale: C.UTF-8
output: {all: '>> /var/log/cloud-init-output.log'}
ssh: {emit_keys_to_console: false}
no_ssh_fingerprints: true
system_info:
  network: {renderers: [netplan]}
CFG
echo LANG=C.UTF-8 > "$root/etc/default/locale"

# Periodic work that would compete with the first boot; the owner enables what is wanted.
for unit in apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer e2scrub_reap.service man-db.timer; do
    chroot "$root" systemctl --quiet disable "$unit" 2>/dev/null || true
done
