package conf

import (
	"errors"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tacet-hub/tacet/bridge/mapping"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/cmd/internal/settings"
	"github.com/tacet-hub/tacet/scheduler"
)

// The range of a lease (DESIGN.md §3.1).
const (
	minLease = time.Second
	maxLease = 10 * time.Minute
)

// maxText bounds the names that people read.
const maxText = 128

// check gathers faults of a configuration.
type check struct {
	*Config
	faults settings.Faults
}

// Validate tells everything that is wrong with the configuration, as [Faults].
func (c *Config) Validate() error {
	k := &check{Config: c}
	k.faults = append(k.faults, c.unsupported()...)
	k.process()
	known, err := c.Identity()
	k.faults.Add(err)
	k.listeners(known.Empty())
	k.numbers()
	k.limits()
	k.brokers()
	k.areas()
	k.ledgerLoss()
	for i, m := range c.Mappings {
		k.mapping("mappings["+strconv.Itoa(i)+"]", m)
	}
	k.redis()
	k.schedules()
	k.oneOf("speech.engine", c.Speech.Engine, "auto", "piper", "espeak-ng", "tone")
	k.that(c.Speech.Engine != "piper" || c.Speech.Models != "", "speech.models", "piper needs a directory of voices")
	return k.faults.Err()
}

func (k *check) that(ok bool, key, format string, args ...any) {
	if !ok {
		k.faults = append(k.faults, k.Faultf(key, format, args...))
	}
}

func (k *check) oneOf(key, is string, known ...string) {
	k.that(slices.Contains(known, is), key, "%q is none of %s", is, strings.Join(known, ", "))
}

func (k *check) process() {
	k.that(area.IsID(k.Node), "node", "%q is not 1 to 64 of A-Z a-z 0-9 _ -", k.Node)
	k.that(k.Data != "", "data", "a directory is needed")
	for _, v := range []struct {
		name, is string
		known    []string
	}{{"log-format", k.LogFormat, []string{"text", "json"}}, {"log-level", k.LogLevel, []string{"debug", "info", "warn", "error"}}} {
		if !slices.Contains(v.known, v.is) {
			k.faults = append(k.faults, settings.Fault{Where: "--" + v.name, Text: strconv.Quote(v.is) + " is none of " + strings.Join(v.known, ", ")})
		}
	}
}

// listeners checks the addresses. Where nobody has to sign in they are
// loopback's unless the operator says that he knows. On the admin listener
// nobody ever has to.
func (k *check) listeners(open bool) {
	type listener struct {
		key, addr string
		open      bool
	}
	all := []listener{{"http.addr", k.HTTP.Addr, open}, {"http.admin_addr", k.HTTP.AdminAddr, true}, {"mqtt.addr", k.MQTT.Addr, open}}
	if k.MQTT.TLS.Addr != "" {
		all = append(all, listener{"mqtt.tls.addr", k.MQTT.TLS.Addr, open})
	}
	k.tls()
	for _, l := range all {
		port := portOf(l.addr)
		if port < 0 || port > 65535 {
			k.that(false, l.key, "%q is not host:port", l.addr)
			continue
		}
		k.that(!l.open || k.Insecure || Loopback(l.addr), l.key, "%s is not loopback; with nobody to sign in that needs --insecure", l.addr)
	}
	for i, o := range k.HTTP.AllowedOrigins {
		u, err := url.Parse(o)
		k.that(err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https") && u.Path == "" && u.RawQuery == "" && u.User == nil,
			"http.allowed_origins["+strconv.Itoa(i)+"]", "%q is not an origin such as https://example.org", o)
	}
}

// tls checks that a listener has all of its certificate, or none of it.
func (k *check) tls() {
	web, mqtt := k.HTTP.TLS, k.MQTT.TLS
	k.that((web.CertFile == "") == (web.KeyFile == ""), "http.tls", "cert_file and key_file go together")
	whole := mqtt.Addr != "" && mqtt.CertFile != "" && mqtt.KeyFile != ""
	k.that(whole || mqtt == MQTTTLS{}, "mqtt.tls", "addr, cert_file and key_file go together")
}

// Loopback tells whether the host of host:port can be reached from this machine
// alone: localhost or a loopback address. No host at all is every address.
func Loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (k *check) numbers() {
	for _, d := range []struct {
		key string
		d   time.Duration
	}{
		{"redis.heartbeat", k.Redis.Heartbeat}, {"redis.node_timeout", k.Redis.NodeTimeout},
		{"hub.keepalive", k.Hub.Keepalive}, {"hub.client_timeout", k.Hub.ClientTimeout}, {"hub.handshake_timeout", k.Hub.HandshakeTimeout},
	} {
		k.that(d.d > 0, d.key, "%s is not more than 0", d.d)
	}
	k.that(k.Hub.PublicURL == "" || isBase(k.Hub.PublicURL), "hub.public_url", "%q is not http:// or https:// with a host alone", k.Hub.PublicURL)
	k.that(k.Hub.ClientTimeout > k.Hub.Keepalive, "hub.client_timeout", "%s is not more than hub.keepalive (%s)", k.Hub.ClientTimeout, k.Hub.Keepalive)
}

