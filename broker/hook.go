package broker

import (
	"math"
	"strings"
	"sync/atomic"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/tacet-hub/tacet/broker/area"
)

// maxClientID bounds client ids, which become keys of many tables.
const maxClientID = 256

// hook is what the library calls. It holds no state of its own.
type hook struct {
	mqtt.HookBase
	b *Broker
}

// ID names the hook in the library's log.
func (h *hook) ID() string { return "tacet" }

// Provides lists the calls that hook wants. The library asks once per packet
// and call, so the list is short: no OnPacketEncode, no OnPacketSent.
func (h *hook) Provides(event byte) bool {
	switch event {
	case mqtt.OnQosDropped:
		return !h.b.kept.off()
	case mqtt.OnConnect, mqtt.OnConnectAuthenticate, mqtt.OnACLCheck,
		mqtt.OnSessionEstablish, mqtt.OnSessionEstablished, mqtt.OnDisconnect, mqtt.OnClientExpired,
		mqtt.OnPacketRead, mqtt.OnPacketProcessed,
		mqtt.OnSubscribe, mqtt.OnSubscribed, mqtt.OnUnsubscribe, mqtt.OnUnsubscribed,
		mqtt.OnPublish, mqtt.OnQosPublish, mqtt.OnPublishDropped, mqtt.OnPacketIDExhausted:
		return true
	}
	return false
}

// OnConnect checks a CONNECT that the library has found well formed. An error
// closes the connection.
func (h *hook) OnConnect(cl *mqtt.Client, pk packets.Packet) error {
	l := linkOf(cl)
	l.alive = h.b.keepAlive(cl)
	why, code, err := h.admits(cl, l, &pk)
	l.id = cl.ID
	if why != noReason {
		return h.b.refuseConnect(cl, l, why, code, err)
	}
	l.will = takeWill(cl, l, pk)
	l.window.most = receiveMaximum(pk)
	l.takeMaximum(cl)
	l.takeProblems(cl)
	cl.Properties.Props.TopicAliasMaximum = 0 // row 15: aliases of dropped messages are never explained
	cl.Properties.Props.ReceiveMaximum = 0    // row 17: the library's window stalls for ever; ours is window.go
	cl.State.Inflight.ResetSendQuota(0)
	return nil
}

// receiveMaximum is how many messages a client takes before it has
// acknowledged the first.
func receiveMaximum(connect packets.Packet) int {
	if n := connect.Properties.ReceiveMaximum; connect.ProtocolVersion == 5 && n > 0 {
		return int(n)
	}
	return math.MaxUint16
}

// admits says why a client may not connect, what it is answered, and what the
// log says.
func (h *hook) admits(cl *mqtt.Client, l *link, pk *packets.Packet) (reason, packets.Code, error) {
	if why, code := h.refusal(cl, *pk); why != noReason {
		return why, code, code
	}
	if code, err := h.b.recognize(cl, l, pk); code != packets.CodeSuccess {
		return whyLogin(code), code, err
	}
	why, code := h.b.seats.take(l, cl.ID)
	return why, code, code
}

// refusal says why nobody at all may connect so.
func (h *hook) refusal(cl *mqtt.Client, pk packets.Packet) (reason, packets.Code) {
	if code := brokenRules(cl, pk); code != packets.CodeSuccess {
		return whyMalformed, code
	}
	switch {
	case len(cl.ID) > maxClientID:
		return whyClientID, packets.ErrClientIdentifierTooLong
	case area.ReservedClient(cl.ID):
		return whyClientID, packets.ErrClientIdentifierNotValid
	case pk.Connect.WillFlag && !h.b.validTopic(pk.Connect.WillTopic):
		return whyWill, packets.ErrTopicNameInvalid
	case pk.Connect.WillFlag && reservedTopic(pk.Connect.WillTopic):
		return whyWill, packets.ErrNotAuthorized
	}
	return noReason, packets.CodeSuccess
}

// refuseConnect answers a CONNECT with no, counts it and tells of it; by itself
// the library would only close (row 33).
func (b *Broker) refuseConnect(cl *mqtt.Client, l *link, why reason, code packets.Code, err error) error {
	l.refused = true
	b.count.refusedConnects.Add(1)
	b.refuse(RefusedConnect, why, l.id, l.addr)
	b.warn("connection refused", "device", l.id, "conn", l.addr, "rule", why.String(), "err", err)
	answer := code
	if cl.Properties.ProtocolVersion < 5 {
		answer = connack3(code)
	}
	_ = b.server.SendConnack(cl, answer, false, nil) // fails where the connection is gone
	return code
}

