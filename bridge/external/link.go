package external

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eclipse/paho.golang/paho"
	"github.com/eclipse/paho.golang/paho/session/state"
)

// How a link behaves in time.
const (
	keepAlive    = 10 // seconds of silence, ours or the broker's, until a ping; after as many more the connection is dead
	patience     = 10 * time.Second
	firstWait    = 250 * time.Millisecond // before a second attempt; doubled for each more, and half to one and a half of it
	longestWait  = 20 * time.Second
	goodbye      = time.Second      // for the broker to take our leave
	stuckAfter   = 90 * time.Second // without a word from the broker and without an attempt
	watchEvery   = 5 * time.Second
	sessionLives = 24 * 60 * 60 // seconds that the broker keeps our session
	receiveMost  = 1000         // messages of QoS 1 and 2 that the broker may have out
)

// link keeps one connection to a broker: it comes back by itself, and sends what
// its source hands out.
type link struct {
	srv      Server
	log      *slog.Logger
	filters  []paho.SubscribeOptions
	receives bool                // and sends nothing: MQTT 3.1.1 will do
	receive  func(*paho.Publish) // on the library's goroutine: must only enqueue
	source   source
	fresh    func() // called where the broker has no session of ours, before anything is sent; may be nil

	state *state.State
	heard atomic.Int64 // Unix nanoseconds of the last word of the broker
	tried atomic.Int64 // of the last attempt
	turn  chan struct{}
	told  *told       // by an old broker
	late  overdue     // messages
	gate  sync.Mutex  // held while a message is put into the session; before mu
	anew  atomic.Bool // the broker has lost our session, and the sender does not know yet

	connected, stuck, old               atomic.Bool
	connects, failures, lost, refused   atomic.Uint64
	sent, received, unfit, stuckReports atomic.Uint64

	mu    sync.Mutex // guards what follows
	now   *attached  // nil: there is none
	abort func()     // ends the attempt or the connection that is there
}

// attached is a live connection.
type attached struct {
	client *paho.Client
	socket *socket
	most   int  // bytes of a packet that the broker takes; 0: any
	window int  // messages that may be on their way
	qos    byte // highest
	retain bool // the broker retains
	done   <-chan struct{}
}

func newLink(srv Server, source source, log *slog.Logger) *link {
	return &link{
		srv: srv, source: source, log: log, state: state.NewInMemory(), turn: make(chan struct{}, 1),
		told: newTold(),
	}
}

// run keeps the connection until ctx ends.
func (l *link) run(ctx context.Context) {
	var wg sync.WaitGroup
	inner, stop := context.WithCancel(ctx)
	defer wg.Wait()
	defer stop()
	wg.Go(func() { l.watch(inner) })
	wg.Go(func() { l.send(inner) })
	for wait := firstWait; ctx.Err() == nil; {
		began := time.Now()
		if err := l.once(ctx); err != nil && ctx.Err() == nil {
			l.failed(ctx, err)
		}
		if time.Since(began) > longestWait/4 { // it worked for a while
			wait = firstWait
		}
		pause(ctx, wait/2+rand.N(wait))
		wait = min(2*wait, longestWait)
	}
}

// failed counts an attempt that failed, and says why. An old broker needs somebody
// to act.
func (l *link) failed(ctx context.Context, err error) {
	l.failures.Add(1)
	level := slog.LevelWarn
	l.old.Store(errors.Is(err, ErrVersion))
	if l.old.Load() {
		level = slog.LevelError
	}
	l.log.Log(ctx, level, "outside broker not reached", "node", l.srv.ClientID, "err", err)
}

// once connects and stays until the connection ends. An error means that there
// was none.
func (l *link) once(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l.mu.Lock()
	l.abort = cancel
	l.mu.Unlock()
	l.tried.Store(time.Now().UnixNano())
	a, err := l.connect(ctx)
	if err != nil {
		return l.orOld(ctx, err)
	}
	l.connects.Add(1)
	l.old.Store(false)
	l.log.Info("outside broker reached", "node", l.srv.ClientID)
	l.attach(a)
	select {
	case <-a.done:
		l.lost.Add(1)
		l.log.Warn("connection to the outside broker lost", "node", l.srv.ClientID)
	case <-ctx.Done():
		a.leave()
	}
	l.attach(nil)
	return nil
}

