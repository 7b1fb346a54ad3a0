package hubd

import (
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tacet-hub/tacet/bridge/api"
	"github.com/tacet-hub/tacet/bridge/rollout"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
	"github.com/tacet-hub/tacet/firmware/update"
)

// programTime is how long the download of a program may take.
const programTime = 30 * time.Minute

// updates serves the releases that devices are updated to.
type updates struct {
	shelf *update.Shelf

	asked, programs, missing, refused, damaged, bytes atomic.Uint64
}

func newUpdates(dir string) *updates { return &updates{shelf: update.NewShelf(dir)} }

// updateStats is what was counted since the start.
type updateStats struct {
	Asked    uint64 // for releases, and their parts but the program
	Programs uint64 // downloads that were begun or gone on with
	Missing  uint64 // asked for, and not there
	Refused  uint64 // to who may not read
	Damaged  uint64 // releases and programs that cannot be served as they are
	Bytes    uint64 // of programs
}

func (u *updates) stats() updateStats {
	return updateStats{Asked: u.asked.Load(), Programs: u.programs.Load(), Missing: u.missing.Load(), Refused: u.refused.Load(),
		Damaged: u.damaged.Load(), Bytes: u.bytes.Load()}
}

// updateRoutes serves the newest release for an architecture such as
// linux-arm64: the release (manifest and signature together, so that the two are
// of one build), each of them alone as it was signed, and the program, whose
// ETag is its SHA-256.
func (h *Hub) updateRoutes(mux *http.ServeMux) {
	for path, answer := range map[string]func(http.ResponseWriter, *http.Request, update.Release, update.Manifest){
		"":           h.serveRelease,
		"/manifest":  h.serveManifest,
		"/signature": h.serveSignature,
		"/program":   h.serveProgram,
	} {
		mux.HandleFunc("GET "+update.Path("{arch}")+path, func(w http.ResponseWriter, r *http.Request) {
			if err := h.mayUpdate(r); err != nil {
				h.updates.refused.Add(1)
				api.Fail(w, r, err)
				return
			}
			if h.releaseElsewhere(w, r) {
				return
			}
			release, m, err := h.updates.shelf.Release(r.PathValue("arch"))
			if err != nil {
				h.failUpdate(w, r, err)
				return
			}
			answer(w, r, release, m)
		})
	}
}

// mayUpdate lets those pass who may read, devices among them, and who is about to
// be a device.
func (h *Hub) mayUpdate(r *http.Request) error {
	if h.hasCode(r) {
		return nil
	}
	p, err := h.who.who(r)
	if err == nil {
		err = p.May(auth.Read, "")
	}
	if err == nil && p.Tenant != auth.DefaultTenant {
		err = area.Errorf(area.CodeNotFound, "nothing is kept for tenant %s", p.Tenant)
	}
	return err
}

// failUpdate answers that there is no such release, or that it cannot be served;
// the second is the operator's to see.
func (h *Hub) failUpdate(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, update.ErrNoRelease) {
		h.updates.missing.Add(1)
		api.Fail(w, r, area.Errorf(area.CodeNotFound, "no release for %.40q", r.PathValue("arch")))
		return
	}
	h.updates.damaged.Add(1)
	h.log.Error("release cannot be served", "conn", r.RemoteAddr, "err", err)
	api.Fail(w, r, area.Errorf(area.CodeInternal, "the release cannot be served"))
}

func (h *Hub) serveRelease(w http.ResponseWriter, _ *http.Request, release update.Release, _ update.Manifest) {
	h.updates.asked.Add(1)
	head := w.Header()
	head.Set("Cache-Control", "no-cache")
	head.Set("Content-Type", "application/json")
	_, _ = w.Write(release.Encode()) // the caller has gone
}

func (h *Hub) serveManifest(w http.ResponseWriter, _ *http.Request, release update.Release, _ update.Manifest) {
	h.updates.asked.Add(1)
	head := w.Header()
	head.Set("Cache-Control", "no-cache")
	head.Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, release.Manifest)
}

func (h *Hub) serveSignature(w http.ResponseWriter, _ *http.Request, release update.Release, _ update.Manifest) {
	h.updates.asked.Add(1)
	head := w.Header()
	head.Set("Cache-Control", "no-cache")
	head.Set("Content-Type", "application/octet-stream")
	_, _ = w.Write(release.Signature)
}

func (h *Hub) serveProgram(w http.ResponseWriter, r *http.Request, _ update.Release, m update.Manifest) {
	f, err := h.updates.shelf.Program(m)
	if err != nil {
		h.failUpdate(w, r, err)
		return
	}
	defer f.Close()
	h.updates.programs.Add(1)
	deadline := http.NewResponseController(w)
	_ = deadline.SetWriteDeadline(time.Now().Add(programTime)) // it has one
	defer func() { _ = deadline.SetWriteDeadline(time.Time{}) }()
	head := w.Header()
	head.Set("ETag", update.ETag(m))
	head.Set("Cache-Control", "no-cache")
	head.Set("Content-Type", "application/octet-stream")
	head.Set("Vary", "Accept-Encoding")
	out := counting{w, &h.updates.bytes}
	if takesPacked(r, update.ETag(m)) {
		head.Set("ETag", "W/"+update.ETag(m)) // the same program, not the same bytes
		head.Set("Content-Encoding", "gzip")
		zip, _ := gzip.NewWriterLevel(out, gzip.BestSpeed) // the level is valid
		if _, err := io.Copy(zip, f); err == nil {
			_ = zip.Close() // the caller has gone
		}
		return
	}
	http.ServeContent(out, r, "", m.Built, f)
}

// takesPacked tells whether a program is to be sent packed: whole, to who takes
// it so. What broke off is gone on with as it is.
func takesPacked(r *http.Request, etag string) bool {
	match := r.Header.Get("If-Match")
	return r.Method == http.MethodGet && r.Header.Get("Range") == "" && r.Header.Get("If-None-Match") == "" && (match == "" || match == etag) &&
		slices.Contains(strings.FieldsFunc(r.Header.Get("Accept-Encoding"), func(c rune) bool { return c == ',' || c == ' ' }), "gzip")
}

// counting counts the bytes of an answer. What is behind it may send a file as
// it is.
type counting struct {
	http.ResponseWriter
	n *atomic.Uint64
}

func (c counting) Write(b []byte) (int, error) {
	n, err := c.ResponseWriter.Write(b)
	c.n.Add(uint64(n))
	return n, err
}

// ReadFrom keeps the fast way from a file to a socket.
func (c counting) ReadFrom(r io.Reader) (int64, error) {
	n, err := io.Copy(c.ResponseWriter, r)
	c.n.Add(uint64(n))
	return n, err
}

// Unwrap is for http.ResponseController.
func (c counting) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// rollouts are the rollouts of REST, and what there is to roll out.
type rollouts struct {
	*rollout.Service
	h *Hub
}
