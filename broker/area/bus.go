package area

import (
	"context"
	"strings"
)

// Message is one MQTT application message on its way through a [Bus].
type Message struct {
	Topic   string
	Payload []byte
	QoS     byte
	Retain  bool   // published with the retain flag: the broker keeps it
	Replay  bool   // on delivery: this copy came out of the broker's retained store, so it is old news
	Will    bool   // on delivery: the broker published it for a client that it lost
	From    string // client id of the publisher, or one of the From names below
	User    string // on delivery: MQTT user name of the publisher; empty: none, or not known
	Conn    uint64 // on delivery: number of the publisher's connection, 0 where it has none
	Node    string // on delivery: node of the hub at which it came in; empty: this one
	Reply   *Reply // MQTT 5: where an answer goes, or what it answers; nil: nothing is said of that
}

// Reply is what MQTT 5 says of requests and answers. In a message that is
// published only Correlation counts.
type Reply struct {
	Topic       string // where the publisher wants the answer; as it said, so not to be trusted
	Correlation []byte // what the answer repeats; nil: nothing. It must not be changed
}

// Names of our own publishers. No MQTT client may call itself so: ids that
// begin with "tacet-" are refused.
const (
	FromArbiter = "tacet-arbiter" // busy, grants, offers
	FromHub     = "tacet-hub"     // the web side; "tacet-hub:ID" is one connection of it
	FromNode    = "tacet-node"    // "tacet-node:NAME": another hub process
	FromBridge  = "tacet-bridge"  // "tacet-bridge:NAME": an outside broker
)

// ReservedClient tells whether a client id is one that only the hub itself may
// use.
func ReservedClient(id string) bool { return id == "inline" || strings.HasPrefix(id, "tacet-") }

// Passes is the loop guard: a message may go to the side, node or bridge named
// to only where it did not come from there. Every relay asks it, and nothing
// else decides.
func Passes(m Message, to string) bool {
	return m.From != to && !strings.HasPrefix(m.From, to+":")
}

// Bus carries messages between the parts of a hub and its devices, whichever
// broker does it.
type Bus interface {
	// Publish sends the batch in its order: no subscriber sees the second
	// message before the first. It may block until the broker has taken them;
	// it is safe for concurrent use, and batches of one caller stay in order.
	Publish(ctx context.Context, batch ...Message) error

	// Subscribe calls enqueue for each message that matches the filter, the
	// retained ones first with Replay set. It is called on the publisher's
	// goroutine and must only enqueue: it must not block, and must not publish.
	// The payload may be kept, and must not be changed. After cancel has
	// returned enqueue is not called again.
	Subscribe(filter string, enqueue func(Message)) (cancel func(), err error)
}
