#!/bin/sh
# Makes this machine a device of the hub that it comes from:
#
#	curl -fsS @HUB@/install.sh | sudo sh -s -- CODE
#
# CODE is what "tacet device enrol gate-1 --area north" prints at the hub; it is
# good once. Without a code it puts in the newest program alone, for a device that
# is one already. It may be run again at any time. Options:
#
#	--hub URL    the hub's address, where it is not @HUB@
#	--ca FILE    authorities that the hub's certificate is of (PEM)
#	--key KEY    public key that the program must be signed with ("tacet update key")
#
# Nothing is done before the whole script is here: it begins in its last line.

hub='@HUB@'
program=/usr/local/bin/tacet-device
unit=/etc/systemd/system/tacet-device.service
rules=/etc/udev/rules.d/60-tacet-device.rules
config=/etc/tacet/device.yaml
state=/var/lib/tacet

say() { echo "tacet: $*"; }
fail() {
	echo "tacet: $*" >&2
	exit 1
}

# releases are the programs that the hub had when it gave this script out:
# architecture, version, SHA-256.
releases() {
	cat <<'END_OF_RELEASES'
@RELEASES@
END_OF_RELEASES
}

unit_text() {
	cat <<'END_OF_UNIT'
@UNIT@
END_OF_UNIT
}

rules_text() {
	cat <<'END_OF_RULES'
@RULES@
END_OF_RULES
}

options() {
	code='' ca='' key=''
	while [ $# -gt 0 ]; do
		case $1 in
		--hub | --ca | --key)
			[ $# -gt 1 ] || fail "$1 needs a value"
			case $1 in
			--hub) hub=${2%/} ;;
			--ca) ca=$2 ;;
			--key) key=$2 ;;
			esac
			shift
			;;
		-*) fail "there is no option $1" ;;
		*)
			[ -z "$code" ] || fail "there is more than one code"
			code=$1
			;;
		esac
		shift
	done
	case $code in
	*[!A-Za-z0-9-]*) fail "a code has letters, digits and hyphens alone" ;;
	esac
	case $key in
	*[!A-Za-z0-9+/=]*) fail "a key is base64" ;;
	esac
	case $hub in
	http://?* | https://?*) ;;
	*) fail "the hub's address begins with http:// or https://" ;;
	esac
	[ -z "$ca" ] || [ -r "$ca" ] || fail "$ca cannot be read"
}

machine() {
	[ "$(id -u)" = 0 ] || fail "it has to be run as root: … | sudo sh -s -- CODE"
	[ "$(uname -s)" = Linux ] || fail "a device runs on Linux alone"
	case $(uname -m) in
	aarch64 | arm64) arch=linux-arm64 ;;
	x86_64) arch=linux-amd64 ;;
	arm*) fail "this is a system with 32 bits ($(uname -m)): install Raspberry Pi OS with 64 bits" ;;
	*) fail "there is no program for $(uname -m)" ;;
	esac
	for tool in curl sha256sum getent mktemp install awk; do
		command -v "$tool" >/dev/null || fail "it needs $tool"
	done
	if command -v dpkg-query >/dev/null && dpkg-query -W -f '${Status}' tacet-device 2>/dev/null | grep -q ' installed$'; then
		fail "the package tacet-device is installed here: use \"tacet-device provision\", or remove the package"
	fi
	if [ -z "$code" ] && ! configured; then
		fail "this is no device yet: it needs a code, from \"tacet device enrol\" at the hub"
	fi
}

# known_key is the key that an installation before has written down.
known_key() { sed -n '/^updates:/s/.*"\([A-Za-z0-9+/]\{43\}=\)".*/\1/p' "$config" 2>/dev/null | head -n 1; }

configured() { [ -s "$state/secret" ] && [ -r "$config" ] && grep -q '^device:' "$config"; }

# ask FILE ARGUMENT…: what the hub answers, into a file.
ask() {
	file=$1
	shift
	[ -z "$ca" ] || set -- --cacert "$ca" "$@"
	curl -fsS --connect-timeout 20 --max-time 1800 --retry 2 --proto =http,https -o "$file" "$@"
}

# credential writes down what the hub lets us in for: the code, or that this is a
# device, which signs in. It is in a file, where no list of processes shows it.
credential() {
	if [ -n "$code" ]; then
		printf 'header = "Tacet-Code: %s"\n' "$code" >"$tmp/credential"
		return
	fi
	name=$(sed -n 's/^username: *"\{0,1\}\([A-Za-z0-9_-]*\).*/\1/p' "$config")
	printf '{"name":"%s","password":"%s","token":true}' "$name" "$(cat "$state/secret")" >"$tmp/name"
	ask "$tmp/token" -H 'Content-Type: application/json' --data-binary @"$tmp/name" "$hub/auth/login" ||
		fail "$hub does not know this device as $name; nothing was changed"
	sed -n 's/.*"token": *"\([A-Za-z0-9_.-]*\)".*/header = "Authorization: Bearer \1"/p' "$tmp/token" >"$tmp/credential"
}

# fetch PATH FILE: gets something of the hub.
fetch() { ask "$2" --config "$tmp/credential" "$hub$1"; }

