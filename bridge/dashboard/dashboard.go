package dashboard

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
)

//go:embed all:dist
var built embed.FS

// The page needs its own scripts, styles and pictures, and connections to the
// hub it came from ('self' covers WebSockets of the same host). Nothing may
// frame it.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

const (
	forever = "public, max-age=31536000, immutable" // names under assets change with their content
	always  = "no-cache"                            // asked for each time, by its ETag
)

// types are the kinds of files that a build makes. They are fixed here because
// the tables of the operating system differ.
var types = map[string]string{
	".html": "text/html; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".svg":  "image/svg+xml",
	".md":   "text/markdown; charset=utf-8",
}

// file is one file of the build, ready to be sent.
type file struct {
	kind, cache string
	plain       body
	packed      body // without bytes where the build made none
}

// body is the bytes of one form of a file and its name for caches.
type body struct {
	bytes []byte
	etag  string
}

// Handler serves the page at "/" and its files below it, with GET and HEAD. It
// is safe for concurrent use and holds nothing that must be closed.
func Handler() http.Handler {
	dist, err := fs.Sub(built, "dist")
	if err != nil {
		panic(err) // the name is a constant
	}
	files, err := load(dist)
	if err != nil {
		panic(err) // the files are inside the program
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { serve(w, r, files) })
}

// load reads the build into memory, by path without a leading slash.
func load(dist fs.FS) (map[string]file, error) {
	files := map[string]file{}
	err := fs.WalkDir(dist, ".", func(name string, d fs.DirEntry, err error) error {
		kind, known := types[path.Ext(name)]
		if err != nil || d.IsDir() || !known {
			return err
		}
		plain, err := read(dist, name)
		if err != nil {
			return err
		}
		packed, err := read(dist, name+".gz")
		if err != nil {
			packed = body{}
		}
		f := file{kind: kind, cache: always, plain: plain, packed: packed}
		if strings.HasPrefix(name, "assets/") {
			f.cache = forever
		}
		files[name] = f
		return nil
	})
	return files, err
}

func read(dist fs.FS, name string) (body, error) {
	b, err := fs.ReadFile(dist, name)
	if err != nil {
		return body{}, err
	}
	sum := sha256.Sum256(b)
	return body{b, `"` + hex.EncodeToString(sum[:12]) + `"`}, nil
}

func serve(w http.ResponseWriter, r *http.Request, files map[string]file) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("X-Frame-Options", "DENY") // for browsers that do not know frame-ancestors
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	name := strings.TrimPrefix(r.URL.Path, "/")
	if name == "" {
		name = "index.html"
	}
	f, ok := files[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	send(w, r, f)
}

func send(w http.ResponseWriter, r *http.Request, f file) {
	h := w.Header()
	form := f.plain
	if len(f.packed.bytes) > 0 {
		h.Set("Vary", "Accept-Encoding")
		if takesGzip(r.Header.Get("Accept-Encoding")) {
			form = f.packed
			h.Set("Content-Encoding", "gzip")
		}
	}
	h.Set("Content-Type", f.kind)
	h.Set("Cache-Control", f.cache)
	h.Set("ETag", form.etag)
	if has(r.Header.Get("If-None-Match"), form.etag) {
		h.Del("Content-Encoding")
		h.Del("Content-Type")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Length", strconv.Itoa(len(form.bytes)))
	if r.Method == http.MethodGet {
		_, _ = w.Write(form.bytes) // the client has gone; there is nobody to tell
	}
}

// has tells whether a list of tags (RFC 9110, 13.1.2) holds tag. The
// comparison is weak.
func has(list, tag string) bool {
	for one := range strings.SplitSeq(list, ",") {
		one = strings.TrimSpace(one)
		if one == "*" || strings.TrimPrefix(one, "W/") == tag {
			return true
		}
	}
	return false
}

// takesGzip reads an Accept-Encoding (RFC 9110, 12.5.3): gzip or * with a
// weight that is not 0.
func takesGzip(accept string) bool {
	star := false
	for one := range strings.SplitSeq(accept, ",") {
		coding, weight, _ := strings.Cut(one, ";")
		switch strings.ToLower(strings.TrimSpace(coding)) {
		case "gzip":
			return wanted(weight)
		case "*":
			star = wanted(weight)
		}
	}
	return star
}

func wanted(weight string) bool {
	q, ok := strings.CutPrefix(strings.ReplaceAll(strings.ToLower(weight), " ", ""), "q=")
	if !ok {
		return true
	}
	n, err := strconv.ParseFloat(q, 64)
	return err == nil && n > 0
}
