package uplink

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/tacet-hub/tacet/broker/area"
)

// Refusals of [Client.Publish].
var (
	ErrOffline = errors.New("uplink: not connected")
	ErrFull    = errors.New("uplink: the queue is full")
)

// Why a hub does not let a device in, in the log of a [Client]: which of them, an
// MQTT 3.1.1 hub does not tell any further.
var (
	ErrCredential = errors.New("the user name or the password is wrong, or was taken back")
	ErrNotLetIn   = errors.New("it was tried too often with a wrong user name or password, and has to wait for up to 5 min; or this device may not sign in like that")
)

// Client is the connection of a device to its hub. All methods are safe for
// concurrent use.
type Client struct {
	cfg Config
	log *slog.Logger

	out     chan task
	count   counters
	refused atomic.Bool // see Refused

	mu       sync.Mutex         // guards what is below, and the order of out
	course   *course            // see Aim
	at       Target             // of the connection that stands
	abandon  context.CancelFunc // of the present attempt, and of the wait after it; nil before the first
	online   bool
	conn     net.Conn      // of the present connection
	dropped  bool          // by us
	rest     time.Time     // see Rest
	cut      chan struct{} // closed with dropped: the library does not tell of a socket that was closed here
	will     func(conn uint64) area.Message
	watchers map[int]func(up bool, conn uint64, hub string)
	next     int

	subMu sync.RWMutex // guards subs; held for reading while subscribers are called
	subs  map[int]subscription
}

// task is something for the connection to do: publish, or change what is
// subscribed.
type task struct {
	message     area.Message
	subscribe   string
	unsubscribe string
}

type subscription struct {
	filter  string
	enqueue func(area.Message)
}

type counters struct{ connects, losses, sent, received, refused, forgotten, aims atomic.Uint64 }

// Stats counts what a [Client] has done since it was made.
type Stats struct {
	Connects  uint64 // connections that stood
	Losses    uint64 // of these, lost other than at the end of Run
	Sent      uint64 // messages handed to the socket
	Received  uint64
	Refused   uint64 // messages refused by Publish
	Forgotten uint64 // messages that waited when a connection was lost
	Aims      uint64 // changes of the target
}

// New makes a client; it connects when it runs.
func New(cfg Config, log *slog.Logger) (*Client, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.KeepAlive == 0 {
		cfg.KeepAlive = defaultKeepAlive
	}
	if cfg.TLS != nil {
		cfg.TLS = cfg.TLS.Clone()
		cfg.TLS.MinVersion = max(cfg.TLS.MinVersion, tls.VersionTLS12)
	}
	c := &Client{cfg: cfg, log: log, out: make(chan task, queueLen),
		watchers: map[int]func(bool, uint64, string){}, subs: map[int]subscription{}}
	c.course, _ = newCourse(c.Home()) // Validate has seen it
	if c.cfg.Dial == nil {
		c.cfg.Dial = c.dial
	}
	return c, nil
}

// Leave says what the hub shall publish when a connection dies; it is asked
// before each connection, with its number, on Run's goroutine. Without it there
// is no Will.
func (c *Client) Leave(will func(conn uint64) area.Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.will = will
}

// Watch calls changed whenever a connection stands and all filters are
// subscribed on it, and whenever it is gone. It is called on Run's goroutine and
// must only enqueue.
func (c *Client) Watch(changed func(up bool, conn uint64, hub string)) (cancel func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	id := c.next
	c.next++
	c.watchers[id] = changed
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.watchers, id)
	}
}

// Publish queues the batch, in its order, for the present connection. It does
// not block: without a connection it answers [ErrOffline], without room for the
// whole batch [ErrFull].
func (c *Client) Publish(ctx context.Context, batch ...area.Message) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.online {
		c.count.refused.Add(uint64(len(batch)))
		return ErrOffline
	}
	if len(batch) > cap(c.out)-len(c.out) {
		c.count.refused.Add(uint64(len(batch)))
		return ErrFull
	}
	for _, m := range batch {
		c.out <- task{message: m}
	}
	return nil
}

