package conf

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/tacet-hub/tacet/broker/area"
)

// brokers checks the outside brokers, and what is shown to Home Assistant.
func (k *check) brokers() {
	p := k.HomeAssistant.Prefix
	k.that(p != "" && len(p) <= 128 && area.ValidFilter(p) && !strings.ContainsAny(p, "+#$@"), "home_assistant.prefix", "%q cannot begin topics", p)
	e := k.MQTT.External
	if e.URL != "" {
		k.broker("mqtt.external", e.URL, e.Username, e.PasswordFile, e.TLS)
	} else {
		k.that(e == External{}, "mqtt.external.url", "an address is needed, such as mqtt://broker:1883")
	}
	names := map[string]bool{}
	for i, b := range k.MQTT.Bridges {
		key := "mqtt.bridges[" + strconv.Itoa(i) + "]"
		k.that(area.IsID(b.Name), key+".name", "%q is not 1 to 64 of A-Z a-z 0-9 _ -", b.Name)
		k.that(!names[b.Name], key+".name", "%q is the name of another bridge", b.Name)
		names[b.Name] = true
		k.broker(key, b.URL, b.Username, b.PasswordFile, b.TLS)
		k.that(len(b.ClientID) <= 128, key+".client_id", "more than 128 bytes")
		k.that(b.BufferBytes >= 64<<10, key+".buffer_bytes", "%d is not 65536 or more", b.BufferBytes)
		k.that(len(b.Topics) > 0 && len(b.Topics) <= 100, key+".topics", "%d topics, want 1 to 100", len(b.Topics))
		for j, t := range b.Topics {
			k.bridged(key+".topics["+strconv.Itoa(j)+"]", t)
		}
	}
}

// idle warns of listeners that an outside broker has taken the place of.
func (c *Config) idle() {
	if c.MQTT.External.URL == "" {
		return
	}
	for key, set := range map[string]bool{"mqtt.addr": c.Origins["mqtt.addr"] != "", "mqtt.tls": c.MQTT.TLS != MQTTTLS{}} {
		if set {
			c.Warnings = append(c.Warnings, c.Faultf(key, "no broker of the hub's own listens beside mqtt.external").String())
		}
	}
}

func (k *check) broker(key, address, user, passwordFile string, tls ClientTLS) {
	u, err := url.Parse(address)
	k.that(err == nil && (u.Scheme == "mqtt" || u.Scheme == "mqtts") && u.Hostname() != "" && u.User == nil && u.RawQuery == "" && (u.Path == "" || u.Path == "/"),
		key+".url", "%q is not a broker's address such as mqtt://broker:1883 or mqtts://broker:8883", address)
	secure := err == nil && u.Scheme == "mqtts"
	k.that(secure || tls == ClientTLS{}, key+".tls", "goes with mqtts:// alone")
	k.that((tls.CertFile == "") == (tls.KeyFile == ""), key+".tls", "cert_file and key_file go together")
	k.that(passwordFile == "" || user != "", key+".username", "a password needs a user name")
	k.file(key+".password_file", passwordFile)
}

func (k *check) bridged(key string, t BridgedTopic) {
	k.oneOf(key+".direction", t.Direction, "out", "in", "both")
	k.that(t.QoS >= 0 && t.QoS <= 2, key+".qos", "%d is not 0 to 2", t.QoS)
	for _, side := range []string{t.LocalPrefix, t.RemotePrefix} {
		filter := side + t.Filter
		k.that(area.ValidFilter(filter) && !strings.ContainsAny(side, "+#"), key+".filter", "%q is no topic filter, or its prefix has a wildcard", filter)
		k.that(!strings.HasPrefix(filter, "$") && !strings.HasPrefix(filter, "@"), key+".filter", "topics that begin with $ or @ are not carried")
	}
}
