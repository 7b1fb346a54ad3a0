package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// warmUp is how long a load runs before it is measured.
const warmUp = time.Second

// gauge measures how often something happens, and what it costs the server.
type gauge struct {
	s     *server
	count func() int64
	begin time.Time
	n     int64
	cpu   float64
}

func (g *gauge) start() (err error) {
	g.begin, g.n = time.Now(), g.count()
	g.cpu, err = g.s.cpu()
	return err
}

// stop gives the rate a second, and the processor seconds for a million.
func (g *gauge) stop() (rate, perMillion float64, err error) {
	n, took := float64(g.count()-g.n), time.Since(g.begin).Seconds()
	cpu, err := g.s.cpu()
	if n == 0 {
		return 0, 0, fmt.Errorf("nothing happened")
	}
	return n / took, (cpu - g.cpu) / n * 1e6, err
}

// measure is start and stop around a load that is running.
func measure(ctx context.Context, s *server, length time.Duration, count func() int64) (rate, perMillion float64, err error) {
	if err := pause(ctx, warmUp); err != nil {
		return 0, 0, err
	}
	g := &gauge{s: s, count: count}
	if err := g.start(); err != nil {
		return 0, 0, err
	}
	if err := pause(ctx, length); err != nil {
		return 0, 0, err
	}
	return g.stop()
}

// fanOut is one sender and many members.
func fanOut(members, window int, variant string) func(context.Context, hubBench, func(result)) error {
	return func(ctx context.Context, b hubBench, add func(result)) error {
		return b.both(ctx, variant, func(s *server) error {
			f, err := newFan(ctx, s, members, 0, window)
			if err != nil {
				return err
			}
			defer f.end()
			rate, cpu, err := measure(ctx, s, b.length, f.delivered.Load)
			if err != nil {
				return err
			}
			add(result{Server: s.kind, Figures: map[string]float64{
				"deliveries/s": rate, "cpu_s/M": cpu, "reorders": float64(f.reorders.Load()), "gaps": float64(f.gaps.Load()),
			}})
			return nil
		})
	}
}

// echoes is fifty connections that each wait for their answer.
func echoes(ctx context.Context, b hubBench, add func(result)) error {
	const peers = 50
	return b.both(ctx, "", func(s *server) error {
		list, err := dialAll(ctx, s, "echo", peers)
		if err != nil {
			return err
		}
		var trips atomic.Int64
		var tasks sync.WaitGroup
		question := []byte(fmt.Sprintf(`{"type":1,"invocationId":"1","target":"Echo","arguments":["%0*d"]}`+"\x1e", payload, 0))
		for _, p := range list {
			tasks.Go(func() {
				for p.send(question) == nil {
					if _, err := p.next(); err != nil {
						return
					}
					trips.Add(1)
				}
			})
		}
		rate, cpu, err := measure(ctx, s, b.length, trips.Load)
		dropAll(list)
		tasks.Wait()
		if err != nil {
			return err
		}
		add(result{Server: s.kind, Figures: map[string]float64{"trips/s": rate, "cpu_s/M": cpu}})
		return nil
	})
}

// idle is what a connection costs that does nothing: of both servers, and of ours
// when it knows who everybody is.
func idle(ctx context.Context, b hubBench, add func(result)) error {
	look := func(s *server) error {
		figures, err := idleOf(ctx, s)
		if err == nil {
			add(result{Server: s.kind, Figures: figures})
		}
		return err
	}
	if err := b.both(ctx, "", look); err != nil {
		return err
	}
	return b.with(ctx, kindOurs+withAuth, look)
}

func idleOf(ctx context.Context, s *server) (map[string]float64, error) {
	const peers = 5000
	resident := func() (int, error) {
		if err := s.settle(); err != nil {
			return 0, err
		}
		return s.rss()
	}
	before, err := resident()
	if err != nil {
		return nil, err
	}
	list, err := dialAll(ctx, s, "member", peers)
	if err != nil {
		return nil, err
	}
	defer dropAll(list)
	if err := s.joined(ctx, peers); err != nil {
		return nil, err
	}
	if err := pause(ctx, warmUp); err != nil {
		return nil, err
	}
	unsettled, err := s.rss() // before anything is given back
	if err != nil {
		return nil, err
	}
	after, err := resident()
	return map[string]float64{
		"rss_kb/conn": float64(after-before) / peers / 1024, "rss_kb/conn_unsettled": float64(unsettled-before) / peers / 1024,
	}, err
}

