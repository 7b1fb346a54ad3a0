// Command otherhost hosts the test hub in a program of another kind: TLS, a path
// below others behind a prefix, names of its own for users, an upgrade that only
// pages of this host may ask for. It shows that the hub is its methods, whatever
// is around them; its test calls both hosts and compares.
//
//	go run ./bridge/signalr/conformance/otherhost -addr 127.0.0.1:5001
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"time"

	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/bridge/signalr/conformance/testhub"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	addr := flag.String("addr", "127.0.0.1:5001", "address to listen on")
	cert := flag.String("cert", "", "certificate file; without one there is no TLS")
	key := flag.String("key", "", "key file")
	flag.Parse()
	if err := run(ctx, *addr, *cert, *key); err != nil {
		fmt.Fprintln(os.Stderr, "otherhost:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, addr, cert, key string) error {
	hub, handler, err := host(slog.Default())
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	server := &http.Server{Addr: addr, Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	var running sync.WaitGroup
	running.Go(func() { _ = hub.Run(ctx) }) // never fails
	running.Go(func() { <-ctx.Done(); _ = server.Close() })
	if cert == "" {
		err = server.ListenAndServe()
	} else {
		err = server.ListenAndServeTLS(cert, key)
	}
	stop()
	running.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// host makes the hub, and where it is served: /app/live/hub.
func host(log *slog.Logger) (*signalr.Server, http.Handler, error) {
	hub, err := signalr.New(signalr.Config{
		EnableDetailedErrors: true,
		Authenticate: func(r *http.Request) (signalr.Principal, error) {
			return signalr.Principal{Name: "guest at " + r.Host, Roles: []string{"guest"}}, nil
		},
		Require: []signalr.Requirement{signalr.RequireRole("guest")},
	}, log)
	if err != nil {
		return nil, nil, err
	}
	testhub.Methods(hub)
	mux := http.NewServeMux()
	mux.Handle("/app/", http.StripPrefix("/app", hub))
	return hub, mux, nil
}
