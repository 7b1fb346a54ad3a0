package main

import (
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strings"
)

// caFile is the name on the boot partition of the authorities that the hub's
// certificate is of.
const caFile = "ca.pem"

// settings are what the command line says of the device.
type settings struct {
	device, area, location, name string
	hub, code                    string
	caPath                       string
	ca                           []byte // what is in caPath
	sim                          bool
	ntp                          string
	updateKey                    string
}

func (s *settings) flags(set *flag.FlagSet) {
	set.StringVar(&s.hub, "hub", "", "`URL` of the hub: http:// or https:// with a code, else mqtt://, mqtts://, ws:// or wss://")
	set.StringVar(&s.code, "code", "", "`CODE` of \"tacet device enrol\": the device trades it for its credential at its first start")
	set.StringVar(&s.device, "device", "", "`ID` of the device; with a code the hub tells it")
	set.StringVar(&s.area, "area", "", "`AREA` in which it can be heard; with a code the hub tells it")
	set.StringVar(&s.location, "location", "", "`LOCATION` at which it is mounted")
	set.StringVar(&s.name, "name", "", "`NAME` for people")
	set.StringVar(&s.caPath, "ca", "", "`FILE` of the authorities that the hub's certificate is of (PEM)")
	set.StringVar(&s.updateKey, "update-key", "", "public `KEY` of \"tacet update key\": the device takes programs from the hub that are signed with it")
	set.BoolVar(&s.sim, "sim", false, "the device simulates its hardware")
	set.StringVar(&s.ntp, "ntp", "pool.ntp.org", "`HOSTS` to ask for the time, with commas, besides those that the network tells")
}

var (
	idForm   = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	codeForm = regexp.MustCompile(`^[A-Za-z0-9-]{4,64}$`)
	keyForm  = regexp.MustCompile(`^[A-Za-z0-9+/]{43}=$`)
	hostForm = regexp.MustCompile(`^[A-Za-z0-9._:-]+(,[A-Za-z0-9._:-]+)*$`)
)

// check reads the file of authorities, and tells everything that is wrong.
func (s *settings) check() error {
	var faults []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	schemes := []string{"mqtt", "mqtts", "ws", "wss"}
	if s.code != "" {
		schemes = []string{"http", "https"}
	}
	if s.hub != "" {
		at, err := url.Parse(s.hub)
		ok := err == nil && at.Host != "" && strings.Contains(" "+strings.Join(schemes, " ")+" ", " "+at.Scheme+" ")
		fault(!ok, "--hub %q: want an address that begins with %s://", s.hub, strings.Join(schemes, "://, "))
	}
	fault(s.code != "" && s.hub == "", "--code needs --hub, where it is traded")
	fault(s.code != "" && !codeForm.MatchString(s.code), "--code is not letters, digits and hyphens")
	fault(s.device != "" && !idForm.MatchString(s.device), "--device %q is not 1 to 64 of A-Z a-z 0-9 _ -", s.device)
	for flag, text := range map[string]string{"area": s.area, "location": s.location, "name": s.name} {
		fault(len(text) > 128 || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }), "--%s is longer than 128 bytes, or not one line", flag)
	}
	fault(s.updateKey != "" && !keyForm.MatchString(s.updateKey), "--update-key is not 32 bytes in base64")
	fault(s.ntp != "" && !hostForm.MatchString(s.ntp), "--ntp %q is no list of hosts", s.ntp)
	if s.caPath != "" {
		b, err := os.ReadFile(s.caPath)
		fault(err != nil, "--ca: %v", err)
		fault(err == nil && !strings.Contains(string(b), "-----BEGIN CERTIFICATE-----"), "--ca %s has no certificate", s.caPath)
		s.ca = b
	}
	return errors.Join(faults...)
}

// cmdline is the kernel's command line.
func (s settings) cmdline() string {
	line := cmdlineTxt
	if s.ntp != "" {
		line += " tacet.ntp=" + s.ntp
	}
	if s.sim {
		line += " tacet.sim"
	}
	return line
}

// yaml is the file that a person edits: what was said, and beside it what else
// could be.
func (s settings) yaml() string {
	var b strings.Builder
	b.WriteString(`# This device: edit it on any PC, then start the Pi with the card.
# Every key of device.yaml may stand here; a key that is not known is refused,
# with the number of its line on the screen and by the status light.

`)
	line := func(key, value, example, comment string) {
		mark := ""
		if value == "" {
			mark, value = "#", example
		}
		if text := fmt.Sprintf("%s%s: %s", mark, key, value); comment == "" {
			b.WriteString(text + "\n")
		} else {
			fmt.Fprintf(&b, "%-45s # %s\n", text, comment)
		}
	}
	quoted := func(text string) string {
		if text == "" {
			return ""
		}
		return fmt.Sprintf("%q", text)
	}
	if s.code != "" || s.hub == "" {
		line("enrol_hub", quoted(s.hub), `"http://hub.local:8080"`, "where the code is traded")
		line("enrol_code", quoted(s.code), `"XXXX-XXXX"`, "of: tacet device enrol gate-1 --area north; good once")
	}
	hub := ""
	if s.code == "" && s.hub != "" {
		hub = fmt.Sprintf("[%q]", s.hub)
	}
	line("device", quoted(s.device), `"gate-1"`, "with a code the hub tells it")
	line("hub", hub, `["mqtt://hub.local:1883"]`, "with a code the hub tells it")
	line("area", quoted(s.area), `"north"`, "with a code the hub tells it")
	line("location", quoted(s.location), `"1"`, "")
	line("name", quoted(s.name), `"Gate 1"`, "")
	if s.ca != nil {
		line("ca_file", quoted("/boot/"+caFile), "", "")
	}
	keys := ""
	if s.updateKey != "" {
		keys = fmt.Sprintf("{keys: [%q]}", s.updateKey)
	}
	line("updates", keys, `{keys: ["…"]}`, "of: tacet update key")
	b.WriteString("\n#audio: {output: auto, volume: 70}\n#gpio: {amp_enable: GPIO22, busy_lamp: GPIO17, status_led: GPIO27, mute_button: GPIO5}\n")
	return b.String()
}
