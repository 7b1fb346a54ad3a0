package fetch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/bridge/signalr/signalrtest"
	"github.com/tacet-hub/tacet/broker/clip"
)

// hub is a web listener that serves clips as its handler says.
type hub struct {
	t     *testing.T
	pipe  *signalrtest.Pipe
	asked atomic.Int64

	mu   sync.Mutex
	serv http.HandlerFunc
}

const base = "http://hub:8080"

func at() string { return base }

func newHub(t *testing.T, serve http.HandlerFunc) *hub {
	h := &hub{t: t, serv: serve}
	h.pipe = signalrtest.NewPipe(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.asked.Add(1)
		h.mu.Lock()
		f := h.serv
		h.mu.Unlock()
		f(w, r)
	}))
	t.Cleanup(func() { _ = h.pipe.Close() })
	return h
}

func (h *hub) becomes(serve http.HandlerFunc) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.serv = serve
}

func (h *hub) cache(cfg Config, who WebConfig) *Cache {
	h.t.Helper()
	who.Dial = h.pipe.Dial
	if cfg.Dir == "" {
		cfg.Dir = h.t.TempDir()
	}
	c, err := Open(cfg, NewWeb(who))
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(c.Close)
	return c
}

// serves answers the bytes as the real hub does.
func serves(b []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/clips/"+clip.SumOf(b).Hex() {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("ETag", `"x"`)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b))
	}
}

// sound is so many bytes, none like its neighbours.
func sound(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 7 / 3)
	}
	return b
}

func read(t *testing.T, c *Cache, ctx context.Context, name string) ([]byte, error) {
	t.Helper()
	f, err := c.Fetch(ctx, at, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return b, nil
}

func bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, test)
}

func TestAClipIsFetchedOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := sound(100_000)
		h := newHub(t, serves(b))
		dir := t.TempDir()
		c := h.cache(Config{Dir: dir}, WebConfig{})
		var all sync.WaitGroup
		for range 8 { // at once, and then again
			all.Go(func() {
				if got, err := read(t, c, t.Context(), clip.SumOf(b).String()); err != nil || !bytes.Equal(got, b) {
					t.Errorf("%d bytes, %v", len(got), err)
				}
			})
		}
		all.Wait()
		c = h.cache(Config{Dir: dir}, WebConfig{}) // after a start
		if got, err := read(t, c, t.Context(), clip.SumOf(b).String()); err != nil || !bytes.Equal(got, b) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		if n := h.asked.Load(); n != 1 || c.Stats().Hits != 1 {
			t.Errorf("the hub was asked %d times; %+v", n, c.Stats())
		}
	})
}

func TestABrokenDownloadGoesOnWhereItWas(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := sound(300_000)
		var ranges []string
		h := newHub(t, nil)
		h.becomes(func(w http.ResponseWriter, r *http.Request) {
			ranges = append(ranges, r.Header.Get("Range"))
			switch len(ranges) {
			case 1: // the line is cut in the middle
				w.Header().Set("Content-Length", strconv.Itoa(len(b)))
				_, _ = w.Write(b[:100_000])
				panic(http.ErrAbortHandler)
			case 2: // the hub starts
				w.WriteHeader(http.StatusServiceUnavailable)
			default:
				serves(b)(w, r)
			}
		})
		c := h.cache(Config{}, WebConfig{})
		got, err := read(t, c, t.Context(), clip.SumOf(b).String())
		if err != nil || !bytes.Equal(got, b) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
		if st := c.Stats(); len(ranges) != 3 || ranges[0] != "" || !strings.HasPrefix(ranges[1], "bytes=") || ranges[2] != ranges[1] || st.Resumed != 1 || st.Bytes != uint64(len(b)) {
			t.Errorf("asked for %q; %+v", ranges, st)
		}
	})
}

// A part may be of another clip, too long, or come from a hub that knows no
// ranges: the download begins again.
func TestAPartThatDoesNotHelpIsForgotten(t *testing.T) {
	b := sound(50_000)
	whole := func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(b) }
	elsewhere := func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Range") == "" {
			whole(w, r)
			return
		}
		w.Header().Set("Content-Range", "bytes 7-49999/50000")
		w.WriteHeader(http.StatusPartialContent)
		_, _ = w.Write(b[7:])
	}
	for _, c := range []struct {
		name  string
		part  []byte
		serve http.HandlerFunc
	}{
		{"another's", make([]byte, 1000), serves(b)},
		{"too long", sound(60_000), serves(b)},
		{"no ranges", b[:1000], whole},
		{"another range", b[:1000], elsewhere},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := newHub(t, c.serve)
				cache := h.cache(Config{}, WebConfig{})
				if err := os.WriteFile(filepath.Join(cache.parts, clip.SumOf(b).Hex()), c.part, 0o600); err != nil {
					t.Fatal(err)
				}
				if got, err := read(t, cache, t.Context(), clip.SumOf(b).String()); err != nil || !bytes.Equal(got, b) {
					t.Errorf("%d bytes, %v", len(got), err)
				}
			})
		})
	}
}

