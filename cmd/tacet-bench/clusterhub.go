package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tacet-hub/tacet/bridge/backplane"
	"github.com/tacet-hub/tacet/bridge/redis"
	"github.com/tacet-hub/tacet/bridge/redis/redistest"
	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/cmd/tacet-bench/servers"
)

// join is what makes a hub of ours one of several nodes. Nil is a hub that is alone.
type join struct {
	server *redis.Server
	mux    *backplane.Mux
	hub    *backplane.Cluster
}

func newJoin(url, node string) (*join, error) {
	if url == "" {
		return nil, nil
	}
	s, err := redis.NewServer(redis.Config{URL: url, Node: node})
	if err != nil {
		return nil, err
	}
	j := &join{server: s, mux: backplane.NewMux(redis.NewPlane(s))}
	j.hub = backplane.NewCluster(j.mux)
	return j, nil
}

func (j *join) cluster() signalr.Cluster {
	if j == nil {
		return nil
	}
	return j.hub
}

func (j *join) nodes() int {
	if j == nil {
		return 0
	}
	return len(j.mux.Plane().Nodes())
}

func (j *join) run(ctx context.Context, hub *signalr.Server) error {
	if j == nil {
		return hub.Run(ctx)
	}
	j.hub.Serve(hub)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return hub.Run(ctx) })
	g.Go(func() error { return j.mux.Run(ctx) })
	return g.Wait()
}

func (j *join) close() {
	if j != nil {
		j.server.Close()
	}
}

// startNodes starts nodes that see each other.
func startNodes(ctx context.Context, s *redistest.Server, n int) (list []*server, stop func(), err error) {
	stop = func() {
		for _, node := range list {
			node.stop()
		}
	}
	for i := range n {
		node, err := startServer(ctx, kindOurs, "", "--redis", s.URL(), "--node", "node-"+strconv.Itoa(i))
		if err != nil {
			stop()
			return nil, nil, err
		}
		list = append(list, node)
	}
	for _, node := range list {
		if err := node.await(ctx, 30*time.Second, func(is inside) bool { return is.Nodes == n }); err != nil {
			stop()
			return nil, nil, err
		}
	}
	return list, stop, nil
}

// fanMembers and fanWindow are the load of fan.
const (
	fanMembers = 1000
	fanWindow  = 16
)

// fanOverNodes is one sender and its group: at one node, then half of it at another.
func fanOverNodes(ctx context.Context, b *clusterBench, s *redistest.Server, add func(result)) error {
	var both []map[string]float64
	for _, n := range []int{1, 2} {
		figures, err := b.fanAt(ctx, s, n)
		if err != nil {
			return err
		}
		both = append(both, figures)
		add(result{Server: fmt.Sprintf("%d nodes", n), Figures: figures})
	}
	ratio := map[string]float64{}
	for _, name := range []string{"deliveries/s", "cpu_s/M"} {
		ratio[name] = both[1][name] / both[0][name]
	}
	add(result{Server: "ratio", Figures: ratio})
	return nil
}

// fanAt is the load on so many nodes. The processor time is that of all of them and of
// the server: on a machine that has other work too it tells more than the rate.
func (b *clusterBench) fanAt(ctx context.Context, s *redistest.Server, n int) (map[string]float64, error) {
	nodes, stop, err := startNodes(ctx, s, n)
	if err != nil {
		return nil, err
	}
	defer stop()
	f := &fan{server: nodes[0], window: make(chan struct{}, fanWindow), over: make(chan struct{})}
	for _, node := range nodes {
		list, err := dialAll(ctx, node, "member", fanMembers/n)
		if err != nil {
			return nil, err
		}
		f.members = append(f.members, list...)
		if err := node.joined(ctx, fanMembers/n); err != nil {
			return nil, err
		}
	}
	if f.sender, err = dial(ctx, nodes[0], "sender"); err != nil {
		return nil, err
	}
	if err := pause(ctx, warmUp); err != nil { // what a node wants to hear is subscribed meanwhile
		return nil, err
	}
	f.start()
	defer f.end()
	if err := pause(ctx, warmUp); err != nil {
		return nil, err
	}
	cpu, err := cpuOf(nodes, s)
	begin, before := time.Now(), f.delivered.Load()
	if err == nil {
		err = pause(ctx, b.length)
	}
	if err != nil {
		return nil, err
	}
	count, took := float64(f.delivered.Load()-before), time.Since(begin)
	after, err := cpuOf(nodes, s)
	return map[string]float64{"deliveries/s": count / took.Seconds(), "cpu_s/M": (after - cpu) / count * 1e6, "gaps": float64(f.gaps.Load())}, err
}