// connack3 is the return code of 3.1.1, which has but five, for a reason.
func connack3(code packets.Code) packets.Code {
	switch code.Code {
	case packets.ErrClientIdentifierNotValid.Code:
		return packets.Err3ClientIdentifierNotValid
	case packets.ErrBadUsernameOrPassword.Code:
		return packets.ErrMalformedUsernameOrPassword // 4, bad user name or password
	case packets.ErrServerBusy.Code, packets.ErrQuotaExceeded.Code:
		return packets.Err3ServerUnavailable
	}
	return packets.Err3NotAuthorized
}

// OnSessionEstablish waits for the connection that had the client id before.
func (h *hook) OnSessionEstablish(cl *mqtt.Client, pk packets.Packet) {
	l := linkOf(cl)
	h.b.half.remove(l)
	h.b.backlogs.by.Delete(l.id)
	l.client.Store(cl)
	h.b.hangUpStranger(l)
	h.b.takeOver(l)
	h.b.fetch(l, pk.Connect.Clean)
	h.b.prune(l)
	h.b.kept.established(cl, l, pk.Connect.Clean)
	h.b.wills.back(l.id, !pk.Connect.Clean)
	if !pk.Connect.Clean {
		h.b.adopt(l)
	}
}

// OnSessionEstablished tells that the client is there.
func (h *hook) OnSessionEstablished(cl *mqtt.Client, _ packets.Packet) {
	l := linkOf(cl)
	if l.inherits {
		atomic.AddInt64(&h.b.server.Info.Inflight, int64(l.queued)) // the library took them off
		l.gather(cl)
		l.replay(cl)
	}
	l.up = true
	h.b.here(cl, l, true)
	h.b.tell(ConnEvent{Client: l.id, Conn: l.num, Up: true, Addr: l.addr})
	h.b.hangUpDeaf(cl, l)
}

// OnDisconnect publishes the will and tells that the client is gone.
func (h *hook) OnDisconnect(cl *mqtt.Client, err error, _ bool) {
	l := linkOf(cl)
	reason := l.endReason(err)
	if reason == Timeout {
		h.b.count.timeouts.Add(1)
	}
	h.b.leaveWill(cl, l)
	h.b.here(cl, l, false)
	if l.who.Load() != nil {
		h.b.unshare(cl)
	}
	h.b.tell(ConnEvent{Client: l.id, Conn: l.num, Reason: reason, Addr: l.addr})
}

// OnClientExpired ends a session for good.
func (h *hook) OnClientExpired(cl *mqtt.Client) { h.b.endSession(cl) }

// OnPacketRead checks what a client sends before the library acts on it. The
// only error that the library heeds here closes the connection.
func (h *hook) OnPacketRead(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	if code := brokenRules(cl, pk); code != packets.CodeSuccess {
		h.b.cut(linkOf(cl), Closed, code)
		return pk, packets.ErrRejectPacket
	}
	linkOf(cl).brake.pass(pk.FixedHeader.Type)
	switch pk.FixedHeader.Type {
	case packets.Connect:
		linkOf(cl).allowEmptyWill(&pk.Connect)
	case packets.Publish:
		return h.readPublish(cl, pk)
	case packets.Pubrel, packets.Subscribe, packets.Unsubscribe:
		pk.PacketID = linkOf(cl).moveID(cl, pk.PacketID)
		linkOf(cl).mountFilters(pk.Filters)
		if pk.FixedHeader.Type == packets.Pubrel {
			h.b.kept.pubrel(cl, pk.PacketID)
		}
	case packets.Puback, packets.Pubcomp:
		h.b.kept.through(cl, pk.PacketID)
		linkOf(cl).acked(pk.PacketID)
	case packets.Pubrec:
		if pk.ReasonCode >= packets.ErrUnspecifiedError.Code {
			h.b.kept.through(cl, pk.PacketID)
			linkOf(cl).acked(pk.PacketID)
		} else {
			h.b.kept.pubrec(cl, pk.PacketID)
		}
	case packets.Disconnect:
		l := linkOf(cl)
		l.goodbye = true
		l.because(Goodbye)
		l.keepWill = pk.ReasonCode != packets.CodeDisconnect.Code // [MQTT-3.14.4-3]
	}
	return pk, nil
}

func (h *hook) readPublish(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	pk.PacketID = linkOf(cl).moveID(cl, pk.PacketID)
	if pk.TopicName == "" || pk.Properties.TopicAliasFlag {
		return pk, nil // the library refuses aliases, and a topic that is missing
	}
	if !h.b.validTopic(pk.TopicName) {
		h.b.count.badTopics.Add(1)
		h.b.refuse(RefusedMessage, whyTopic, cl.ID, "")
		h.b.warn("publication on an invalid topic", "device", cl.ID, "err", packets.ErrTopicNameInvalid)
		h.b.cut(linkOf(cl), Closed, packets.ErrTopicNameInvalid)
		return pk, packets.ErrRejectPacket
	}
	if reservedTopic(pk.TopicName) {
		h.b.count.refused.Add(1)
		h.b.refuse(RefusedMessage, whyReserved, cl.ID, "")
		h.b.warn("publication on a topic of the hub refused", "device", cl.ID, "topic", pk.TopicName)
		h.b.answer(cl, pk, packets.ErrNotAuthorized)
		return noPacket, nil
	}
	if !h.mayPublish(cl, linkOf(cl), &pk) {
		return noPacket, nil
	}
	if pk.FixedHeader.Qos == 2 && h.b.repeated(cl, pk) {
		return noPacket, nil
	}
	return pk, nil
}

