package devicehub_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

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
	log      *replay.Common
	marks    *replay.Marks
}

func newTown(t *testing.T) *town {
	return &town{t: t, log: replay.NewCommon(func(g string) bool { return !strings.HasPrefix(g, "area:") }, 0), marks: replay.NewMarks(0)}
}

// resident is a node of a town.
type resident struct {
	*site
	mux  *backplane.Mux
	name string
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
		parts.Others, parts.Marks = directory, w.marks
	})
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
