package office

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/firmware/leader"
)

var silent = slog.New(slog.DiscardHandler)

var began = time.Now()

func since() area.Instant { return area.Instant(time.Since(began)) }

// The test's own program is the leader's program too, and a device that can be killed.
func TestMain(m *testing.M) {
	args := append(os.Args, "")
	switch args[1] {
	case "version":
		fmt.Printf("%s v1 go\n", Program)
	case "lead":
		err := Serve(os.Stdin, os.Stdout, "v1", func(s Setup, l Link) (Host, error) { return newFake(s, l), nil }, since)
		if errors.Is(err, ErrNoLeave) || errors.Is(err, ErrGone) {
			os.Exit(ExitNoLeave)
		}
		if err != nil {
			os.Exit(1)
		}
	case "device":
		device(args[2])
	default:
		os.Exit(m.Run())
	}
}

// fake is a host that does what the trunk says. It listens while it leads, so that
// others see whether it does, and owes the hub something while there is a file "debt".
type fake struct {
	s    Setup
	link Link

	mu    sync.Mutex
	leads bool
}

func newFake(s Setup, l Link) *fake {
	_ = os.WriteFile(filepath.Join(s.Dir, database), nil, 0o600)
	return &fake{s: s, link: l}
}

func (f *fake) Run(ctx context.Context) error {
	slog.New(slog.NewJSONHandler(os.Stderr, nil)).Warn("it runs", "device", f.s.Device, "n", 12345678)
	fmt.Fprintln(os.Stderr, "a word without form")
	<-ctx.Done()
	return nil
}

func (f *fake) Close() error { return nil }

func (f *fake) Told() Told {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, err := os.Stat(filepath.Join(f.s.Dir, "debt"))
	return Told{Leads: f.leads, Owes: err == nil, Counts: map[string]uint64{"reigns": 1}}
}

func (f *fake) Lead(ctx context.Context, r leader.Reign) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close()
		}
	}()
	f.mu.Lock()
	f.leads = true
	f.mu.Unlock()
	defer func() { f.mu.Lock(); f.leads = false; f.mu.Unlock() }()
	said := make(chan area.Trunk, 10)
	up := make(chan bool, 10)
	defer f.link.Watch(func(t area.Trunk) { said <- t }, func(is bool) { up <- is })()
	f.link.Want("lead", true)
	defer f.link.Want("lead", false)
	r.Ready(l.Addr().String(), "http://:1", r.Term+1)
	for {
		select {
		case <-ctx.Done():
			return nil
		case p := <-r.Changed:
			r.Heard(p.Rev)
		case term := <-r.Rivals:
			r.Ready(l.Addr().String(), "http://:1", term+1)
		case <-up:
		case t := <-said:
			switch t.Reason {
			case "hub":
				return leader.ErrHubLeads
			case "fail":
				return errors.New("it cannot")
			case "die":
				os.Exit(7)
			default: // is said again
				if err := f.link.Send(area.Trunk{Op: area.TrunkStored, Area: t.Area, Work: t.Work}); err != nil {
					return err
				}
			}
		}
	}
}

// line is a connection to a hub that is the test.
type line struct {
	said chan area.Trunk

	mu      sync.Mutex
	up      bool
	wants   map[string]bool
	heard   func(area.Trunk)
	changed func(bool)
	doc     func([]byte)
}

func newLine() *line {
	return &line{said: make(chan area.Trunk, 100), up: true, wants: map[string]bool{}}
}

func (l *line) Want(why string, wanted bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wants[why] = wanted
}

func (l *line) wanted(why string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.wants[why]
}

func (l *line) Up() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.up
}

func (l *line) Send(t area.Trunk) error { l.said <- t; return nil }

func (l *line) Watch(heard func(area.Trunk), changed func(bool)) func() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heard, l.changed = heard, changed
	return func() {}
}

func (l *line) Documents(heard func([]byte)) (func(), error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.doc = heard
	return func() {}, nil
}

// says says something as the hub.
func (l *line) says(t area.Trunk) {
	l.mu.Lock()
	heard := l.heard
	l.mu.Unlock()
	t.Area, t.Life = "north", "hub"
	heard(t)
}

var roster = area.Peers{V: 1, Rev: 1, Area: "north", Name: "North Wing", Hub: "hub-1", Topology: area.TopologyLocal, Mode: area.ModeAvailable, Policy: area.PolicyStop,
	LeaseMs: 3000, Volume: 70, Key: make([]byte, area.AreaKeySize), Members: []area.Member{{Device: "gate-1", MID: "m1", Index: 16, Addr: "127.0.0.1:7946"}}}

// reign is one, as the member sees it.
type reign struct {
	leader.Reign
	changed chan area.Peers
	rivals  chan uint64
	ready   chan string
	terms   chan uint64
	heard   chan uint64
	docs    chan string
}

func newReign() reign {
	r := reign{changed: make(chan area.Peers, 1), rivals: make(chan uint64, 1), ready: make(chan string, 10), terms: make(chan uint64, 10), heard: make(chan uint64, 10), docs: make(chan string, 10)}
	r.Reign = leader.Reign{Peers: roster, Term: 20, At: netip.MustParseAddr("127.0.0.1"), Changed: r.changed, Rivals: r.rivals,
		Ready: func(addr, _ string, term uint64) { r.ready <- addr; r.terms <- term },
		Heard: func(term uint64) { r.heard <- term }, Document: func(b []byte) { r.docs <- string(b) }}
	return r
}

// device leads until it is killed, and says where.
func device(dir string) {
	o, err := New(Config{Setup: Setup{Device: "gate-1", Dir: dir}, Release: "v1", Find: os.Executable}, newLine(), since, func() {}, silent)
	if err != nil {
		panic(err)
	}
	r := newReign()
	go func() { _ = o.Run(context.Background()) }()
	go func() { fmt.Println(<-r.ready) }()
	_ = o.Lead(context.Background(), r.Reign)
}

// first is the first line of a program.
func first(t *testing.T, r io.Reader) string {
	t.Helper()
	text, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return text[:len(text)-1]
}