// Subscribe calls enqueue for each message that matches the filter, on this
// connection and on all later ones, on a goroutine of the MQTT library: it must
// only enqueue. Messages carry no From and no Conn: MQTT 3.1.1 does not tell.
// Where two filters overlap a broker may send one message twice.
func (c *Client) Subscribe(filter string, enqueue func(area.Message)) (cancel func(), err error) {
	if !area.ValidFilter(filter) {
		return nil, area.Errorf(area.CodeInvalid, "topic filter %q", filter)
	}
	c.mu.Lock()
	id := c.next
	c.next++
	c.subMu.Lock()
	c.subs[id] = subscription{filter: filter, enqueue: enqueue}
	c.subMu.Unlock()
	c.change(task{subscribe: filter})
	c.mu.Unlock()
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.subMu.Lock()
		delete(c.subs, id)
		c.subMu.Unlock()
		if !slices.Contains(c.filters(), filter) {
			c.change(task{unsubscribe: filter})
		}
	}, nil
}

// change asks the present connection to subscribe or unsubscribe. Where the
// queue has no room the connection is made again, which subscribes everything.
func (c *Client) change(t task) {
	if !c.online {
		return
	}
	select {
	case c.out <- t:
	default:
		c.drop()
	}
}

// Drop closes the connection without a goodbye, so that the hub sends the Will,
// and has it made again after 200 ms to 400 ms.
func (c *Client) Drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop()
}

func (c *Client) drop() {
	if c.conn != nil {
		if !c.dropped {
			close(c.cut)
		}
		c.dropped = true
		_ = c.conn.Close() // what matters is that it is closed; an error says that it is
	}
}

// Rest has a connection that is lost within d not made again before d is over.
func (c *Client) Rest(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rest = time.Now().Add(d)
}

// Refused tells whether the hub has refused the credential at the last attempt to
// connect: trying again is of no use before somebody acts.
func (c *Client) Refused() bool { return c.refused.Load() }

// Stats is what was counted so far.
func (c *Client) Stats() Stats {
	return Stats{Connects: c.count.connects.Load(), Losses: c.count.losses.Load(), Sent: c.count.sent.Load(),
		Received: c.count.received.Load(), Refused: c.count.refused.Load(), Forgotten: c.count.forgotten.Load(), Aims: c.count.aims.Load()}
}

// filters is all subscribed filters, each once.
func (c *Client) filters() []string {
	c.subMu.RLock()
	defer c.subMu.RUnlock()
	var f []string
	for _, s := range c.subs {
		f = append(f, s.filter)
	}
	slices.Sort(f)
	return slices.Compact(f)
}

// deliver hands a message to everybody who subscribed it.
func (c *Client) deliver(m area.Message) {
	c.count.received.Add(1)
	c.subMu.RLock()
	defer c.subMu.RUnlock()
	for _, s := range c.subs {
		if area.MatchFilter(s.filter, m.Topic) {
			s.enqueue(m)
		}
	}
}

// Run keeps the client connected until ctx ends; then it sends what is queued
// (for at most 1 s), says goodbye, so that no Will is sent, and returns nil.
func (c *Client) Run(ctx context.Context) error {
	r := retry{wait: minWait}
	for n := uint64(1); ctx.Err() == nil; n++ {
		attempt, abandon := context.WithCancel(ctx)
		c.attempt(ctx, attempt, n, abandon, &r)
		if attempt.Err() != nil { // aimed elsewhere: what was, does not count there
			r = retry{wait: minWait}
			sleep(ctx, dropWait+rand.N(dropWait))
		}
		abandon()
	}
	return nil
}

// retry is what Run remembers from one attempt to the next.
type retry struct {
	wait time.Duration // after the next loss
	told bool          // that the hub does not take the credential
	said time.Time     // when the log was told last that there is no connection
}

// sayAgain is how often the log is told that there is still no connection: a device
// may be without a hub for days.
const sayAgain = 5 * time.Minute

