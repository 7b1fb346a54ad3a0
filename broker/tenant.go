package broker

import (
	"strings"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/tacet-hub/tacet/broker/interest"
)

// Tenants live under mountpoints (BROKER.md §5). The client ids, wills and
// topics of tenant T are "@T/…" inside the broker; the prefix comes on in
// OnConnect and OnPacketRead, behind "$share/{group}/", and off in the way out.
// So a client cannot even name what is another tenant's. The default tenant has
// no prefix, and its wildcards would match the prefixes of others: its clients
// may neither read nor write what begins with "@", and the hub's own
// subscribers are not told of it. A response topic stays as its sender wrote
// it, since only its own tenant reads it.

// tenantOf is the mountpoint of a topic, or of a client id; empty for the
// default tenant.
func tenantOf(topic string) string {
	if topic == "" || topic[0] != '@' {
		return ""
	}
	if end := strings.IndexByte(topic, '/'); end > 0 {
		return topic[:end+1]
	}
	return ""
}

// foreign tells whether a topic is of another tenant than the default one, the
// only one that the hub's own subscribers see. In open mode there is but one.
func (b *Broker) foreign(topic string) bool {
	return topic != "" && topic[0] == '@' && b.guarded()
}

// mountFilters gives the filters of a SUBSCRIBE or UNSUBSCRIBE their places in
// the tenant. The library gives each packet a slice of its own.
func (l *link) mountFilters(filters packets.Subscriptions) {
	id := l.who.Load()
	if id == nil || id.mount == "" {
		return
	}
	for i := range filters {
		filters[i].Filter = mounted(id.mount, filters[i].Filter)
	}
}

func mounted(mount, filter string) string {
	if rest, shared := interest.CutShare(filter); shared {
		if group, inner, ok := strings.Cut(rest, "/"); ok {
			return filter[:len(filter)-len(rest)] + group + "/" + mount + inner
		}
	}
	return mount + filter
}

// bare is a topic or filter as the client knows it.
func (l *link) bare(filter string) string {
	id := l.who.Load()
	if id == nil || id.mount == "" {
		return filter
	}
	if rest, shared := interest.CutShare(filter); shared {
		if group, inner, ok := strings.Cut(rest, "/"); ok {
			return filter[:len(filter)-len(rest)] + group + "/" + strings.TrimPrefix(inner, id.mount)
		}
	}
	return strings.TrimPrefix(filter, id.mount)
}

// mounted tells whether the client is one of a tenant.
func (l *link) mounted() bool {
	id := l.who.Load()
	return id != nil && id.mount != ""
}

// unmount takes the mountpoint off the topic of a PUBLISH on its way out, and
// answers the packet and how long its header is.
func (l *link) unmount(f []byte, head int) ([]byte, int) {
	id := l.who.Load()
	if id == nil || id.mount == "" || len(f) < head+2 {
		return f, head
	}
	size, less := int(f[head])<<8+int(f[head+1]), len(id.mount)
	if len(f) < head+2+size || size <= less || string(f[head+2:head+2+less]) != id.mount {
		return f, head
	}
	putID(f, head+less, uint16(size-less)) // the length of the topic, two bytes as well
	f = setLength(f, head+less)
	head, _ = measure(f)
	return f, head
}
