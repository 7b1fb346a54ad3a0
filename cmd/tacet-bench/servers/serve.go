package servers

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"

	mqtt "github.com/mochi-mqtt/server/v2"
	mochiauth "github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/hooks/storage/bolt"
	"github.com/mochi-mqtt/server/v2/listeners"

	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/broker/auth"
	"github.com/tacet-hub/tacet/broker/store"
)

// ServeCommand is the argument with which the calling program is started again,
// followed by --kind and --dir; it then calls [Serve].
const ServeCommand = "mqtt-serve"

// Who a client must be at the brokers that ask, which is ours outside of the
// hub: its client id is the user's, or begins with that and a colon. Others let
// it in too.
const (
	User     = "bench"
	Password = "not a secret: it is for the loopback interface and a minute"
)

// Serve runs a broker that is a library until in ends or ctx does. It writes
// where it listens to out, as one line.
func Serve(ctx context.Context, kind Kind, dir string, in io.Reader, out io.Writer) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() { // ends with the process, as its input does
		_, _ = io.Copy(io.Discard, in)
		stop()
	}()
	switch kind {
	case Broker:
		return serveOurs(ctx, "", out)
	case Durable:
		return serveOurs(ctx, filepath.Join(dir, "tacet.db"), out)
	case Mochi:
		return serveMochi(ctx, nil, "", out)
	case Mochi1024:
		caps := mqtt.NewDefaultServerCapabilities()
		caps.MaximumClientWritesPending = 1024
		return serveMochi(ctx, caps, "", out)
	case MochiBolt:
		return serveMochi(ctx, nil, filepath.Join(dir, "mochi.db"), out)
	}
	return fmt.Errorf("no server of kind %q", kind)
}

// serveOurs runs the embedded broker, with a file on a durable store, and with a
// device that has to show its password and may use one branch of topics alone.
// Its counters are always on.
func serveOurs(ctx context.Context, file string, out io.Writer) (err error) {
	cfg := broker.Config{Addr: "127.0.0.1:0"}
	if cfg.Auth, err = doorkeeper(); err != nil {
		return err
	}
	if file != "" {
		st, err := store.Open(file)
		if err != nil {
			return err
		}
		defer st.Close()
		cfg.Store = st.State()
	}
	b, err := broker.New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	if err := b.Listen(); err != nil {
		return err
	}
	fmt.Fprintln(out, b.Addr())
	return b.Run(ctx)
}

// doorkeeper knows [User].
func doorkeeper() (*auth.Authority, error) {
	hash, err := auth.HashPassword([]byte(Password))
	if err != nil {
		return nil, err
	}
	return auth.New(auth.Config{Devices: []auth.Device{
		{Name: User, PasswordHash: hash, Publish: []string{"bench/#"}, Subscribe: []string{"bench/#"}},
	}}, nil, nil, slog.New(slog.DiscardHandler))
}

// serveMochi is the anchor: the library as it is, and with a file its own store.
func serveMochi(ctx context.Context, caps *mqtt.Capabilities, file string, out io.Writer) error {
	s := mqtt.New(&mqtt.Options{Capabilities: caps, Logger: slog.New(slog.DiscardHandler)})
	if err := s.AddHook(new(mochiauth.AllowHook), nil); err != nil {
		return err
	}
	if file != "" {
		if err := s.AddHook(new(bolt.Hook), &bolt.Options{Path: file}); err != nil {
			return err
		}
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if err := s.AddListener(listeners.NewNet("tcp", ln)); err != nil {
		return err
	}
	if err := s.Serve(); err != nil {
		return err
	}
	fmt.Fprintln(out, ln.Addr())
	<-ctx.Done()
	return s.Close()
}
