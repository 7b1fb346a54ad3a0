package broker

import (
	"context"
	"strings"
	"sync/atomic"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
)

// What happens when rights are withdrawn while somebody relies on them: live
// connections end, sessions lose what their owner may not have any more when it
// comes back, wills are asked about once more, and retained messages
// are kept back whose publisher could not publish them now.

// rights waits for revocations. Each makes the broker look at everybody, so
// there is no list of them to bound.
type rights struct {
	wake   chan struct{} // holds one: it is going to look anyway
	cancel func()
}

func (b *Broker) watchRights() {
	b.rights = rights{wake: make(chan struct{}, 1), cancel: func() {}}
	if b.cfg.Auth != nil {
		b.rights.cancel = b.cfg.Auth.Watch(func(auth.Revoked) {
			select {
			case b.rights.wake <- struct{}{}:
			default:
			}
		})
	}
}

// keepRights acts on revocations until ctx ends.
func (b *Broker) keepRights(ctx context.Context) {
	defer b.rights.cancel()
	b.unshareAbsent()
	for {
		select {
		case <-ctx.Done():
			return
		case <-b.rights.wake:
			b.hangUpRevoked()
			b.unshareAbsent()
		}
	}
}

// hangUpRevoked closes the connections whose principals are not what they were.
func (b *Broker) hangUpRevoked() {
	b.mu.Lock()
	links := make([]*link, 0, len(b.links))
	for l := range b.links {
		links = append(links, l)
	}
	b.mu.Unlock()
	for _, l := range links {
		if id := l.who.Load(); id == nil {
			b.hangUpStranger(l)
		} else if b.cfg.Auth.Stands(id.principal) != nil {
			b.hangUp(l)
		}
	}
}

// hangUpStranger closes a connection that came while the hub was open, and that
// is past its CONNECT, if the hub is open no more.
func (b *Broker) hangUpStranger(l *link) {
	if l.who.Load() == nil && l.client.Load() != nil && b.guarded() {
		b.hangUp(l)
	}
}

func (b *Broker) hangUp(l *link) {
	b.count.withdrawn.Add(1)
	b.log.Info("client disconnected, its rights were withdrawn", "device", l.principal(), "conn", l.addr)
	b.cut(l, Closed, packets.Code{Code: packets.ErrAdministrativeAction.Code, Reason: "your rights were withdrawn or have changed"})
}

// prune takes from the session that l is about to take over what its principal
// may not have any more: subscriptions, and messages that wait.
func (b *Broker) prune(l *link) {
	id := l.who.Load()
	cl, ok := b.server.Clients.Get(l.id)
	if id == nil || !ok {
		return
	}
	for filter := range cl.State.Subscriptions.GetAll() {
		if id.maySubscribe(filter) {
			continue
		}
		b.warn("subscription of a session withdrawn", "device", l.id, "topic", filter)
		b.unsubscribe(cl, filter)
	}
	for _, pk := range cl.State.Inflight.GetAll(false) {
		if pk.FixedHeader.Type == packets.Publish && !id.mayRead(pk.TopicName) && cl.State.Inflight.Delete(pk.PacketID) {
			b.kept.through(cl, pk.PacketID)
			atomic.AddInt64(&b.server.Info.Inflight, -1)
			b.count.withdrawnMessages.Add(1)
		}
	}
}

// unshareAbsent takes absent clients that have lost the right to it out of their
// share groups: a message of the group must not go to a session that nobody may
// come back to. Their other subscriptions cost nobody else anything, and wait
// for prune, in case the rights come back first.
func (b *Broker) unshareAbsent() {
	if !b.guarded() {
		return
	}
	for id, cl := range b.server.Clients.GetAll() {
		if b.sessions.get(id) == nil {
			b.unshare(cl)
		}
	}
}

func (b *Broker) unshare(cl *mqtt.Client) {
	for filter := range cl.State.Subscriptions.GetAll() {
		if mqtt.IsSharedFilter(filter) && !b.mayShare(cl.ID, filter) {
			b.warn("subscription of a session withdrawn", "device", cl.ID, "topic", filter)
			b.unsubscribe(cl, filter)
		}
	}
}

func (b *Broker) mayShare(client, filter string) bool {
	mount := tenantOf(client)
	access, known := b.cfg.Auth.AccessOf(strings.Trim(mount, "@/"), auth.OwnerOf(client[len(mount):]))
	if !known {
		return b.cfg.Auth.HasIssuers() // it may be the subject of a JWT
	}
	id := identity{access: access, mount: mount}
	return id.maySubscribe(filter)
}

// unsubscribe does to one filter of a client what its UNSUBSCRIBE would do.
func (b *Broker) unsubscribe(cl *mqtt.Client, filter string) {
	if b.server.Topics.Unsubscribe(filter, cl.ID) {
		atomic.AddInt64(&b.server.Info.Subscriptions, -1)
	}
	cl.State.Subscriptions.Delete(filter)
	b.audience.changed()
	b.unsubscribedHere(cl.ID, filter)
	b.kept.unsubscribed(cl, packets.Subscriptions{{Filter: filter}})
}

// mayWill tells whether a will may be published now. That the proof of its
// client has expired does not matter: it was good when the client spoke last.
func (b *Broker) mayWill(id *identity, topic string) bool {
	if id == nil {
		return !b.guarded()
	}
	p := id.principal
	p.Expires = time.Time{}
	return b.cfg.Auth.Stands(p) == nil && id.mayPublish(topic)
}

// mayServe tells whether a retained message may still be given to anybody: not
// where its publisher could not publish it now, since its principal is gone or
// has other rules (CVE-2018-12546 was that Mosquitto served those). Messages of
// the hub, and of subjects of JWTs, whom only their issuer knows, are served.
func (b *Broker) mayServe(pk packets.Packet) bool {
	if !b.guarded() || area.ReservedClient(pk.Origin) {
		return true
	}
	mount := tenantOf(pk.Origin)
	bare, ok := strings.CutPrefix(pk.TopicName, mount)
	if !ok {
		return false
	}
	access, known := b.cfg.Auth.AccessOf(strings.Trim(mount, "@/"), auth.OwnerOf(pk.Origin[len(mount):]))
	if !known {
		return b.cfg.Auth.HasIssuers()
	}
	return access.MayPublish(bare)
}