// cpuOf is the processor time of nodes and of the server between them, in seconds.
func cpuOf(nodes []*server, s *redistest.Server) (sum float64, err error) {
	if sum, err = servers.CPU(s.Pid()); err != nil {
		return 0, err
	}
	for _, node := range nodes {
		one, err := node.cpu()
		if err != nil {
			return 0, err
		}
		sum += one
	}
	return sum, nil
}

// churnOverNodes is connections that come and go at two nodes.
func churnOverNodes(ctx context.Context, _ *clusterBench, s *redistest.Server, add func(result)) error {
	const connections, together = 10_000, 500
	nodes, stop, err := startNodes(ctx, s, 2)
	if err != nil {
		return err
	}
	defer stop()
	round := func(n int) error {
		for left := n; left > 0; left -= together {
			for _, node := range nodes {
				peers, err := dialAll(ctx, node, "member", together/2)
				if err != nil {
					return err
				}
				err = node.joined(ctx, together/2)
				dropAll(peers)
				if err != nil {
					return err
				}
				if err := node.joined(ctx, 0); err != nil {
					return err
				}
			}
		}
		return nil
	}
	if err := round(connections / 10); err != nil { // what is made once
		return err
	}
	before, err := keptBy(nodes, s)
	if err != nil {
		return err
	}
	begin := time.Now()
	if err := round(connections); err != nil {
		return err
	}
	took := time.Since(begin)
	after, err := settledBy(ctx, nodes, s, before)
	if err != nil {
		return err
	}
	grown := map[string]float64{"connects/s": connections / took.Seconds()}
	for name := range after {
		grown[name] = after[name] - before[name]
	}
	add(result{Server: "before", Figures: before})
	add(result{Server: "grown by", Figures: grown})
	return nil
}

// settleFor is how long what serves a connection that has ended may take to end too.
const settleFor = 30 * time.Second

// settledBy is keptBy once nothing of the connections is left any more that was not
// there before, or never is.
func settledBy(ctx context.Context, nodes []*server, s *redistest.Server, before map[string]float64) (map[string]float64, error) {
	for begin := time.Now(); ; {
		after, err := keptBy(nodes, s)
		if err != nil {
			return nil, err
		}
		more := after["goroutines"] > before["goroutines"] || after["files"] > before["files"] || after["keys"] > before["keys"]
		if !more || time.Since(begin) > settleFor {
			return after, nil
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

// keptBy is what the nodes and the server have, after a collection.
func keptBy(nodes []*server, s *redistest.Server) (map[string]float64, error) {
	kept := map[string]float64{}
	for _, node := range nodes {
		is, err := node.heap()
		if err != nil {
			return nil, err
		}
		kept["heap_kb"] += float64(is.Heap) / 1024
		if is, err = node.inside(); err != nil {
			return nil, err
		}
		kept["goroutines"] += float64(is.Goroutines)
		kept["files"] += float64(is.Files)
	}
	keys, err := s.Do("DBSIZE")
	if err != nil {
		return nil, err
	}
	if kept["keys"], err = strconv.ParseFloat(keys, 64); err != nil {
		return nil, err
	}
	if kept["server_kb"], err = strconv.ParseFloat(s.Info("memory", "used_memory_dataset"), 64); err != nil {
		return nil, err
	}
	kept["server_kb"] /= 1024
	return kept, nil
}

// killNode kills one of two nodes, at the defaults of heartbeat and node timeout.
func killNode(ctx context.Context, _ *clusterBench, s *redistest.Server, add func(result)) error {
	nodes, stop, err := startNodes(ctx, s, 2)
	if err != nil {
		return err
	}
	defer stop()
	if err := pause(ctx, 6*time.Second); err != nil { // past a heartbeat
		return err
	}
	begin := time.Now()
	if err := nodes[1].cmd.Process.Kill(); err != nil {
		return err
	}
	if err := nodes[0].await(ctx, time.Minute, func(is inside) bool { return is.Nodes == 1 }); err != nil {
		return err
	}
	add(result{Server: "2 nodes", Figures: map[string]float64{"gone_s": time.Since(begin).Seconds()}})
	return nil
}
