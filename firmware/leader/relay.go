package leader

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/firmware/uplink"
)

// What a relay carries: two connections of each member of a full area, and some
// that end. More are refused and counted.
const (
	mostCarried   = 2*area.MostMembers + 16
	mostPerMember = 4
	mostWeb       = 2 // of these, to the web listener: its connections to the broker always have room
	greetTime     = 5 * time.Second
	mostGreeting  = 512
)

// webScheme asks for the hub's web listener, as the relay knows it, for what no
// member has: a clip, or a program. Whether TLS is spoken to it is for the ends.
const webScheme = "web"

// Why a relay does not carry.
var (
	errStranger = errors.New("the other side does not know the key of the area")
	errFull     = errors.New("too many connections are carried")
)

// greeting is a line that the two sides of a relay exchange before the first byte
// is carried. In turn: the member says who it is and for what kind of address; the
// relay shows that it has the key; the member does; the relay says whether the hub
// is reached.
type greeting struct {
	Device area.DeviceID `json:"device,omitempty"`
	Scheme string        `json:"scheme,omitempty"` // mqtt, mqtts or web
	Nonce  string        `json:"nonce,omitempty"`
	Proof  string        `json:"proof,omitempty"`
	OK     bool          `json:"ok,omitempty"`
	Error  string        `json:"error,omitempty"`
}

// relay carries connections of other members to the hub. What is in them it does
// not look at: with mqtts:// it could not. It is safe for concurrent use.
type relay struct {
	self  area.DeviceID
	hubs  []*url.URL
	web   func() string // address of the hub's web listener; empty: not known
	log   *slog.Logger
	count *counters

	mu     sync.Mutex
	key    []byte // nil: nobody is carried
	member func(area.DeviceID) bool
	now    map[area.DeviceID]int
	webs   map[area.DeviceID]int // of now, to the web listener
	total  int
}

// newRelay makes a relay to the hubs that can be carried to.
func newRelay(self area.DeviceID, hubs []string, web func() string, log *slog.Logger, count *counters) *relay {
	r := &relay{self: self, web: web, log: log, count: count, now: map[area.DeviceID]int{}, webs: map[area.DeviceID]int{}}
	for _, h := range carriable(hubs) {
		u, _ := uplink.ParseHub(h) // the uplink has
		r.hubs = append(r.hubs, u)
	}
	return r
}

// carriable is the addresses of hubs to which somebody else can carry.
func carriable(hubs []string) (list []string) {
	for _, h := range hubs {
		if u, err := uplink.ParseHub(h); err == nil && (u.Scheme == "mqtt" || u.Scheme == "mqtts") {
			list = append(list, h)
		}
	}
	return list
}

// admit says for whom is carried from now on.
func (r *relay) admit(p area.Peers) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.key = p.Key
	r.member = func(d area.DeviceID) bool { _, ok := p.Member(d); return ok }
}

// serve carries for who comes to l until ctx ends; it closes l.
func (r *relay) serve(ctx context.Context, l net.Listener) {
	var work sync.WaitGroup
	defer work.Wait()
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	for {
		c, err := l.Accept()
		if ctx.Err() != nil {
			if err == nil {
				_ = c.Close()
			}
			return
		}
		if err != nil {
			r.log.Warn("no connection taken to be carried", "err", err)
			if !pause(ctx, time.Second) {
				return
			}
			continue
		}
		if !r.enter() {
			_ = c.Close()
			continue
		}
		work.Go(func() {
			defer r.leave("", "")
			r.carry(ctx, c)
		})
	}
}

// enter counts a connection; false: it is one too many.
func (r *relay) enter() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.total >= mostCarried {
		r.count.carriedFull.Add(1)
		return false
	}
	r.total++
	return true
}

// leave uncounts it; with a name, that of a member, to what it went.
func (r *relay) leave(d area.DeviceID, scheme string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	less := func(of map[area.DeviceID]int) {
		if of[d]--; of[d] == 0 {
			delete(of, d)
		}
	}
	if d == "" {
		r.total--
		return
	}
	less(r.now)
	if scheme == webScheme {
		less(r.webs)
	}
}

// belongs counts a connection as one of a member; false: it is one too many.
func (r *relay) belongs(d area.DeviceID, scheme string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	web := scheme == webScheme
	if r.now[d] >= mostPerMember || web && r.webs[d] >= mostWeb {
		r.count.carriedFull.Add(1)
		return false
	}
	r.now[d]++
	if web {
		r.webs[d]++
	}
	return true
}

// carry is one connection.
func (r *relay) carry(ctx context.Context, c net.Conn) {
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	defer func() { _ = c.Close() }() // both sides see its end
	d, scheme, hub, err := r.greet(ctx, c)
	if err != nil {
		r.count.carriedRefused.Add(1)
		r.log.Debug("connection not carried", "err", err, "who", c.RemoteAddr().String())
		return
	}
	defer r.leave(d, scheme)
	defer func() { _ = hub.Close() }()
	r.count.carried.Add(1)
	r.log.Info("carrying a neighbour's connection to the hub", "who", string(d), "node", hub.RemoteAddr().String())
	join(c, hub)
}

// join copies both ways until one side ends; it closes both.
func join(a, b net.Conn) {
	var work sync.WaitGroup
	for _, way := range [][2]net.Conn{{a, b}, {b, a}} {
		work.Go(func() {
			_, _ = io.Copy(way[0], way[1]) // an end is an end
			_, _ = way[0].Close(), way[1].Close()
		})
	}
	work.Wait()
}