func TestWhatEndsADownload(t *testing.T) {
	b := sound(1000)
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	for _, c := range []struct {
		name  string
		serve http.HandlerFunc
		want  error
		says  string
		count func(Stats) uint64
		most  time.Duration
	}{
		{"unknown", status(404), ErrMissing, "404", func(s Stats) uint64 { return s.Missing }, time.Second},
		{"no right", status(403), ErrMissing, "403", func(s Stats) uint64 { return s.Missing }, time.Second},
		{"elsewhere", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "http://other/", http.StatusFound) }, ErrMissing, "302", func(s Stats) uint64 { return s.Missing }, time.Second},
		{"wrong hash", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(sound(999)) }, ErrHash, "another clip", func(s Stats) uint64 { return s.Wrong }, time.Second},
		{"4 GB", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(4<<30))
			_, _ = w.Write(b)
		}, ErrMissing, "more than a clip", func(s Stats) uint64 { return s.Large }, time.Second},
		{"endless", func(w http.ResponseWriter, _ *http.Request) {
			for chunk := make([]byte, 64<<10); ; {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		}, ErrMissing, "more bytes", func(s Stats) uint64 { return s.Large }, time.Minute},
		{"drips for ever", func(w http.ResponseWriter, r *http.Request) {
			drip := time.NewTicker(time.Second)
			defer drip.Stop()
			for r.Context().Err() == nil {
				_, _ = w.Write([]byte("x"))
				_ = http.NewResponseController(w).Flush()
				select {
				case <-drip.C:
				case <-r.Context().Done():
				}
			}
		}, ErrMissing, "too slow", func(s Stats) uint64 { return s.Slow }, 17 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := newHub(t, c.serve)
				cache := h.cache(Config{MaxClip: 1 << 20}, WebConfig{})
				began := time.Now()
				_, err := read(t, cache, t.Context(), clip.SumOf(b).String())
				if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
					t.Errorf("%v, want %v with %q", err, c.want, c.says)
				}
				if took := time.Since(began); took > c.most || h.asked.Load() != 1 || c.count(cache.Stats()) != 1 {
					t.Errorf("after %v and %d requests; %+v", took, h.asked.Load(), cache.Stats())
				}
				if left, _ := os.ReadDir(cache.parts); c.name != "drips for ever" && len(left) > 0 {
					if stat, err := left[0].Info(); err != nil || stat.Size() > 0 {
						t.Errorf("%d bytes are left", stat.Size())
					}
				}
			})
		})
	}
}

// While a download hangs or waits others go on; it ends with its context, and
// says what was wrong.
func TestWhatIsTriedAgainUntilTheCallerHasEnough(t *testing.T) {
	bubble(t, func(t *testing.T) {
		good := sound(5000)
		h := newHub(t, func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, clip.SumOf(good).Hex()) {
				serves(good)(w, r)
				return
			}
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write(make([]byte, 10))
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done() // nothing comes any more
		})
		c := h.cache(Config{AtOnce: 2}, WebConfig{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var wait sync.WaitGroup
		wait.Go(func() {
			began := time.Now()
			_, err := read(t, c, ctx, clip.SumOf([]byte("dead")).String())
			if !errors.Is(err, ErrMissing) || time.Since(began) != time.Minute {
				t.Errorf("after %v: %v", time.Since(began), err)
			}
		})
		synctest.Wait()
		began := time.Now()
		if got, err := read(t, c, t.Context(), clip.SumOf(good).String()); err != nil || !bytes.Equal(got, good) || time.Since(began) > time.Second {
			t.Errorf("the other: %d bytes after %v, %v", len(got), time.Since(began), err)
		}
		wait.Wait()
		if st := c.Stats(); st.Retried < 3 || st.Retried > 6 {
			t.Errorf("%+v", st)
		}
	})
}

func TestTheHubMayComeLate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := sound(5000)
		h := newHub(t, serves(b))
		c := h.cache(Config{}, WebConfig{})
		asked := 0
		f, err := c.Fetch(t.Context(), func() string {
			if asked++; asked < 3 {
				return ""
			}
			return base
		}, clip.SumOf(b).String())
		if err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
		for _, name := range []string{"", "sha256:12", "../x"} {
			if _, err := c.Fetch(t.Context(), at, name); !errors.Is(err, ErrMissing) {
				t.Errorf("clip %q: %v", name, err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.Fetch(ctx, func() string { return "ftp://hub" }, clip.SumOf(nil).String()); !errors.Is(err, ErrMissing) {
			t.Errorf("no address: %v", err)
		}
	})
}

func TestTheCacheIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHub(t, nil)
		c := h.cache(Config{MaxBytes: 25_000}, WebConfig{})
		clips := [][]byte{sound(10_000), sound(10_001), sound(10_002)}
		for _, b := range clips {
			h.becomes(serves(b))
			if got, err := read(t, c, t.Context(), clip.SumOf(b).String()); err != nil || !bytes.Equal(got, b) {
				t.Fatalf("%d bytes, %v", len(got), err)
			}
			time.Sleep(time.Minute)
		}
		if st := c.Stats().Kept; st.Clips != 2 || st.Evicted != 1 || st.Bytes != 20_003 {
			t.Errorf("%+v", st)
		}
		h.becomes(serves(clips[0])) // the one used longest ago is fetched again
		if _, err := read(t, c, t.Context(), clip.SumOf(clips[0]).String()); err != nil || h.asked.Load() != 4 {
			t.Errorf("%v after %d requests", err, h.asked.Load())
		}
	})
}

// signsIn is a hub that knows gate-1 by its password, and the tokens it gave out.
func signsIn(t *testing.T, b []byte, logins *atomic.Int64, current *atomic.Int64) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/auth/login" {
			logins.Add(1)
			var in struct {
				Name, Password string
				Token          bool
			}
			if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.Name != "gate-1" || in.Password != "secret" || !in.Token {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			_, _ = io.WriteString(w, `{"name":"gate-1","token":"t`+strconv.FormatInt(current.Load(), 10)+`"}`)
			return
		}
		if r.Header.Get("Authorization") != "Bearer t"+strconv.FormatInt(current.Load(), 10) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		serves(b)(w, r)
	}
}

func TestTheDeviceSignsInOnceAndAgainWhenItIsForgotten(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, more := sound(1000), sound(2000)
		var logins, current atomic.Int64
		h := newHub(t, signsIn(t, b, &logins, &current))
		c := h.cache(Config{}, WebConfig{Name: "gate-1", Secret: "secret", Plain: true})
		if _, err := read(t, c, t.Context(), clip.SumOf(b).String()); err != nil {
			t.Fatal(err)
		}
		current.Add(1) // the hub has started again and knows no session
		h.becomes(signsIn(t, more, &logins, &current))
		if _, err := read(t, c, t.Context(), clip.SumOf(more).String()); err != nil || logins.Load() != 2 {
			t.Errorf("%v after %d logins", err, logins.Load())
		}
		wrong := h.cache(Config{}, WebConfig{Name: "gate-1", Secret: "guess", Plain: true})
		if _, err := read(t, wrong, t.Context(), clip.SumOf(b).String()); !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "refuses the device's name") || logins.Load() != 3 {
			t.Errorf("a wrong password: %v after %d logins", err, logins.Load())
		}
	})
}

func TestSecretsGoWhereTheyMay(t *testing.T) {
	for _, c := range []struct {
		name string
		who  WebConfig
		base string
		want string // the header, or that it signs in
	}{
		{"nobody", WebConfig{}, "http://hub", ""},
		{"in the clear", WebConfig{Name: "gate-1", Secret: "secret"}, "http://hub", ""},
		{"in the clear, as over MQTT", WebConfig{Name: "gate-1", Secret: "secret", Plain: true}, "http://hub", "sign in"},
		{"this machine", WebConfig{Name: "gate-1", Secret: "secret"}, "http://127.0.0.1:8080", "sign in"},
		{"a JWT", WebConfig{Name: "gate-1", Secret: "eyJh.eyJz.c2ln", Plain: true}, "http://hub", "Bearer eyJh.eyJz.c2ln"},
		{"a JWT in the clear", WebConfig{Name: "gate-1", Secret: "eyJh.eyJz.c2ln"}, "http://hub", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var shown string
				h := newHub(t, func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/auth/login" {
						shown = "sign in"
						_, _ = io.WriteString(w, `{}`) // as an open hub answers
					} else if shown == "" {
						shown = r.Header.Get("Authorization")
					}
				})
				c.who.Dial = h.pipe.Dial
				web := NewWeb(c.who)
				defer web.Close()
				res, err := web.Get(t.Context(), c.base, "/clips/x", nil)
				if err != nil {
					t.Fatal(err)
				}
				_ = res.Body.Close()
				if shown != c.want {
					t.Errorf("shown %q, want %q", shown, c.want)
				}
			})
		})
	}
}

func TestPartsAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHub(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte("half"))
		})
		c := h.cache(Config{}, WebConfig{})
		for i := range mostParts + 4 {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			if _, err := read(t, c, ctx, clip.SumOf([]byte{byte(i)}).String()); !errors.Is(err, ErrMissing) {
				t.Errorf("half a clip: %v", err)
			}
			cancel()
		}
		if parts, err := os.ReadDir(c.parts); err != nil || len(parts) > mostParts+1 {
			t.Errorf("%d parts, %v", len(parts), err)
		}
	})
}

func TestConfigTellsAllFaults(t *testing.T) {
	err := Config{AtOnce: -1}.Validate()
	for _, want := range []string{"directory", "negative"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Validate: %v, want it to name %q", err, want)
		}
	}
}
