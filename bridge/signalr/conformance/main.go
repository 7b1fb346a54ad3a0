// Command conformance serves the hub that the vendor's functional tests of
// SignalR clients talk to, so that anyone can run them against this server.
//
//	go run ./bridge/signalr/conformance -addr 127.0.0.1:5000
//
// It prints the address when it listens, and ends with an interrupt. The site is
// for tests alone: every origin may connect, and errors show their details.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/bridge/signalr/conformance/testhub"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

// run serves the site until ctx ends.
func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("conformance", flag.ContinueOnError)
	cfg := signalr.Config{AllowStatefulReconnects: true}
	addr := flags.String("addr", "127.0.0.1:5000", "address to listen on")
	lib := flags.String("lib", "", "directory to serve as /lib/, with the scripts of browser tests (signalr-webworker/…)")
	verbose := flags.Bool("v", false, "log what happens")
	flags.DurationVar(&cfg.KeepAliveInterval, "keepalive", 15*time.Second, "ping a client to which nothing was written for so long")
	flags.DurationVar(&cfg.ClientTimeoutInterval, "client-timeout", 30*time.Second, "end a client that is silent for so long")
	flags.DurationVar(&cfg.HandshakeTimeout, "handshake-timeout", 15*time.Second, "how long a client may take to shake hands")
	flags.IntVar(&cfg.MaximumReceiveMessageSize, "max-message", 32<<10, "longest hub message, in bytes")
	if err := flags.Parse(args); err != nil {
		return err
	}
	level := slog.LevelWarn
	if *verbose {
		level = slog.LevelDebug
	}
	site, err := testhub.New(cfg, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level})))
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(out, "listening on http://%s\n", listener.Addr())
	return serve(ctx, listener, site, scripts(*lib, site))
}

// scripts is the site with the files of a directory as /lib/.
func scripts(dir string, site http.Handler) http.Handler {
	if dir == "" {
		return site
	}
	files := http.StripPrefix("/lib/", http.FileServer(http.Dir(dir)))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/lib/") {
			w.Header().Set("Access-Control-Allow-Origin", "*")
			files.ServeHTTP(w, r)
			return
		}
		site.ServeHTTP(w, r)
	})
}

func serve(ctx context.Context, listener net.Listener, site *testhub.Site, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	ctx, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { _ = site.Run(ctx) }) // never fails
	running.Go(func() {
		<-ctx.Done()
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		_ = server.Shutdown(end) // what is open then is cut
		_ = server.Close()
	})
	err := server.Serve(listener)
	stop()
	running.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
