package leader

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/netip"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/firmware/uplink"
)

// ErrHubLeads is what [Host.Lead] answers when the hub has refused its lead
// because it arbitrates the area itself: the member stops, and looks again where
// it is to be.
var ErrHubLeads = errors.New("the hub arbitrates the area")

// Host is what a member runs while it leads: broker, arbiter, orders and the way
// to the hub.
type Host interface {
	// Lead arbitrates the area until ctx ends, and leaves nothing running. It
	// answers nil then, [ErrHubLeads], or why it cannot: the member then leaves it
	// to others for a while. It is called again for the next reign.
	Lead(ctx context.Context, r Reign) error
}

// Reign is one time of office. Its functions are safe for concurrent use and do
// not block.
type Reign struct {
	Peers area.Peers // the roster, in which the device is a member
	Term  uint64     // the highest that was heard, durable: the reign begins above it
	At    netip.Addr // of this member, where the others hear it; not valid: as the roster says

	// Changed gives the roster when it is another. The newest is kept, older ones
	// are forgotten. The key may be another one too.
	Changed <-chan area.Peers
	// Rivals gives the terms of other leaders that are seen in this part of the
	// area; lower ones stop by themselves. Whoever hears of one settles
	// (COORDINATION.md §8.2). The highest is kept.
	Rivals <-chan uint64

	// Ready says that the broker accepts, at an address such as 10.0.0.5:1883 that
	// the others reach, where the web listener is (as in area.Leader), and by which
	// term it arbitrates. It is called again when one of them has changed. The
	// others come then; the term is kept.
	Ready func(addr, web string, term uint64)
	// Heard says that a term was heard, from the hub or on the bus; it is kept.
	Heard func(term uint64)
	// Document hands over what the hub has sent on area.PeersTopic of this device.
	Document func(payload []byte)
}

// Link is the device's second connection to the hub, for its area; package
// trunk has one. Its methods are safe for concurrent use and do not block.
type Link interface {
	// Aim says where it connects.
	Aim(to uplink.Target) error
	// Want says that it is wanted for a reason, or no longer.
	Want(why string, wanted bool)
	// Send says something to the hub; an error means that it was not said.
	Send(t area.Trunk) error
	// Watch calls heard for each message of the hub, and changed when a connection
	// stands or is gone; both only enqueue.
	Watch(heard func(area.Trunk), changed func(up bool)) (cancel func())
}

// Uplink is the device's connection to whoever arbitrates its area: package
// uplink has one. The member aims it; the agent of the device runs it.
type Uplink interface {
	// Home is the hub, as the configuration has it.
	Home() uplink.Target
	// Aim says where it connects; where that is no change it does nothing.
	Aim(to uplink.Target) error
	// At is the target of the connection that stands.
	At() (uplink.Target, bool)
	// Watch calls changed when a connection stands or is gone; it only enqueues.
	Watch(changed func(up bool, conn uint64, hub string)) (cancel func())
	// Subscribe calls enqueue for each message that matches the filter.
	Subscribe(filter string, enqueue func(area.Message)) (cancel func(), err error)
}

// Secret is the password by which a member signs in at the broker of the leader,
// its user name being the device: whoever has the key of the area can tell.
func Secret(key []byte, device area.DeviceID) string { return sign(key, "broker", string(device)) }

// sign is what only who has the key can make of the texts, in 64 hexadecimal
// digits; purpose keeps one use from being another.
func sign(key []byte, purpose string, texts ...string) string {
	h := hmac.New(sha256.New, key)
	for _, t := range append([]string{"tacet", purpose}, texts...) {
		h.Write([]byte{byte(len(t) >> 8), byte(len(t))})
		h.Write([]byte(t))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// signed tells whether got is what the key makes of the texts.
func signed(got string, key []byte, purpose string, texts ...string) bool {
	return hmac.Equal([]byte(got), []byte(sign(key, purpose, texts...)))
}
