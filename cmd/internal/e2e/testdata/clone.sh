#!/bin/sh
# A copy of this machine in which everything may be changed: an overlay in a mount
# namespace of its own. Started as root by unshare --mount; it prints the folder
# that is the root of the copy, and lives until its standard input ends.
set -eu
dir=$(mktemp -d)
mount -t tmpfs tmpfs "$dir"
mkdir "$dir/upper" "$dir/work" "$dir/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$dir/upper,workdir=$dir/work" "$dir/root"
mount -t tmpfs tmpfs "$dir/root/run"
mount -t tmpfs tmpfs "$dir/root/tmp"
mount --bind /dev "$dir/root/dev"
mount --bind /proc "$dir/root/proc"
mkdir -p "$dir/root/run/systemd/system" "$dir/root/stub"
rm -rf "$dir/root/var/lib/tacet" "$dir/root/etc/tacet" # of a device that this machine is

# systemd does not run in there: what it is told is written down.
cat >"$dir/root/stub/systemctl" <<'END'
#!/bin/sh
echo "$*" >>/stub/told
END
chmod 0755 "$dir/root/stub/systemctl"
echo "$dir/root"
cat >/dev/null
