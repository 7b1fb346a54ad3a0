package servers

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/hooks/storage/bolt"
	"github.com/mochi-mqtt/server/v2/listeners"

	"github.com/tacet-hub/tacet/broker"
)

// ServeCommand is the argument with which the calling program is started again,
// followed by --kind and --dir; it then calls [Serve].
const ServeCommand = "mqtt-serve"

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
		return serveOurs(ctx, broker.Config{Addr: "127.0.0.1:0"}, out)
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

func serveOurs(ctx context.Context, cfg broker.Config, out io.Writer) error {
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

// serveMochi is the anchor: the library as it is, and with a file its own store.
func serveMochi(ctx context.Context, caps *mqtt.Capabilities, file string, out io.Writer) error {
	s := mqtt.New(&mqtt.Options{Capabilities: caps, Logger: slog.New(slog.DiscardHandler)})
	if err := s.AddHook(new(auth.AllowHook), nil); err != nil {
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
