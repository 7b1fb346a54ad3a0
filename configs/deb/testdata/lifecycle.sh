#!/bin/sh
# The life of both packages in a copy of this machine: an overlay in a mount
# namespace of its own, so that nothing of the machine changes. Started as root
# by unshare --mount; the argument is the folder of the packages. Each line that
# it prints begins with ok or FAIL; the last one is "done".
set -u
debs=$1
root=$(mktemp -d)
mount -t tmpfs tmpfs "$root" || exit 1
mkdir "$root/upper" "$root/work" "$root/all"
mount -t overlay overlay -o "lowerdir=/,upperdir=$root/upper,workdir=$root/work" "$root/all" || exit 1
mount -t tmpfs tmpfs "$root/all/run" && mount --bind /dev "$root/all/dev" && mount --bind /proc "$root/all/proc" || exit 1
rm -rf "$root/all/var/lib/tacet" "$root/all/etc/tacet" # of a device that this machine is
mkdir -p "$root/all/debs" && mount --bind "$debs" "$root/all/debs" || exit 1

in_root() { chroot "$root/all" /usr/bin/env DEBIAN_FRONTEND=noninteractive DPKG_MAINTSCRIPT_DEBUG= "$@" </dev/null; }
check() { # WHAT COMMAND…
	what=$1
	shift
	if out=$("$@" 2>&1); then echo "ok $what"; else echo "FAIL $what: $out"; fi
}
sh_in() { in_root sh -c "$1"; }

check "install" in_root dpkg -i /debs/tacet-device_1.0_amd64.deb /debs/tacet_1.0_amd64.deb
check "status" sh_in 'dpkg -s tacet-device tacet | grep -c "^Status: install ok installed" | grep -qx 2'
check "program runs" sh_in 'tacet-device version && tacet version && [ "$(tacet-leader version | cut -d" " -f2)" = "$(tacet-device version | cut -d" " -f2)" ]'
check "account" sh_in 'id tacet && id tacet-hub && [ "$(getent passwd tacet | cut -d: -f6,7)" = /var/lib/tacet:/usr/sbin/nologin ]'
check "groups" sh_in 'getent group audio && getent group gpio && getent group i2c'
check "state belongs to the account alone" sh_in '[ "$(stat -c "%U %a" /var/lib/tacet)" = "tacet 700" ] && [ "$(stat -c "%U %a" /var/lib/tacet-hub)" = "tacet-hub 700" ]'
check "configuration is read by the account alone" sh_in '[ "$(stat -c "%U:%G %a" /etc/tacet/device.yaml)" = "root:tacet 640" ]'
check "service is enabled" sh_in '[ -L /etc/systemd/system/multi-user.target.wants/tacet-device.service ] && [ -L /etc/systemd/system/multi-user.target.wants/tacet.service ]'
check "units are as systemd wants them" in_root systemd-analyze verify tacet-device.service tacet.service
check "nothing else changed" in_root dpkg --verify tacet-device
check "hub's configuration is good" sh_in 'cd /var/lib/tacet-hub && tacet config check --config /etc/tacet/tacet.yaml | grep -F "0 areas, 0 mappings, 0 schedules"'

check "somebody configures it" sh_in 'printf "device: gate-1\narea: north\n" >/etc/tacet/device.yaml && echo secret >/var/lib/tacet/secret'
check "again" in_root dpkg -i /debs/tacet-device_1.0_amd64.deb
check "configuration is kept" sh_in 'grep -qx "device: gate-1" /etc/tacet/device.yaml'
check "upgrade, both changed" in_root dpkg --force-confdef --force-confold -i /debs/tacet-device_2.0_amd64.deb
check "configuration is kept, the new one is beside it" sh_in 'grep -qx "device: gate-1" /etc/tacet/device.yaml && grep -q "of version 2" /etc/tacet/device.yaml.dpkg-dist'
check "version" sh_in 'dpkg -s tacet-device | grep -qx "Version: 2.0"'
check "state is kept" sh_in 'grep -qx secret /var/lib/tacet/secret'
check "mode is kept" sh_in '[ "$(stat -c "%U:%G %a" /etc/tacet/device.yaml)" = "root:tacet 640" ]'

check "remove" in_root dpkg -r tacet-device tacet
check "program is gone" sh_in '! command -v tacet-device && ! command -v tacet-leader && [ ! -e /usr/lib/systemd/system/tacet-device.service ]'
check "configuration and state stay" sh_in 'grep -qx "device: gate-1" /etc/tacet/device.yaml && grep -qx secret /var/lib/tacet/secret'
check "install again" in_root dpkg -i /debs/tacet-device_2.0_amd64.deb
check "what was kept is there" sh_in 'grep -qx "device: gate-1" /etc/tacet/device.yaml && grep -qx secret /var/lib/tacet/secret && [ -L /etc/systemd/system/multi-user.target.wants/tacet-device.service ]'

check "disabled by somebody" in_root systemctl disable tacet-device.service
check "upgraded once more" in_root dpkg -i /debs/tacet-device_2.0_amd64.deb
check "still disabled" sh_in '[ ! -e /etc/systemd/system/multi-user.target.wants/tacet-device.service ]'

check "purge" in_root dpkg -P tacet-device tacet
check "nothing is left" sh_in '[ ! -e /etc/tacet ] && [ ! -e /var/lib/tacet ] && [ ! -e /var/lib/tacet-hub ] && ! getent passwd tacet && ! getent passwd tacet-hub && ! find /etc/systemd /var/lib/systemd -name "tacet*" | grep .'

check "arm64 unpacks and configures" in_root dpkg --force-architecture -i /debs/tacet-device_1.0_arm64.deb
check "arm64 runs" sh_in 'qemu-aarch64 /usr/bin/tacet-device version | grep linux/arm64'
check "arm64 is purged" in_root dpkg -P tacet-device
echo done
