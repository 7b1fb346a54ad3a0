package dashboard

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
)

func ask(t *testing.T, method, path string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, r)
	return w.Result()
}

func content(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestPageIsAskedForEachTimeAndCarriesThePolicy(t *testing.T) {
	r := ask(t, "GET", "/")
	want := map[string]string{
		"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-cache", "Content-Security-Policy": policy,
		"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Vary": "Accept-Encoding",
	}
	for k, v := range want {
		if got := r.Header.Get(k); got != v {
			t.Errorf("%s: got %q, want %q", k, got, v)
		}
	}
	page := content(t, r)
	if strings.Contains(page, "<style") || strings.Contains(page, " style=") || regexp.MustCompile(`<script[^>]*>[^<]`).MatchString(page) {
		t.Errorf("the page has inline script or style:\n%s", page)
	}
	if r.Header.Get("ETag") == "" || r.ContentLength != int64(len(page)) {
		t.Errorf("got ETag %q and length %d, want both of %d bytes", r.Header.Get("ETag"), r.ContentLength, len(page))
	}
}

func TestEveryFileOfThePageIsThereForEver(t *testing.T) {
	page := content(t, ask(t, "GET", "/index.html"))
	files := regexp.MustCompile(`(?:src|href)="\./(assets/[^"]+)"`).FindAllStringSubmatch(page, -1)
	if len(files) < 3 {
		t.Fatalf("got %d files in the page, want script, style and icon:\n%s", len(files), page)
	}
	for _, f := range files {
		r := ask(t, "GET", "/"+f[1])
		if r.StatusCode != http.StatusOK || r.Header.Get("Cache-Control") != forever {
			t.Errorf("%s: got %d %q, want 200 and %q", f[1], r.StatusCode, r.Header.Get("Cache-Control"), forever)
		}
	}
}

func TestCompressedIsTheSame(t *testing.T) {
	plain := content(t, ask(t, "GET", "/"))
	r := ask(t, "GET", "/", "Accept-Encoding", "br, gzip;q=0.8")
	if r.Header.Get("Content-Encoding") != "gzip" {
		t.Fatalf("got encoding %q, want gzip", r.Header.Get("Content-Encoding"))
	}
	z, err := gzip.NewReader(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := b.ReadFrom(z); err != nil || b.String() != plain {
		t.Errorf("got %d bytes and %v, want the %d of the plain page", b.Len(), err, len(plain))
	}
}

func TestWhoTakesGzip(t *testing.T) {
	for accept, want := range map[string]bool{
		"": false, "gzip": true, "GZIP": true, "gzip;q=0": false, "gzip; q=0.000": false, "br": false, "*": true, "*;q=0": false,
		"*, gzip;q=0": false, "identity, gzip;q=0.5": true, "gzip;q=x": false,
	} {
		if got := takesGzip(accept); got != want {
			t.Errorf("%q: got %v, want %v", accept, got, want)
		}
	}
}

func TestKnownTagAnswersNothing(t *testing.T) {
	for _, accept := range []string{"", "gzip"} {
		tag := ask(t, "GET", "/", "Accept-Encoding", accept).Header.Get("ETag")
		for _, header := range []string{tag, `"x", W/` + tag, "*"} {
			r := ask(t, "GET", "/", "Accept-Encoding", accept, "If-None-Match", header)
			if r.StatusCode != http.StatusNotModified || content(t, r) != "" || r.Header.Get("ETag") != tag {
				t.Errorf("encoding %q, tag %q: got %d, want 304 without a body", accept, header, r.StatusCode)
			}
		}
	}
}

func TestOtherRequests(t *testing.T) {
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{"HEAD", "/", 200}, {"POST", "/", 405}, {"DELETE", "/index.html", 405}, {"GET", "/nothing", 404}, {"GET", "/index.html.gz", 404},
		{"GET", "/assets/", 404}, {"GET", "/../dashboard.go", 404},
	} {
		r := ask(t, c.method, c.path)
		if r.StatusCode != c.status {
			t.Errorf("%s %s: got %d, want %d", c.method, c.path, r.StatusCode, c.status)
		}
		if r.Header.Get("Content-Security-Policy") != policy {
			t.Errorf("%s %s: no content policy", c.method, c.path)
		}
		if c.method == "HEAD" && (content(t, r) != "" || r.ContentLength <= 0) {
			t.Errorf("HEAD: got a body or no length")
		}
	}
}

func TestFileWithoutCompressedFormIsSentPlain(t *testing.T) {
	files, err := load(fstest.MapFS{"a.css": {Data: []byte("a{}")}, "notes.txt": {Data: []byte("x")}})
	if err != nil || len(files) != 1 {
		t.Fatalf("got %d files and %v, want the one of a known kind", len(files), err)
	}
	r := httptest.NewRequest("GET", "/a.css", nil)
	r.Header.Set("Accept-Encoding", "gzip")
	w := httptest.NewRecorder()
	serve(w, r, files)
	if w.Body.String() != "a{}" || w.Header().Get("Content-Encoding") != "" {
		t.Errorf("got %q %q, want the plain bytes", w.Header().Get("Content-Encoding"), w.Body.String())
	}
}