# program_file gets the program and looks whether it is what the hub says, and,
# where a key is known, what its owner has signed.
program_file() {
	version=$(releases | awk -v a="$arch" '$1 == a { print $2 }')
	sum=$(releases | awk -v a="$arch" '$1 == a { print $3 }')
	[ -n "$sum" ] || fail "the hub has no program for $arch: \"tacet update publish\" at the hub puts one there"
	say "program $version for $arch"
	fetch "/updates/$arch/program" "$tmp/tacet-device" || fail "the program could not be fetched from $hub; nothing was changed (a code that was used or has expired is refused: make another one)"
	[ "$(sha256sum <"$tmp/tacet-device" | cut -d ' ' -f 1)" = "$sum" ] || fail "the program is not what the hub said (SHA-256); nothing was changed, try again"
	[ -n "$key" ] || key=$(known_key)
	[ -z "$key" ] || signed
	chmod 0755 "$tmp/tacet-device"
	"$tmp/tacet-device" version >/dev/null || fail "the program does not run here; nothing was changed"
}

# signed looks whether the manifest is signed with the key (ed25519), and names
# the program.
signed() {
	command -v openssl >/dev/null || fail "it needs openssl to check the signature"
	fetch "/updates/$arch/manifest" "$tmp/manifest" && fetch "/updates/$arch/signature" "$tmp/signature" || fail "the signature could not be fetched from $hub; nothing was changed"
	{ # an ed25519 key of 32 bytes as X.509 has it (RFC 8410)
		printf '\060\052\060\005\006\003\053\145\160\003\041\000'
		printf '%s' "$key" | openssl base64 -d -A
	} >"$tmp/key.der"
	openssl pkeyutl -verify -pubin -keyform DER -inkey "$tmp/key.der" -rawin -in "$tmp/manifest" -sigfile "$tmp/signature" >/dev/null 2>&1 ||
		fail "the program is not signed with the key; nothing was changed"
	grep -q "\"sha256\": *\"$sum\"" "$tmp/manifest" || fail "the signature is of another program; nothing was changed, try again"
	grep -q "\"arch\": *\"$arch\"" "$tmp/manifest" || fail "the signature is of a program for another machine; nothing was changed"
}

account() {
	for group in audio gpio i2c; do
		getent group "$group" >/dev/null || groupadd --system "$group" || fail "the group $group could not be made"
	done
	getent group tacet >/dev/null || groupadd --system tacet || fail "the group tacet could not be made"
	getent passwd tacet >/dev/null ||
		useradd --system --gid tacet --home-dir "$state" --no-create-home --shell /usr/sbin/nologin --comment "Tacet device" tacet ||
		fail "the account tacet could not be made"
	install -d -m 0755 /etc/tacet
	install -d -m 0700 -o tacet -g tacet "$state"
}

# put FILE MODE: replaces a file by standard input, at once or not at all.
put() {
	install -d "$(dirname "$1")"
	cat >"$1.new"
	chmod "$2" "$1.new"
	mv -f "$1.new" "$1"
}

files() {
	put "$program" 0755 <"$tmp/tacet-device"
	unit_text | sed "s|/usr/bin/tacet-device|$program|" | put "$unit" 0644
	rules_text | put "$rules" 0644
	if [ -n "$ca" ]; then put /etc/tacet/ca.pem 0644 <"$ca"; fi
}

# enrol trades the code, and writes what the hub said into the configuration; the
# other keys of one that is there stay.
enrol() {
	set -- --hub "$hub" --code "$code" --file "$state/secret"
	[ -z "$ca" ] || set -- "$@" --ca-file /etc/tacet/ca.pem
	"$program" provision "$@" >"$tmp/device.yaml" ||
		fail "the code was not traded; all else is in its place: make another code at the hub, and run this again with it"
	chown tacet:tacet "$state/secret"
	if [ -n "$key" ]; then printf 'updates: {keys: ["%s"]}\n' "$key" >>"$tmp/device.yaml"; fi
	if [ -e "$config" ]; then
		cp -p "$config" "$config.old"
		awk -v told="device hub area username password_file ca_file${key:+ updates}" '
			BEGIN { n = split(told, t, " "); for (i = 1; i <= n; i++) gone[t[i]] = 1 }
			/^[^ \t#-]/ { key = $0; sub(/:.*/, "", key); skip = key in gone }
			/^(#|$)/ { skip = 0 }
			!skip { print }
		' "$config.old" >>"$tmp/device.yaml"
	fi
	put "$config" 0640 <"$tmp/device.yaml"
	chgrp tacet "$config"
}

start() {
	if [ ! -d /run/systemd/system ]; then
		say "systemd does not run here; start it by hand: $program run --config $config --data $state"
		return
	fi
	if command -v udevadm >/dev/null; then
		udevadm control --reload || true
		udevadm trigger --subsystem-match=gpio --subsystem-match=i2c-dev || true
	fi
	systemctl daemon-reload
	systemctl --quiet enable tacet-device.service || fail "the service could not be enabled"
	systemctl restart tacet-device.service || fail "the service does not start: journalctl -u tacet-device"
	say "it runs: systemctl status tacet-device"
}

main() {
	set -eu
	umask 022
	options "$@"
	machine
	tmp=$(mktemp -d) # for us alone
	trap 'rm -rf "$tmp"' EXIT
	trap 'exit 1' HUP INT TERM
	credential
	program_file
	account
	files
	if [ -n "$code" ]; then enrol; fi
	start
	say "done: $(grep '^device:' "$config") at $hub"
}

main "$@"
