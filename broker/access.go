package broker

import (
	"context"
	"crypto/x509"
	"strings"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
	"github.com/tacet-hub/tacet/broker/interest"
)

// identity is who is at the other end of a connection, and what it may do. It
// does not change: where the rights of its principal do, the connection ends.
type identity struct {
	principal auth.Principal
	access    *auth.Access
	mount     string // of its tenant: see tenant.go
}

// maxUserName is how much of a user name goes with the messages of its client.
const maxUserName = 128

// guarded tells whether clients have to show who they are.
func (b *Broker) guarded() bool { return b.cfg.Auth != nil && !b.cfg.Auth.Open() }

// recognize finds out who says CONNECT, and gives the client id and the will
// their places in its tenant. It may wait for a password to be hashed, or the
// keys of an issuer to be fetched.
func (b *Broker) recognize(cl *mqtt.Client, l *link, pk *packets.Packet) (packets.Code, error) {
	l.tag[0].Filter = string(pk.Connect.Username[:min(len(pk.Connect.Username), maxUserName)])
	if !b.guarded() {
		return packets.CodeSuccess, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), b.cfg.ConnectTimeout)
	defer cancel()
	p, err := b.principal(ctx, l, pk.Connect)
	if err != nil {
		b.count.refusedLogins.Add(1)
		return loginCode(err), err
	}
	if code := b.claimID(cl, p, pk); code != packets.CodeSuccess {
		return code, code
	}
	p.Claims = nil // of no use here
	id := &identity{principal: p, access: p.Access(), mount: auth.Mountpoint(p.Tenant)}
	if c := &pk.Connect; c.WillFlag {
		if !id.access.MayPublish(c.WillTopic) {
			return packets.ErrNotAuthorized, area.Errorf(area.CodeForbidden, "the will is on a topic that %s may not publish on", p.Name)
		}
		c.WillTopic = id.mount + c.WillTopic
	}
	cl.ID = id.mount + cl.ID
	l.who.Store(id)
	if err := b.cfg.Auth.Stands(p); err != nil { // withdrawn before the connection could be found by its identity
		return packets.ErrNotAuthorized, err
	}
	b.endWith(l, p.Expires)
	return packets.CodeSuccess, nil
}

// principal checks what a client shows: a certificate that names a device, else
// a token in the place of the password, else name and password.
func (b *Broker) principal(ctx context.Context, l *link, c packets.ConnectParams) (auth.Principal, error) {
	name, password := string(c.Username), string(c.Password)
	if leaf := l.certificate(); leaf != nil {
		p, err := b.cfg.Auth.Certificate(leaf)
		if err == nil {
			return p, sameName(name, p)
		}
		if password == "" {
			return p, err
		}
	}
	if auth.LooksLikeBearer(password) {
		p, err := b.cfg.Auth.Bearer(ctx, l.host, password)
		if err != nil {
			return p, err
		}
		return p, sameName(name, p)
	}
	if name == "" && password == "" {
		return auth.Principal{}, area.Errorf(area.CodeUnauthorized, "sign in: neither a name nor a proof was given")
	}
	return b.cfg.Auth.Password(ctx, l.host, name, password)
}

// certificate is the peer's, nil where it showed none.
func (l *link) certificate() *x509.Certificate {
	if l.tls == nil || len(l.tls.VerifiedChains) == 0 {
		return nil
	}
	return l.tls.VerifiedChains[0][0]
}

// sameName checks a user name that was given beside a proof that names another.
func sameName(given string, p auth.Principal) error {
	if given != "" && given != p.Name {
		return area.Errorf(area.CodeUnauthorized, "the user name is not the one that the proof is of")
	}
	return nil
}

// loginCode is the reason for a failed sign-in.
func loginCode(err error) packets.Code {
	switch area.CodeOf(err) {
	case area.CodeUnauthorized:
		return packets.ErrBadUsernameOrPassword
	case area.CodeRate:
		return packets.ErrConnectionRateExceeded
	}
	return packets.ErrServerBusy
}

// claimID checks that the client id is the principal's, and makes one where the
// client leaves that to the broker (row 8: whoever takes a client id over gets
// its session).
func (b *Broker) claimID(cl *mqtt.Client, p auth.Principal, pk *packets.Packet) packets.Code {
	if pk.Connect.ClientIdentifier == "" {
		cl.ID = p.Name + ":" + cl.ID // the library has made one up
		if cl.Properties.ProtocolVersion == 5 {
			cl.Properties.Props.AssignedClientID = cl.ID
		}
	}
	if !p.Owns(cl.ID) || cl.ID[0] == '@' || cl.ID[0] == '$' {
		return packets.ErrClientIdentifierNotValid
	}
	return packets.CodeSuccess
}

