package conf

import (
	"net/url"
	"strings"
	"time"

	"github.com/tacet-hub/tacet/bridge/redis"
)

// shortestBeat is the least between two signs of life of a node.
const shortestBeat = 100 * time.Millisecond

// leastProof is the least of what the server has of a node's record of an area: a file.
const leastProof = 256 << 10

// isBase tells whether text is the address of a web listener: no path, no query.
func isBase(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil && strings.Trim(u.Path, "/") == "" && u.RawQuery == "" && u.Fragment == ""
}

// redis checks what joins several nodes, and that nothing is configured which
// several nodes have not.
func (k *check) redis() {
	r := k.Redis
	if r.URL == "" {
		return
	}
	if err := redis.CheckURL(r.URL); err != nil {
		k.that(false, "redis.url", "%s", err)
	}
	k.that(!strings.ContainsAny(r.Prefix, "{} \r\n") && len(r.Prefix) <= 64, "redis.prefix", "%q has braces or blanks, or more than 64 bytes", r.Prefix)
	k.that(r.Heartbeat >= shortestBeat && r.NodeTimeout >= 2*r.Heartbeat, "redis.heartbeat", "%s is not at least %s and at most half of redis.node_timeout (%s)", r.Heartbeat, shortestBeat, r.NodeTimeout)
	k.that(r.ProofBytes >= leastProof, "redis.proof_bytes", "%d is not %d or more", r.ProofBytes, leastProof)
	k.that(r.Advertise == "" || isBase(r.Advertise), "redis.advertise", "%q is not http:// or https:// with a host alone", r.Advertise)
	k.that(k.MQTT.External.URL == "" || len(k.MQTT.Bridges) == 0, "mqtt.bridges", "bridges do not go with both mqtt.external.url and redis.url: each node would carry what all of them hear; the outside broker's own bridges do")
}
