package broker

import (
	"sync"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/interest"
)

// Store keeps what a broker must not lose with its process: records by table
// and key, which stay in the broker's memory and are read from there when they
// are written. store.State is one; package brokertest has one for tests. It is
// safe for concurrent use.
type Store interface {
	// Attach names the owner of the state, once, before the first change.
	// Read answers what a record is now; keep false: there is none. Durable
	// tells a position that is safe, and with it everything before; lost a
	// range that will never be. All three are called from one goroutine, and
	// neither block nor call the store.
	Attach(read func(table, key string) (record []byte, keep bool), durable func(pos uint64), lost func(from, to uint64))
	// Load calls each with every record of a table as it was last written, in
	// the order of the keys. Damaged ones are left out.
	Load(table string, each func(key string, record []byte) error) error
	// Join answers a position that is not written before Leave is called with
	// it; nobody waits for anything between the two. Size is about how many
	// bytes are going to be touched; the error is that of Trouble, or disk_full
	// where there is no room for so many. Leave is called in any case.
	Join(size int) (pos uint64, trouble error)
	Leave(pos uint64)
	// Touch says that a record has changed, as part of a position that was
	// joined, or of the next one (pos 0), which it answers.
	Touch(pos uint64, table, key string) uint64
	// TouchLater says so of a record that nobody waits for.
	TouchLater(table, key string)
	// Trouble says why nothing can be made durable now. Code disk_full passes,
	// and what was touched is written then; degraded passes as well; anything
	// else does not. Nil: all is well.
	Trouble() error
}

// The tables of the broker, and what their keys are.
const (
	tableRetained      = "retained"      // topic
	tableSessions      = "sessions"      // client id
	tableSubscriptions = "subscriptions" // client id, 0, filter
	tableMessages      = "messages"      // number of the message, 8 bytes
	tableReceived      = "received"      // client id, 0, packet id in 2 bytes: QoS 2 messages that were taken and not released
)

// maxStoredTopic bounds topics and filters, which are keys of records: a key of
// the store has 32,000 bytes.
const maxStoredTopic = 30_000

// durable mirrors on disk what the library holds in memory (see "Durability" in
// the package comment). Its methods do nothing where there is no store.
type durable struct {
	b     *Broker
	store Store

	wanted interest.Tree // filters whose messages have to be kept

	mu       sync.Mutex // guards all below, and what it leads to
	sessions map[string]*stored
	messages map[int64]*kept
	joined   map[int64]uint64 // positions of messages that are being published, by number
}

func newDurable(b *Broker, s Store) *durable {
	d := &durable{
		b: b, store: s,
		sessions: map[string]*stored{}, messages: map[int64]*kept{}, joined: map[int64]uint64{},
	}
	if s != nil {
		s.Attach(d.read, b.durable, b.notDurable)
	}
	return d
}

func (d *durable) off() bool { return d.store == nil }

// read is how the store asks for a record.
func (d *durable) read(table, key string) ([]byte, bool) {
	switch table {
	case tableRetained:
		return d.readRetained(key)
	case tableMessages:
		return d.readMessage(key)
	}
	return d.readSession(table, key)
}

// publishing is called with a message of a client before the library takes it.
// It refuses what should be durable and cannot be: MQTT 5 is told why. 3.1.1
// has no words for it: while the disk is full its message is taken, and the
// acknowledgement comes when there is space; after a failure for good its
// connection is closed, which makes a client try again.
func (d *durable) publishing(cl *mqtt.Client, l *link, pk packets.Packet) error {
	if d.off() || pk.FixedHeader.Qos == 0 || !d.matters(l, pk) {
		return nil
	}
	pos, err := d.store.Join(packetBytes(&pk))
	passes := err == nil || area.CodeOf(err) == area.CodeDiskFull && cl.Properties.ProtocolVersion < 5
	if !passes {
		d.store.Leave(pos)
		d.refuse(cl, l, pk, err)
		return err
	}
	l.begin(pos, pk.Created)
	return nil
}

// matters tells whether a message leaves anything behind that has to be kept.
func (d *durable) matters(l *link, pk packets.Packet) bool {
	return pk.FixedHeader.Retain || pk.FixedHeader.Qos == 2 && l.stored != nil || d.wanted.Match(pk.TopicName)
}

func (d *durable) refuse(cl *mqtt.Client, l *link, pk packets.Packet, err error) {
	d.b.count.unstored.Add(1)
	d.b.refuse(RefusedMessage, whyDisk, cl.ID, "")
	d.b.warn("publication refused, it cannot be stored", "device", cl.ID, "topic", pk.TopicName, "err", err)
	code := packets.Code{Code: packets.ErrQuotaExceeded.Code, Reason: err.Error()}
	if cl.Properties.ProtocolVersion == 5 {
		d.b.answer(cl, pk, code)
	} else {
		d.b.cut(l, Closed, code)
	}
}

// begin makes the answer to the packet in hand wait for pos, which the
// connection has joined, and has whatever the packet leads to written with it.
// Number is the message's; 0: it is none.
func (l *link) begin(pos uint64, number int64) {
	l.joined, l.number = pos, number
	l.after(pos)
	if number != 0 {
		d := l.b.kept
		d.mu.Lock()
		d.joined[number] = pos
		d.mu.Unlock()
	}
}

// end ends what begin began, if it did. It is called on the connection's
// goroutine when the packet has been dealt with.
func (l *link) end() {
	if l.joined == 0 {
		return
	}
	d := l.b.kept
	if l.number != 0 {
		d.mu.Lock()
		delete(d.joined, l.number)
		d.mu.Unlock()
	}
	d.store.Leave(l.joined)
	l.joined, l.number = 0, 0
}

// retained is called when the library has put a message into its tree, or has
// dropped the one that was there. What the hub says itself is written when it
// suits; so is what a client says without wanting an answer.
func (d *durable) retained(cl *mqtt.Client, pk packets.Packet) {
	if d.off() {
		return
	}
	l := linkOf(cl)
	switch {
	case l != nil && l.joined != 0:
		d.store.Touch(l.joined, tableRetained, pk.TopicName)
	case willOf(pk):
		d.store.Touch(0, tableRetained, pk.TopicName)
	default:
		d.store.TouchLater(tableRetained, pk.TopicName)
	}
}

// retainedGone is called when a retained message has expired.
func (d *durable) retainedGone(topic string) {
	if !d.off() {
		d.store.TouchLater(tableRetained, topic)
	}
}

// again is called when a client repeats a message that was taken, but may not
// be on disk yet: the answer waits for all that has been touched so far.
func (d *durable) again(l *link) {
	if l.stored != nil {
		l.after(d.now())
	}
}

// now is the position with which everything that was touched so far is durable.
func (d *durable) now() uint64 {
	pos, _ := d.store.Join(0)
	d.store.Leave(pos)
	return pos
}