// attempt makes connection n, serves it, and waits until the next one may be made.
// It ends early with ctx, and with attempt, which abandon ends.
func (c *Client) attempt(ctx, attempt context.Context, n uint64, abandon context.CancelFunc, r *retry) {
	to, hub := c.begin(abandon)
	began, connects := time.Now(), c.count.connects.Load()
	err := c.connection(ctx, attempt, n, to, hub)
	if attempt.Err() != nil {
		c.aimedAway(ctx, n, hub)
		return
	}
	if time.Since(began) > steady {
		r.wait = minWait
	}
	r.told = r.told && c.count.connects.Load() == connects // once for each time that it was taken
	refused := errors.Is(err, ErrCredential)
	c.refused.Store(refused)
	if !r.told && refused {
		r.told = true
		c.log.Error("the hub does not take this device's credential, or took it back: enrol the device again", "conn", n, "node", hub.Host, "err", err)
	}
	pause := c.pause(&r.wait)
	if early(err, c.now()) {
		pause = min(pause, clockWait)
		c.log.Warn("the hub's certificate is not valid yet by this machine's clock, which may not be set: trying again", "conn", n, "node", hub.Host)
	}
	c.lost(n, hub, err, pause, c.count.connects.Load() != connects, r)
	sleep(attempt, pause)
}

// lost says that a connection was lost, or could not be made; the latter at once,
// and then now and again.
func (c *Client) lost(n uint64, hub *url.URL, err error, pause time.Duration, stood bool, r *retry) {
	at := []any{"conn", n, "node", hub.Host, "err", err, "dur", pause}
	switch now := time.Now(); {
	case stood:
		r.said = time.Time{}
		c.log.Warn("connection lost, tried again after dur", at...)
	case r.said.IsZero() || now.Sub(r.said) >= sayAgain:
		r.said = now
		c.log.Warn("the hub cannot be reached, tried again after dur", at...)
	default:
		c.log.Debug("the hub cannot be reached, tried again after dur", at...)
	}
}

// aimedAway ends an attempt at a target that is no longer one; or, with ctx, the
// last one.
func (c *Client) aimedAway(ctx context.Context, n uint64, hub *url.URL) {
	c.mu.Lock()
	c.dropped = false
	c.mu.Unlock()
	c.refused.Store(false)
	if ctx.Err() != nil {
		return
	}
	c.log.Info("connection left for another", "conn", n, "node", hub.Host)
}

const (
	dropWait = 200 * time.Millisecond // COORDINATION.md §3.3
	minWait  = 500 * time.Millisecond
	// clockWait is between attempts at a hub whose certificate begins in the future:
	// once the clock is set the device is to be there within 5 s.
	clockWait = 2 * time.Second
	maxWait   = 15 * time.Second
	steady    = 5 * time.Second
)

// refusal says what a hub means that has answered with no.
func refusal(err error) error {
	switch {
	case errors.Is(err, packets.ErrorRefusedBadUsernameOrPassword):
		return fmt.Errorf("%w: %w", ErrCredential, err)
	case errors.Is(err, packets.ErrorRefusedNotAuthorised):
		return fmt.Errorf("%w: %w", ErrNotLetIn, err)
	}
	return err
}

// early tells whether a connection failed because the hub's certificate begins
// after now.
func early(err error, now time.Time) bool {
	bad, is := errors.AsType[x509.CertificateInvalidError](err)
	return is && bad.Reason == x509.Expired && bad.Cert != nil && now.Before(bad.Cert.NotBefore)
}

// now is the time by which certificates are judged.
func (c *Client) now() time.Time {
	if c.cfg.TLS != nil && c.cfg.TLS.Time != nil {
		return c.cfg.TLS.Time()
	}
	return time.Now()
}

// pause is how long to wait before the next connection; it lengthens wait for
// the one after it.
func (c *Client) pause(wait *time.Duration) time.Duration {
	c.mu.Lock()
	dropped, rest := c.dropped, time.Until(c.rest)
	c.dropped = false
	c.mu.Unlock()
	if dropped {
		return max(rest, dropWait+rand.N(dropWait))
	}
	p := *wait - rand.N(*wait/2)
	*wait = min(2**wait, maxWait)
	return max(rest, p)
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
