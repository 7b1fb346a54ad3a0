package cases

import (
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/hooks/storage/bolt"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
)

// bare is the library that ours is built on, as it comes.
type bare struct {
	setup setup
	over  string // "pipe" or "tcp"
	log   *slog.Logger

	s    *mqtt.Server
	door *listeners.TCP
	dir  string         // of what is stored
	work sync.WaitGroup // connections over pipes
	shut sync.Once      // closing it twice is a panic
}

func startBare(set setup, over string, log *record) (server, error) {
	b := &bare{setup: set, over: over, log: slog.New(slog.NewTextHandler(log, nil))}
	if err := b.start(); err != nil {
		return nil, err
	}
	return b, nil
}

func (b *bare) start() error {
	o := &mqtt.Options{Logger: b.log}
	if b.setup.bare != nil {
		b.setup.bare(o)
	}
	b.s = mqtt.New(o)
	if err := b.s.AddHook(b.access()); err != nil {
		return err
	}
	if b.setup.refuse != "" {
		if err := b.s.AddHook(&refusing{topic: b.setup.refuse}, nil); err != nil {
			return err
		}
	}
	if b.setup.durable {
		if err := b.open(); err != nil {
			return err
		}
	}
	if b.over == "tcp" {
		b.door = listeners.NewTCP(listeners.Config{ID: "tcp", Address: "127.0.0.1:0"})
		if err := b.s.AddListener(b.door); err != nil {
			return err
		}
	}
	return b.s.Serve()
}

// access is who may do what: everybody everything, or what the setup says in
// the words of the library's ledger.
func (b *bare) access() (mqtt.Hook, any) {
	if len(b.setup.people) == 0 {
		return new(auth.AllowHook), nil
	}
	users := auth.Users{}
	for _, p := range append(pair, b.setup.people...) {
		rules := auth.Filters{}
		for _, f := range p.publish {
			if deny, ok := strings.CutPrefix(f, "!"); ok {
				rules[auth.RString(deny)] = auth.Deny
				continue
			}
			rules[auth.RString(f)] = auth.WriteOnly
		}
		for _, f := range p.subscribe {
			rules[auth.RString(f)] = auth.ReadOnly
			if slices.Contains(p.publish, f) {
				rules[auth.RString(f)] = auth.ReadWrite
			}
		}
		users[p.name] = auth.UserRule{Username: auth.RString(p.name), Password: password, ACL: rules}
	}
	return new(auth.Hook), &auth.Options{Ledger: &auth.Ledger{Users: users}}
}

func (b *bare) dial() (net.Conn, error) {
	if b.over == "tcp" {
		return net.Dial("tcp", b.addr())
	}
	near, far := pipe()
	b.work.Go(near.pump)
	s := b.s
	b.work.Go(func() { _ = s.EstablishConnection("pipe", far) }) // its error is the client's to see
	return near, nil
}

func (b *bare) addr() string { return b.door.Address() }

// open has the library keep its state by its bolt hook, in a directory that is
// gone with the broker.
func (b *bare) open() (err error) {
	if b.dir == "" {
		if b.dir, err = os.MkdirTemp("", "tacet-cases-"); err != nil {
			return err
		}
	}
	return b.s.AddHook(new(bolt.Hook), &bolt.Options{Path: filepath.Join(b.dir, "bolt.db")})
}

func (b *bare) restart() error {
	_ = b.s.Close()
	b.work.Wait()
	return b.start()
}

func (b *bare) close() {
	b.shut.Do(func() { _ = b.s.Close() })
	b.work.Wait()
	_ = os.RemoveAll(b.dir)
}

// refusing is a hook that refuses what a program has reason to refuse, in the
// way that the library's documentation suggests.
type refusing struct {
	mqtt.HookBase
	topic string
}

func (r *refusing) ID() string { return "refusing" }

func (r *refusing) Provides(event byte) bool {
	return event == mqtt.OnPublish || event == mqtt.OnConnect
}

func (r *refusing) OnPublish(_ *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	if pk.TopicName == r.topic {
		return pk, packets.ErrNotAuthorized
	}
	return pk, nil
}

// OnConnect refuses a client id of the program's own.
func (r *refusing) OnConnect(cl *mqtt.Client, _ packets.Packet) error {
	if cl.ID == "tacet-hub" {
		return packets.ErrClientIdentifierNotValid
	}
	return nil
}