// stuck is a fan-out to 500 members, beside whom 20 read nothing.
func stuck(ctx context.Context, b hubBench, add func(result)) error {
	const members, dead, window = 500, 20, 16
	run := func(dead int) (rate float64, err error) {
		err = b.with(ctx, kindOurs, func(s *server) error {
			list, err := dialAll(ctx, s, "member", dead)
			if err != nil {
				return err
			}
			defer dropAll(list)
			if err := s.joined(ctx, dead); err != nil {
				return err
			}
			var f *fan
			if f, err = newFan(ctx, s, members, dead, window); err != nil {
				return err
			}
			defer f.end()
			begin := time.Now()
			cut := make(chan time.Duration, 1)
			go func() { // ends with the patience at the latest, and is waited for
				defer close(cut)
				if s.await(ctx, 30*time.Second, func(is inside) bool { return is.Cut >= int64(dead) }) == nil {
					cut <- time.Since(begin)
				}
			}()
			// What counts is the time in which the stuck ones are there.
			g := &gauge{s: s, count: f.delivered.Load}
			if err := g.start(); err != nil {
				return err
			}
			if err := pause(ctx, max(b.length, 10*time.Second)); err != nil {
				return err
			}
			var cpu float64
			if rate, cpu, err = g.stop(); err != nil {
				return err
			}
			took, all := <-cut
			figures := map[string]float64{
				"deliveries/s": rate, "cpu_s/M": cpu, "reorders": float64(f.reorders.Load()), "gaps": float64(f.gaps.Load()),
			}
			if all && dead > 0 {
				figures["all_cut_after_s"] = took.Seconds()
			}
			add(result{Server: fmt.Sprintf("%d stuck", dead), Figures: figures})
			return nil
		})
		return rate, err
	}
	without, err := run(0)
	if err != nil {
		return err
	}
	with, err := run(dead)
	if err != nil {
		return err
	}
	add(result{Server: "ratio", Figures: map[string]float64{"deliveries/s": with / without}})
	return nil
}

// held is how much memory the server holds for members that read nothing, when
// each of them is sent messages of its own: the most before the first is cut.
func held(ctx context.Context, b hubBench, add func(result)) error {
	const members, step = 20, 100
	return b.with(ctx, kindOurs, func(s *server) error {
		list, err := dialAll(ctx, s, "member", members)
		if err != nil {
			return err
		}
		sender, err := dial(ctx, s, "sender")
		defer dropAll(append(list, sender))
		if err != nil {
			return err
		}
		if err := s.joined(ctx, members); err != nil {
			return err
		}
		before, err := s.heap()
		most := 0
		call := []byte(fmt.Sprintf(`{"type":1,"target":"PublishToEach","arguments":["%0*d"]}`+"\x1e", payload, 0))
		last := []byte(`{"type":1,"invocationId":"1","target":"Echo","arguments":["x"]}` + "\x1e")
		for is := before; err == nil && is.Cut == 0; is, err = s.heap() {
			most = max(most, is.Heap)
			for range step {
				if err := sender.send(call); err != nil {
					return err
				}
			}
			if err := sender.send(last); err != nil {
				return err
			}
			if _, err := sender.next(); err != nil { // the answer: everything before it was sent
				return err
			}
		}
		if err != nil {
			return err
		}
		add(result{Server: kindOurs, Figures: map[string]float64{"held_kb/stuck_member": float64(most-before.Heap) / members / 1024}})
		return nil
	})
}

// churn connects and drops, and looks whether anything stays.
func churn(ctx context.Context, b hubBench, add func(result)) error {
	const peers, atOnce = 10_000, 500
	return b.with(ctx, kindOurs, func(s *server) error {
		before, err := s.inside()
		if err != nil {
			return err
		}
		begin := time.Now()
		for range peers / atOnce {
			list, err := dialAll(ctx, s, "member", atOnce)
			if err != nil {
				return err
			}
			dropAll(list)
		}
		took := time.Since(begin)
		var after inside // the last look: one more would find the connection of this one
		err = s.await(ctx, 30*time.Second, func(is inside) bool {
			after = is
			return is.Goroutines <= before.Goroutines && is.Files <= before.Files && is.Members == 0
		})
		figures := map[string]float64{
			"connects/s": peers / took.Seconds(), "goroutines_before": float64(before.Goroutines), "goroutines_after": float64(after.Goroutines),
			"files_before": float64(before.Files), "files_after": float64(after.Files), "members_after": float64(after.Members),
		}
		add(result{Server: kindOurs, Figures: figures})
		return err
	})
}
