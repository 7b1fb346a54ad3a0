package devicehub_test

import (
	"bytes"
	"context"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/bridge/absence"
	"github.com/tacet-hub/tacet/bridge/backplane"
	"github.com/tacet-hub/tacet/bridge/devicehub"
	"github.com/tacet-hub/tacet/bridge/presence"
	"github.com/tacet-hub/tacet/bridge/replay"
	"github.com/tacet-hub/tacet/bridge/signalr"
)

// town is several nodes of one hub, joined by what a Redis-compatible server is for
// processes.
type town struct {
	t        *testing.T
	exchange backplane.Exchange
	log      *dated
	marks    *replay.Marks
	left     *rows
	looks    atomic.Int64 // ns that it takes to look who is at other nodes
}

func newTown(t *testing.T) *town {
	return &town{t: t, log: &dated{Common: replay.NewCommon(func(g string) bool { return !strings.HasPrefix(g, "area:") }, 0)}, marks: replay.NewMarks(0), left: &rows{all: map[string][]byte{}}}
}

// resident is a node of a town.
type resident struct {
	*site
	mux  *backplane.Mux
	name string
	book *absence.Book
	kill func() // its plane; its clients notice nothing
}

// node opens one more.
func (w *town) node(name string) *resident {
	w.t.Helper()
	r := &resident{name: name, mux: backplane.NewMux(w.exchange.Join(name, ""))}
	cluster := backplane.NewCluster(r.mux)
	directory := presence.New(presence.Config{Kind: backplane.KindUser + 49}, r.mux, func(id string) (presence.Conn, bool) { return r.Describe(id) })
	r.site = newSite(w.t, func(hub *signalr.Config, cfg *devicehub.Config, parts *devicehub.Parts) {
		hub.Cluster, hub.Log, hub.Repositioned = cluster, w.log, devicehub.Repositioned
		cfg.Node, cfg.NodeTimeout = name, 20*time.Second
		parts.Others, parts.Marks, parts.Log = looked{directory, &w.looks}, w.marks, w.log
		book, err := absence.New(absence.Config{Node: name}, w.left, time.Now, slog.New(slog.NewTextHandler(w.t.Output(), nil)))
		if err != nil {
			w.t.Fatal(err)
		}
		parts.Absences, r.book = book, book
	})
	w.left.watch(r.Left)
	directory.OnGone(r.Gone)
	cluster.Serve(r.Server)
	r.Server.OnChange(directory.Changed)
	ctx, end := context.WithCancel(context.Background())
	var tasks sync.WaitGroup
	tasks.Go(func() { _ = r.mux.Run(ctx) })
	tasks.Go(func() { _ = directory.Run(ctx) })
	r.kill = sync.OnceFunc(func() { end(); tasks.Wait() })
	w.t.Cleanup(func() { r.site.stop(); r.kill() })
	time.Sleep(3 * time.Second) // of the bubble: they know each other
	return r
}

// looked is a directory that takes its time.
type looked struct {
	*presence.Directory
	takes *atomic.Int64
}

func (l looked) Others(fits func(presence.Conn) bool) []presence.Conn {
	time.Sleep(time.Duration(l.takes.Load()))
	return l.Directory.Others(fits)
}

// rows is a table that all nodes have.
type rows struct {
	mu      sync.Mutex
	all     map[string][]byte
	changed []func(key string)
}

func (r *rows) watch(f func(key string)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changed = append(r.changed, f)
}

func (r *rows) Load(each func(key string, value []byte) error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for k, v := range maps.Clone(r.all) {
		if err := each(k, v); err != nil {
			return err
		}
	}
	return nil
}

func (r *rows) Get(key string) ([]byte, bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v, ok := r.all[key]
	return v, ok, nil
}

func (r *rows) Put(ctx context.Context, key string, value []byte) error { panic("nobody is away") }
func (r *rows) Delete(ctx context.Context, key string) error            { panic("nobody is away") }

func (r *rows) PutIf(_ context.Context, key string, old, value []byte) (found []byte, done bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !bytes.Equal(r.all[key], old) {
		return r.all[key], false, nil
	}
	if r.all[key] = value; value == nil {
		delete(r.all, key)
	}
	for _, f := range r.changed {
		f(key)
	}
	return nil, true, nil
}

// dated is the log that also knows when an event was.
type dated struct {
	*replay.Common
	reads atomic.Int64 // ns that it takes to read

	mu  sync.Mutex
	all []event
}

type event struct {
	group string
	at    signalr.Position
	when  time.Time
}

func (d *dated) Append(group string, record []byte, placed func(signalr.Position, error)) {
	d.Common.Append(group, record, func(at signalr.Position, err error) {
		d.mu.Lock()
		d.all = append(d.all, event{group, at, time.Now()})
		d.mu.Unlock()
		placed(at, err)
	})
}

func (d *dated) Since(ctx context.Context, group string, from signalr.Position) ([]signalr.Record, bool, error) {
	time.Sleep(time.Duration(d.reads.Load()))
	return d.Common.Since(ctx, group, from)
}

func (d *dated) Before(ctx context.Context, group string, t time.Time) (signalr.Position, bool) {
	at, err := d.Open(ctx, []string{group}, []string{""})
	if err != nil {
		return signalr.Position{}, false
	}
	before := signalr.Position{Epoch: at[0].Epoch}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range d.all {
		if e.group == group && e.at.Epoch == before.Epoch && e.when.Before(t) {
			before = e.at
		}
	}
	return before, true
}