// noPacket takes the place of a packet that has been dealt with: an
// acknowledgement of nothing, which the library ignores.
var noPacket = packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Puback}}

// validTopic tells whether a client may use a topic name at all: no wildcards
// (row 32), and not so deep that the library's tree grows slow (row 23).
func (b *Broker) validTopic(topic string) bool {
	return topic != "" && !strings.ContainsAny(topic, "+#\x00") && b.fits(topic)
}

func (b *Broker) fits(topic string) bool {
	return len(topic) <= b.cfg.MaxTopicBytes && strings.Count(topic, "/") < b.cfg.MaxTopicLevels
}

// reservedTopic tells whether only the hub writes a topic. The library takes
// every topic that begins with $SYS, in any case, for its own and drops it
// without an answer.
func reservedTopic(topic string) bool {
	return area.HubOnly(topic) || len(topic) >= 4 && strings.EqualFold(topic[:4], mqtt.SysPrefix)
}

// answer acknowledges a publication that goes nowhere: with the reason in MQTT
// 5, as if all was well in 3.1.1. The library does neither for QoS 2 (row 14).
func (b *Broker) answer(cl *mqtt.Client, pk packets.Packet, code packets.Code) {
	if pk.FixedHeader.Qos == 0 {
		return
	}
	ack := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Puback}, PacketID: pk.PacketID}
	if pk.FixedHeader.Qos == 2 {
		ack.FixedHeader.Type = packets.Pubrec
	}
	if cl.Properties.ProtocolVersion == 5 {
		ack.ReasonCode, ack.Properties.ReasonString = code.Code, code.Reason
	}
	_ = cl.WritePacket(ack) // fails where the connection is gone, which its reader finds out
}

// OnPublish is the last word before a message is taken. It also locks out
// scans of the retained tree until spread has put the message there, since the
// library reads there without a lock.
func (h *hook) OnPublish(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	if cl.Net.Inline {
		pk.Origin, pk.Connect.ClientIdentifier = pk.Connect.ClientIdentifier, ""
	} else {
		pk.Filters = linkOf(cl).tag
		if err := h.b.gates.ask(pk, linkOf(cl)); err != nil {
			h.b.count.gated.Add(1)
			h.b.refuse(RefusedMessage, whyGate, cl.ID, "")
			h.b.warn("publication refused", "device", cl.ID, "topic", pk.TopicName, "err", err)
			h.b.answer(cl, pk, codeFor(err))
			return pk, packets.ErrRejectPacket
		}
	}
	pk.Created = h.b.lastMsg.Add(1) // a rank, not a time: see link.replay
	if l := linkOf(cl); l != nil {
		if err := h.b.kept.publishing(cl, l, pk); err != nil {
			return pk, packets.ErrRejectPacket
		}
	}
	if pk.FixedHeader.Retain {
		if why := h.b.retain(pk.Origin, &pk); why != noReason {
			if !cl.Net.Inline {
				h.b.answer(cl, pk, overQuota(why))
				return pk, packets.ErrRejectPacket
			}
			pk.FixedHeader.Retain = false // a will, whose client is gone: those who listen still hear it
		}
	}
	h.b.spread(cl, pk)
	return pk, packets.CodeSuccessIgnore // all that is left to the library is to acknowledge
}

// OnPublishDropped counts a message that did not fit into the queue of a
// client.
func (h *hook) OnPublishDropped(cl *mqtt.Client, pk packets.Packet) {
	h.b.kept.lostFor(cl, pk.Created)
	h.b.refuse(Dropped, whyPending, cl.ID, "")
	h.b.warn("message dropped for a client that does not keep up", "device", cl.ID, "topic", pk.TopicName)
}

// OnQosPublish bounds what waits for a client, which the library does by count
// alone (row 19).
func (h *hook) OnQosPublish(cl *mqtt.Client, pk packets.Packet, _ int64, _ int) {
	if h.b.astray(cl, pk) || pk.FixedHeader.Type == packets.Publish && !h.b.queued(cl, &pk) {
		return
	}
	h.b.kept.queued(cl, pk)
}

// OnPacketIDExhausted tells of a client that acknowledges nothing.
func (h *hook) OnPacketIDExhausted(cl *mqtt.Client, pk packets.Packet) {
	h.b.refuse(Dropped, whyPacketIDs, cl.ID, "")
	h.b.warn("message dropped for want of packet ids", "device", cl.ID, "topic", pk.TopicName)
}