// greet finds out who is there, and connects him to the hub.
func (r *relay) greet(ctx context.Context, c net.Conn) (d area.DeviceID, scheme string, hub net.Conn, err error) {
	_ = c.SetDeadline(time.Now().Add(greetTime))
	hello, err := r.meet(c)
	if err != nil {
		return "", "", nil, err
	}
	d, scheme = hello.Device, hello.Scheme
	if !r.belongs(d, scheme) {
		return "", "", nil, errors.Join(errFull, say(c, greeting{Error: errFull.Error()}))
	}
	if hub, err = r.dial(ctx, scheme); err != nil {
		r.leave(d, scheme)
		return "", "", nil, errors.Join(err, say(c, greeting{Error: "the hub cannot be reached"}))
	}
	if err := errors.Join(say(c, greeting{OK: true}), c.SetDeadline(time.Time{})); err != nil { // it has gone meanwhile
		r.leave(d, scheme)
		return "", "", nil, errors.Join(err, hub.Close())
	}
	return d, scheme, hub, nil
}

// meet finds out whether somebody is a member, and shows him that this is one.
func (r *relay) meet(c net.Conn) (greeting, error) {
	hello, err := hear(c)
	if err != nil {
		return greeting{}, err
	}
	r.mu.Lock()
	key, member := r.key, r.member
	r.mu.Unlock()
	if key == nil || !member(hello.Device) {
		return greeting{}, fmt.Errorf("%s: %w", hello.Device, errStranger)
	}
	nonce := rand.Text()
	if err := say(c, greeting{Nonce: nonce, Proof: sign(key, "relay", string(r.self), string(hello.Device), hello.Scheme, hello.Nonce, nonce)}); err != nil {
		return greeting{}, err
	}
	answer, err := hear(c)
	if err != nil {
		return greeting{}, err
	}
	if !signed(answer.Proof, key, "carried", string(r.self), string(hello.Device), hello.Scheme, hello.Nonce, nonce) {
		return greeting{}, fmt.Errorf("%s: %w", hello.Device, errStranger)
	}
	return hello, nil
}

// dial connects to a hub of the kind of address that the member has.
func (r *relay) dial(ctx context.Context, scheme string) (net.Conn, error) {
	if scheme == webScheme {
		return dialWeb(ctx, r.web())
	}
	err := fmt.Errorf("there is no %s:// hub here", scheme)
	for _, h := range r.hubs {
		if h.Scheme != scheme {
			continue
		}
		d := net.Dialer{Timeout: dialTime}
		var c net.Conn
		if c, err = d.DialContext(ctx, "tcp", h.Host); err == nil {
			return c, nil
		}
	}
	return nil, err
}

// dialWeb connects to a web listener.
func dialWeb(ctx context.Context, web string) (net.Conn, error) {
	host := WebHost(web)
	if host == "" {
		return nil, errors.New("where the hub's web listener is, is not known")
	}
	d := net.Dialer{Timeout: dialTime}
	return d.DialContext(ctx, "tcp", host)
}

// WebHost is host and port of a web listener's address, such as
// https://hub.local; empty: it is none.
func WebHost(web string) string {
	u, err := url.Parse(web)
	if err != nil || u.Hostname() == "" {
		return ""
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// carried makes a connection to the hub through a relay, as self.
func carried(ctx context.Context, self, through area.DeviceID, key []byte, at netip.AddrPort, hub *url.URL) (net.Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", at.String())
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	if err := ask(c, self, through, key, hub.Scheme); err != nil {
		return nil, errors.Join(fmt.Errorf("carried by %s: %w", through, err), c.Close())
	}
	return c, nil
}

// ask is the member's half of the greeting.
func ask(c net.Conn, self, through area.DeviceID, key []byte, scheme string) error {
	_ = c.SetDeadline(time.Now().Add(greetTime))
	mine := rand.Text()
	if err := say(c, greeting{Device: self, Scheme: scheme, Nonce: mine}); err != nil {
		return err
	}
	theirs, err := hear(c)
	if err != nil {
		return err
	}
	if !signed(theirs.Proof, key, "relay", string(through), string(self), scheme, mine, theirs.Nonce) {
		return errStranger
	}
	if err := say(c, greeting{Proof: sign(key, "carried", string(through), string(self), scheme, mine, theirs.Nonce)}); err != nil {
		return err
	}
	end, err := hear(c)
	if err != nil {
		return err
	}
	if !end.OK {
		return fmt.Errorf("refused: %.80q", end.Error)
	}
	return c.SetDeadline(time.Time{})
}

func say(c net.Conn, g greeting) error {
	b, err := json.Marshal(g)
	if err != nil {
		return err
	}
	_, err = c.Write(append(b, '\n'))
	return err
}

// hear reads a line, and no byte after it: those are carried.
func hear(c net.Conn) (g greeting, err error) {
	line := make([]byte, 0, mostGreeting)
	var b [1]byte
	for len(line) < mostGreeting {
		if _, err := io.ReadFull(c, b[:]); err != nil {
			return g, err
		}
		if b[0] == '\n' {
			return g, json.Unmarshal(line, &g)
		}
		line = append(line, b[0])
	}
	return g, fmt.Errorf("a greeting has over %d bytes", mostGreeting)
}

// pause waits; false: ctx has ended.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