// areas checks each area, and that no two share an id, a name or a location.
func (k *check) areas() {
	ids, names, locations := map[string]string{}, map[string]string{}, map[string]string{}
	for i, a := range k.Areas {
		key := "areas[" + strconv.Itoa(i) + "]"
		k.area(key, a)
		k.once(ids, "area", string(a.ID), key+".id")
		k.once(names, "area name", a.Name, key+".name")
		for j, l := range a.Locations {
			path := key + ".locations[" + strconv.Itoa(j) + "]"
			k.location(path, l)
			k.once(locations, "location", string(l.ID), path+".id")
		}
	}
}

func (k *check) area(key string, a Area) {
	_, err := area.ParseName(string(a.ID))
	k.that(err == nil, key+".id", "%q is not 1 to 64 of A-Z a-z 0-9 _ -", a.ID)
	k.that(a.ID != area.Unassigned, key+".id", "%s is reserved", area.Unassigned)
	k.that(len(a.Name) <= maxText, key+".name", "longer than %d bytes", maxText)
	k.oneOf(key+".mode", a.Mode, "available", "strict")
	k.oneOf(key+".topology", a.Topology, "auto", "direct", "local")
	k.oneOf(key+".policy", a.Policy, "stop", "finish")
	k.that(a.Lease >= minLease && a.Lease <= maxLease, key+".lease", "%s is not %s to %s", a.Lease, area.Duration(minLease), area.Duration(maxLease))
	k.that(a.ClassicHold >= time.Second, key+".classic_hold", "%s is not 1s or more", a.ClassicHold)
	k.that(a.DumbHold >= time.Second, key+".dumb_hold", "%s is not 1s or more", a.DumbHold)
	k.that(a.EmergencyBarge == 0 || a.EmergencyBarge >= 500*time.Millisecond, key+".emergency_barge", "%s is not 0, or 500ms or more", a.EmergencyBarge)
	k.that(a.Volume >= 0 && a.Volume <= 100, key+".volume", "%d is not 0 to 100", a.Volume)
	for i, span := range a.QuietHours {
		from, to, _ := strings.Cut(span, "-")
		k.that(isClock(from) && isClock(to) && from != to, key+".quiet_hours["+strconv.Itoa(i)+"]", "%q is not two times of day such as 23:00-05:30", span)
	}
}

func (k *check) location(key string, l Location) {
	_, err := area.ParseLocationID(string(l.ID))
	k.that(err == nil, key+".id", "%q is not 1 to 64 of A-Z a-z 0-9 _ -", l.ID)
	k.that(len(l.Name) <= maxText, key+".name", "longer than %d bytes", maxText)
}

// once refuses a value that was seen before, and names both places.
func (k *check) once(seen map[string]string, what, value, key string) {
	first, twice := seen[value]
	if !twice {
		seen[value] = key
		return
	}
	if value != "" {
		k.that(false, key, "%s %q is also at %s (%s)", what, value, first, k.Of(first))
	}
}

// isClock tells whether s is a time of day as 00:00 to 23:59.
func isClock(s string) bool {
	_, err := time.Parse("15:04", s)
	return err == nil && len(s) == len("15:04")
}

func (k *check) mapping(key string, m Mapping) {
	k.that(m.Format == "" || m.Group == "" && m.Event == "", key, "a mapping makes readings (format, device, fields) or events (group, event), not both")
	err := mapping.Check(m.Rule())
	if err == nil {
		return
	}
	for line := range strings.Lines(err.Error()) {
		k.that(false, key+mappingKey(line), "%s", strings.TrimSpace(line))
	}
}

// mappingKey is the key that a fault of a mapping begins with; what it is about
// otherwise is the mapping as a whole.
func mappingKey(fault string) string {
	first, _, _ := strings.Cut(fault, " ")
	switch first = strings.TrimSuffix(first, ":"); first {
	case "topic", "topics":
		return ".topic"
	case "field", "fields":
		return ".fields"
	case "device", "area", "metric", "group", "event", "format":
		return "." + first
	}
	return ""
}

func (k *check) schedules() {
	ids := map[string]string{}
	for i, s := range k.Schedules {
		key := "schedules[" + strconv.Itoa(i) + "]"
		k.once(ids, "schedule", s.ID, key+".id")
		if wrong, ok := errors.AsType[*area.Error](scheduler.Validate(s.Words())); ok {
			for _, f := range wrong.Fields {
				k.that(false, key+"."+f.Field, "%s", f.Message)
			}
		}
	}
}
