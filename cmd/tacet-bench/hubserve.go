package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"github.com/spf13/cobra"

	"github.com/tacet-hub/tacet/cmd/internal/garbage"
)

// inside is what a server tells of itself.
type inside struct {
	Heap       int   `json:"heap"` // bytes that are reachable
	Goroutines int   `json:"goroutines"`
	Files      int   `json:"files"`
	Members    int   `json:"members"`
	Cut        int64 `json:"cut"`   // connections ended because the peer is too slow
	Nodes      int   `json:"nodes"` // that this one sees, itself included; 0: it is no node
}

// serveCommand is what the benchmark starts in processes of their own.
func serveCommand() *cobra.Command {
	var kind, profile, url, node string
	c := &cobra.Command{
		Use: "hub-serve", Hidden: true, Args: cobra.NoArgs,
		Short: "Serve until standard input ends (started by tacet-bench hub)",
		RunE: func(c *cobra.Command, _ []string) error {
			stop, err := profiled(profile)
			if err != nil {
				return err
			}
			defer stop()
			return serve(c.Context(), kind, url, node, os.Stdin, c.OutOrStdout())
		},
	}
	c.Flags().StringVar(&kind, "kind", kindOurs, "which server")
	c.Flags().StringVar(&url, "redis", "", "server that joins nodes; the kind is ours")
	c.Flags().StringVar(&node, "node", "", "name of this one")
	c.Flags().StringVar(&profile, "profile", "", "file for a CPU profile")
	return c
}

// profiled writes a CPU profile until stop is called; no name is none.
func profiled(name string) (stop func(), err error) {
	if name == "" {
		return func() {}, nil
	}
	f, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		_ = f.Close()
		return nil, err
	}
	return func() { pprof.StopCPUProfile(); _ = f.Close() }, nil
}

func serve(ctx context.Context, kind, url, node string, in io.Reader, out io.Writer) error {
	raiseFiles()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	mux := http.NewServeMux()
	var look func() inside
	run := func(context.Context) error { return nil }
	switch strings.TrimSuffix(kind, overTLS) {
	case kindOurs, kindOurs + withAuth:
		join, err := newJoin(url, node)
		if err != nil {
			return err
		}
		defer join.close()
		hub, err := oursHub(strings.HasSuffix(kind, withAuth), join.cluster())
		if err != nil {
			return err
		}
		mux.Handle("/hub", hub)
		look = func() inside {
			return inside{Members: len(hub.Members(group)), Cut: int64(hub.Stats().SlowDisconnects), Nodes: join.nodes()}
		}
		run = func(ctx context.Context) error { return join.run(ctx, hub) }
		defer garbage.Spread()() // as tacet serve does
	case kindRaw:
		hub := &rawHub{members: make(map[*websocket.Conn]bool)}
		mux.Handle("/hub", hub)
		look = hub.look
	default:
		return fmt.Errorf("no server of kind %q", kind)
	}
	mux.HandleFunc("/inside", func(w http.ResponseWriter, _ *http.Request) {
		is := look()
		is.Goroutines, is.Files = runtime.NumGoroutine(), openFiles()
		_ = json.NewEncoder(w).Encode(is) // an error means that nobody wants to know
	})
	mux.HandleFunc("/heap", func(w http.ResponseWriter, _ *http.Request) {
		is := look()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		is.Heap = int(m.HeapAlloc)
		_ = json.NewEncoder(w).Encode(is) // an error means that nobody wants to know
	})
	mux.HandleFunc("/settle", func(http.ResponseWriter, *http.Request) { debug.FreeOSMemory() })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	web := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	addr := l.Addr()
	if isSecure(kind) {
		certificate, err := selfSigned()
		if err != nil {
			return err
		}
		l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{certificate}})
	}
	var tasks sync.WaitGroup
	tasks.Go(func() { _ = web.Serve(l) }) // ends with Close
	tasks.Go(func() { _ = run(ctx) })     // ends with ctx
	fmt.Fprintln(out, addr)               // whoever started us waits for it
	_, err = io.Copy(io.Discard, in)      // until we are no longer wanted
	stop()
	_ = web.Close()
	tasks.Wait()
	return err
}

// rawHub is the anchor: the least that a server can do with the library.
type rawHub struct {
	mu      sync.Mutex
	members map[*websocket.Conn]bool
	cut     int64
}

func (h *rawHub) look() inside {
	h.mu.Lock()
	defer h.mu.Unlock()
	return inside{Members: len(h.members), Cut: h.cut}
}

var upgrader = websocket.Upgrader{ReadBufferSize: 512, WriteBufferPool: &sync.Pool{}}

func (h *rawHub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ws, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	member := r.URL.Query().Get("role") == "member"
	if member {
		h.mu.Lock()
		h.members[ws] = true
		h.mu.Unlock()
	}
	go h.read(ws, r.URL.Query().Get("role")) // until the socket ends; the request's goroutine and buffers are freed
}

func (h *rawHub) read(ws *websocket.Conn, role string) {
	defer h.drop(ws)
	for {
		kind, p, err := ws.ReadMessage()
		if err != nil {
			return
		}
		switch role {
		case "sender":
			if h.publish(kind, p) != nil {
				return
			}
		case "echo":
			_ = ws.SetWriteDeadline(time.Now().Add(writeTimeout))
			if ws.WriteMessage(kind, p) != nil {
				return
			}
		}
	}
}

// writeTimeout is how long a peer of the raw server may take nothing.
const writeTimeout = 10 * time.Second

func (h *rawHub) publish(kind int, p []byte) error {
	m, err := websocket.NewPreparedMessage(kind, p)
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for ws := range h.members {
		_ = ws.SetWriteDeadline(time.Now().Add(writeTimeout))
		if err := ws.WritePreparedMessage(m); err != nil {
			h.cut++
			delete(h.members, ws)
			_ = ws.Close()
		}
	}
	return nil
}

func (h *rawHub) drop(ws *websocket.Conn) {
	h.mu.Lock()
	delete(h.members, ws)
	h.mu.Unlock()
	_ = ws.Close()
}

// openFiles counts the descriptors of this process; 0 where that is unknown.
func openFiles() int {
	list, err := os.ReadDir("/proc/self/fd")
	if errors.Is(err, os.ErrNotExist) {
		return 0
	}
	return len(list)
}