// leave says goodbye and has the broker close the connection. Closed by us while
// something is unread, it would take acknowledgements with it that the broker has
// not read yet: what they are of would come again.
func (a *attached) leave() {
	_ = a.socket.SetWriteDeadline(time.Now().Add(goodbye))
	if _, err := (&paho.Disconnect{}).Packet().WriteTo(a.socket); err == nil {
		late := time.NewTimer(goodbye)
		defer late.Stop()
		select {
		case <-a.done:
		case <-late.C:
		}
	}
	_ = a.socket.Close()
	<-a.done
}

// attach sets the connection that is there and tells the sender.
func (l *link) attach(a *attached) {
	l.gate.Lock()
	l.mu.Lock()
	l.now = a
	l.mu.Unlock()
	l.gate.Unlock()
	l.connected.Store(a != nil)
	select {
	case l.turn <- struct{}{}:
	default:
	}
}

func (l *link) current() *attached {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.now
}

// connect opens a connection, shakes hands and subscribes.
func (l *link) connect(ctx context.Context) (*attached, error) {
	dialing, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	l.late.begin(time.Unix(0, l.heard.Load()))
	conn, err := l.srv.dial(dialing, &l.heard)
	if err != nil {
		return nil, err
	}
	client := paho.NewClient(paho.ClientConfig{
		Conn: conn, Session: l.state, PacketTimeout: patience,
		OnPublishReceived: []func(paho.PublishReceived) (bool, error){func(p paho.PublishReceived) (bool, error) {
			l.received.Add(1)
			l.receive(p.Packet)
			return true, nil
		}},
	})
	expiry, most := uint32(sessionLives), uint16(receiveMost)
	hurry := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer hurry()
	ack, err := client.Connect(context.WithoutCancel(ctx), &paho.Connect{ // it lives until it has left
		ClientID: l.srv.ClientID, KeepAlive: keepAlive, Username: l.srv.Username, UsernameFlag: l.srv.Username != "",
		Password: []byte(l.srv.Password), PasswordFlag: l.srv.Password != "",
		Properties: &paho.ConnectProperties{SessionExpiryInterval: &expiry, ReceiveMaximum: &most},
	})
	if err != nil {
		_ = conn.Close()
		return nil, refusal(ack, conn.beginning(), err)
	}
	a := &attached{client: client, socket: conn, window: sendWindow, qos: 2, retain: true, done: client.Done()}
	if !ack.SessionPresent {
		l.anew.Store(true)
	}
	if p := ack.Properties; p != nil {
		if p.ReceiveMaximum != nil {
			a.window = min(a.window, int(*p.ReceiveMaximum))
		}
		if p.MaximumQoS != nil {
			a.qos = *p.MaximumQoS
		}
		if p.MaximumPacketSize != nil {
			a.most = int(*p.MaximumPacketSize)
		}
		a.retain = p.RetainAvailable
	}
	if len(l.filters) > 0 {
		if _, err := client.Subscribe(ctx, &paho.Subscribe{Subscriptions: l.filters}); err != nil {
			_ = conn.Close()
			<-a.done
			return nil, errors.Join(errors.New("subscribe"), err)
		}
	}
	l.late.end(ctx, client, ack.SessionPresent)
	return a, nil
}

// watch reports a link that neither works nor tries, and has it begin anew.
func (l *link) watch(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		silent := time.Since(time.Unix(0, max(l.heard.Load(), l.tried.Load())))
		if l.stuck.Store(silent > stuckAfter); silent <= stuckAfter {
			continue
		}
		l.stuckReports.Add(1)
		l.log.Error("client of the outside broker neither works nor reconnects", "node", l.srv.ClientID, "dur", silent.Round(time.Second))
		l.mu.Lock()
		abort := l.abort
		if l.now != nil {
			_ = l.now.socket.Close()
		}
		l.mu.Unlock()
		if abort != nil {
			abort()
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
