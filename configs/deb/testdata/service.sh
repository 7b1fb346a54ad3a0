#!/bin/sh
# Both services under a systemd of their own: a container that starts in a copy of
# this machine, an overlay in a mount namespace of its own, with a network of its
# own. Started as root by unshare --mount; the argument is the folder of the
# packages. What is done in the container is in its service try; each of its lines
# begins with ok or FAIL; the last one is "done".
set -eu
debs=$1
dir=$(mktemp -d)
mount -t tmpfs tmpfs "$dir"
mkdir "$dir/upper" "$dir/work" "$dir/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$dir/upper,workdir=$dir/work" "$dir/root"
root=$dir/root
rm -rf "$root/var/lib/tacet" "$root/etc/tacet" # of a device that this machine is
rm -f "$root/etc/machine-id"
: >"$root/etc/machine-id"
rm -f "$root/usr/sbin/policy-rc.d" # of a machine that is a container itself: nothing is started by packages
mkdir -p "$root/debs"
cp "$debs"/*_1.0_amd64.deb "$root/debs"
mkdir -p "$root/etc/systemd/system/tacet-device.service.d" "$root/etc/systemd/system/tacet.service.d" "$root/etc/systemd/system/try.target.wants"
for unit in tacet tacet-device; do printf '[Service]\nWatchdogSec=6\n' >"$root/etc/systemd/system/$unit.service.d/soon.conf"; done
printf '[Unit]\nRequires=basic.target\nAfter=basic.target\nAllowIsolate=yes\n' >"$root/etc/systemd/system/try.target"
printf '[Unit]\nAfter=basic.target\n[Service]\nType=oneshot\nExecStart=/bin/sh /try.sh\nStandardOutput=tty\nStandardError=tty\nTTYPath=/dev/console\n' >"$root/etc/systemd/system/try.service"
ln -s ../try.service "$root/etc/systemd/system/try.target.wants/try.service"

cat >"$root/try.sh" <<'END'
check() { # WHAT SCRIPT
	if out=$(sh -c "$2" 2>&1); then echo "ok $1"; else echo "FAIL $1: $out"; fi
}
until_is() { # SCRIPT: waits until it is so, for two minutes at least: what must come, comes late on a busy machine
	n=0
	until sh -c "$1" >/dev/null 2>&1; do
		n=$((n + 1))
		[ $n -lt 1200 ] || { sh -c "$1"; systemctl --no-pager --lines=20 status tacet-device tacet; return 1; }
		sleep 0.1
	done
}
comes() { # WHAT SCRIPT: check of what comes in time
	if out=$(until_is "$2" 2>&1); then echo "ok $1"; else echo "FAIL $1: $out"; fi
}
export DEBIAN_FRONTEND=noninteractive
check "install" 'dpkg -i /debs/tacet_1.0_amd64.deb /debs/tacet-device_1.0_amd64.deb'
comes "the hub runs" 'curl -fs http://127.0.0.1:8080/healthz'
check "the hub announces nothing by itself" 'curl -fs http://127.0.0.1:8080/api/v1/schedules | grep -qF "\"items\":[]" && curl -fs http://127.0.0.1:8080/api/v1/areas | grep -qF "\"items\":[]"'
check "the hub is nobody else" '[ "$(stat -c %U /proc/$(systemctl show -P MainPID tacet))" = tacet-hub ]'
check "the device waits for its configuration" '[ "$(systemctl is-active tacet-device)" = inactive ]'
printf 'device: gate-1\narea: north\naudio: {output: "null"}\n' >/etc/tacet/device.yaml
check "the device starts" 'systemctl start tacet-device && systemctl is-active tacet-device'
check "it is nobody else" '[ "$(stat -c %U /proc/$(systemctl show -P MainPID tacet-device))" = tacet ]'
check "it is in its groups" 'for g in audio gpio i2c; do id=$(getent group $g | cut -d: -f3); grep -qw "$id" /proc/$(systemctl show -P MainPID tacet-device)/status || { echo $g; exit 1; }; done'
comes "it has joined the hub" 'curl -fs http://127.0.0.1:8080/api/v1/devices | grep -q gate-1'
for unit in tacet-device tacet; do
	systemctl show -P MainPID $unit >/run/first
	kill -STOP "$(cat /run/first)"
	export unit
	comes "$unit that hangs is killed and started again" '[ "$(systemctl show -P MainPID $unit)" != "$(cat /run/first)" ] && systemctl is-active $unit'
	comes "$unit: by the watchdog" 'journalctl -u $unit | grep -q "Watchdog timeout"'
done
comes "the device joins the new hub" 'curl -fs http://127.0.0.1:8080/api/v1/devices/gate-1 | grep -q "\"presence\":\"online\""'
check "it ends in order" 'systemctl stop tacet-device && [ "$(systemctl show -P Result tacet-device)" = success ]'
check "hub ends in order" 'systemctl stop tacet && [ "$(systemctl show -P Result tacet)" = success ]'
check "purge" 'dpkg -P tacet-device tacet'
check "nothing runs" '! systemctl is-active tacet && ! systemctl is-active tacet-device'
echo done
systemctl poweroff --no-block
END
# The console of the container is a terminal, and ends lines as one.
systemd-nspawn --quiet --register=no --keep-unit --private-network --boot -D "$root" systemd.unit=try.target systemd.show_status=no </dev/null | tr -d '\r'