// endWith ends the connection when the proof of its principal runs out.
func (b *Broker) endWith(l *link, expires time.Time) {
	if expires.IsZero() {
		return
	}
	b.work.Add(1)
	l.expiry = time.AfterFunc(time.Until(expires), func() {
		defer b.work.Done()
		b.count.withdrawn.Add(1)
		b.log.Info("client disconnected, its proof has expired", "device", l.principal(), "conn", l.addr)
		b.cut(l, Closed, packets.Code{Code: packets.ErrNotAuthorized.Code, Reason: "the proof of who you are has expired"})
	})
}

// unexpire calls off what endWith has set.
func (l *link) unexpire() {
	if l.expiry != nil && l.expiry.Stop() {
		l.b.work.Done()
	}
}

// principal is the name of who is at the other end; empty in open mode.
func (l *link) principal() string {
	if id := l.who.Load(); id != nil {
		return id.principal.Name
	}
	return ""
}

// Principal answers who publishes under a client id over a connection of that
// number, as [area.Message] names them; false in open mode, and where the
// connection has ended. It does not block.
func (b *Broker) Principal(client string, conn uint64) (auth.Principal, bool) {
	l := b.sessions.get(client)
	if l == nil || l.num != conn {
		return auth.Principal{}, false
	}
	id := l.who.Load()
	if id == nil {
		return auth.Principal{}, false
	}
	return id.principal, true
}

// OnConnectAuthenticate lets in whom OnConnect has not refused.
func (h *hook) OnConnectAuthenticate(*mqtt.Client, packets.Packet) bool { return true }

// OnACLCheck decides about filters at SUBSCRIBE, and about topics at each
// delivery: the library does not say which (row 12). What may be published is
// decided in OnPacketRead, which can answer in the client's own protocol.
func (h *hook) OnACLCheck(cl *mqtt.Client, topic string, write bool) bool {
	if !write && area.Secret(topic) && auth.OwnerOf(cl.ID) != string(area.ParseTopic(topic).Device) { // also in open mode
		return false
	}
	l := linkOf(cl)
	if l == nil { // a session whose client has not been here since the start
		return !h.b.guarded() || tenantOf(cl.ID) == tenantOf(topic)
	}
	id := l.who.Load()
	switch {
	case id == nil:
		return true
	case write:
		return id.mayPublish(topic) // again: nothing that OnPacketRead has not seen gets past here
	}
	if strings.IndexByte(topic, '#') < 0 && strings.IndexByte(topic, '+') < 0 && topic[0] != '$' {
		return id.mayRead(topic)
	}
	if id.maySubscribe(topic) {
		return true
	}
	h.b.count.refusedFilters.Add(1)
	h.b.refuse(RefusedFilter, whyRights, cl.ID, "")
	h.b.warn("subscription refused", "device", cl.ID, "topic", topic, "err", packets.ErrNotAuthorized)
	return false
}

// mayPublish takes a topic with its mountpoint.
func (id *identity) mayPublish(topic string) bool {
	bare, ok := strings.CutPrefix(topic, id.mount)
	return ok && id.access.MayPublish(bare)
}

// mayRead takes a topic with its mountpoint.
func (id *identity) mayRead(topic string) bool {
	bare, ok := strings.CutPrefix(topic, id.mount)
	return ok && id.access.MayRead(bare)
}

// maySubscribe takes a filter with its mountpoint, a shared one too.
func (id *identity) maySubscribe(filter string) bool {
	if rest, shared := interest.CutShare(filter); shared {
		_, filter, _ = strings.Cut(rest, "/")
	}
	bare, ok := strings.CutPrefix(filter, id.mount)
	return ok && id.access.MaySubscribe(bare)
}

// mayPublish refuses a publication that its client has no right to, with an
// answer, and gives the others their place in the tenant.
func (h *hook) mayPublish(cl *mqtt.Client, l *link, pk *packets.Packet) bool {
	id := l.who.Load()
	if id == nil {
		return true
	}
	if !id.access.MayPublish(pk.TopicName) {
		h.b.count.refused.Add(1)
		h.b.refuse(RefusedMessage, whyRights, cl.ID, "")
		h.b.warn("publication refused", "device", cl.ID, "topic", pk.TopicName, "err", packets.ErrNotAuthorized)
		h.b.answer(cl, *pk, packets.ErrNotAuthorized)
		return false
	}
	pk.TopicName = id.mount + pk.TopicName
	return true
}
