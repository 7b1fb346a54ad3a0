package hubd

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/cmd/internal/conf"
)

// hostileHTTP is what is said on a connection of its own to the web listener,
// HOST standing for its address. It must be answered with one of the statuses,
// or, where 0 is among them, by the end of the connection; and with one answer.
var hostileHTTP = []struct {
	name, say string
	want      []int
}{
	// Sizes.
	{"a header of 70,000 bytes", "GET /healthz HTTP/1.1\r\nHost: HOST\r\nX: " + strings.Repeat("x", 70000) + "\r\n\r\n", []int{431}},
	{"10,000 headers", "GET /healthz HTTP/1.1\r\nHost: HOST\r\n" + strings.Repeat("X: y\r\n", 20000) + "\r\n", []int{431}},
	{"a query of 100,000 bytes", "GET /healthz?" + strings.Repeat("q", 100000) + " HTTP/1.1\r\nHost: HOST\r\n\r\n", []int{414, 431}},
	{"a cookie of 70,000 bytes", "GET /healthz HTTP/1.1\r\nHost: HOST\r\nCookie: a=" + strings.Repeat("x", 70000) + "\r\n\r\n", []int{431}},
	{"a body of 2 MiB", post("/api/v1/orders", "Content-Type: application/json\r\nContent-Length: 2097152", "{\"message\":\""+strings.Repeat("x", 1<<21)), []int{413}},
	{"a body that is said to be 1 TiB", post("/api/v1/orders", "Content-Type: application/json\r\nContent-Length: 1099511627776", "{"), []int{413}},
	{"chunks without end", post("/api/v1/orders", "Content-Type: application/json\r\nTransfer-Encoding: chunked", strings.Repeat("10000\r\n"+strings.Repeat("x", 0x10000)+"\r\n", 40)), []int{400, 413}},
	{"a bomb of gzip", post("/api/v1/orders", "Content-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: 23", "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\xed\xc1\x01\x01\x00\x00\x00\x80\x90\xfe\xaf\xee\x08"), []int{400, 415}},
	{"JSON 10,000 deep", body("/api/v1/orders", strings.Repeat("[", 10000)), []int{400}},
	{"JSON that is no text", body("/api/v1/orders", "{\"message\":\"\xff\xfe\",\"to\":{\"area\":\"north\"}}"), []int{400, 422}},

	// Two opinions of where a request ends.
	{"a length and chunks", post("/api/v1/orders", "Content-Type: application/json\r\nContent-Length: 60\r\nTransfer-Encoding: chunked", "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: HOST\r\n\r\n"), []int{400, 422}},
	{"two lengths", post("/api/v1/orders", "Content-Length: 5\r\nContent-Length: 6", "{}   x"), []int{400}},
	{"a negative length", post("/api/v1/orders", "Content-Length: -1", ""), []int{400}},
	{"a length with a sign", post("/api/v1/orders", "Content-Length: +5", "{}   "), []int{400}},
	{"a length in hexadecimal", post("/api/v1/orders", "Content-Length: 0x5", "{}   "), []int{400}},
	{"a length list", post("/api/v1/orders", "Content-Length: 5, 5", "{}   "), []int{400}},
	{"a transfer coding unheard of", post("/api/v1/orders", "Transfer-Encoding: xchunked", "0\r\n\r\n"), []int{400, 501}},
	{"chunks twice over", post("/api/v1/orders", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "0\r\n\r\n"), []int{400, 501}},
	{"chunked and identity", post("/api/v1/orders", "Transfer-Encoding: chunked, identity", "0\r\n\r\n"), []int{400, 501}},
	{"a space before the colon", post("/api/v1/orders", "Transfer-Encoding : chunked", "0\r\n\r\n"), []int{400}},
	{"a chunk of 2^64 bytes", post("/api/v1/orders", "Content-Type: application/json\r\nTransfer-Encoding: chunked", "10000000000000000\r\nx"), []int{400}},
	{"a chunk of negative size", post("/api/v1/orders", "Content-Type: application/json\r\nTransfer-Encoding: chunked", "-1\r\nx"), []int{400}},
	{"a header without a colon", "GET /healthz HTTP/1.1\r\nHost: HOST\r\nnonsense\r\n\r\n", []int{400}},
	{"a header with a zero", "GET /healthz HTTP/1.1\r\nHost: HOST\r\nX: a\x00b\r\n\r\n", []int{400}},
	{"a header without a name", "GET /healthz HTTP/1.1\r\nHost: HOST\r\n: x\r\n\r\n", []int{400}},

	// Verbs and versions.
	{"a verb unheard of", "BREW /healthz HTTP/1.1\r\nHost: HOST\r\n\r\n", []int{405, 501}},
	{"a verb in small letters", "get /healthz HTTP/1.1\r\nHost: HOST\r\n\r\n", []int{400, 405, 501}},
	{"TRACE", "TRACE / HTTP/1.1\r\nHost: HOST\r\nX-Secret: mirror\r\n\r\n", []int{405, 501}},
	{"CONNECT", "CONNECT example.org:443 HTTP/1.1\r\nHost: HOST\r\n\r\n", []int{400, 403, 404, 405}},
	{"CONNECT to here", "CONNECT HOST HTTP/1.1\r\nHost: HOST\r\n\r\n", []int{400, 403, 404, 405}},
	{"DELETE of the page", "DELETE / HTTP/1.1\r\nHost: HOST\r\n\r\n", []int{404, 405}},
	{"HTTP/0.9", "GET /healthz\r\n\r\n", []int{400, 0}},
	{"HTTP/9.9", "GET /healthz HTTP/9.9\r\nHost: HOST\r\n\r\n", []int{400, 505}},
	{"the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", []int{400, 403, 505, 0}},
	{"TLS on the port without it", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", []int{400, 0}},
	{"MQTT on the web port", "\x10\x10\x00\x04MQTT\x04\x02\x00\x0a\x00\x04gate\r\n\r\n", []int{400, 0}},

	// Whose name.
	{"no host", "GET /healthz HTTP/1.1\r\n\r\n", []int{400}},
	{"two hosts", "GET /healthz HTTP/1.1\r\nHost: HOST\r\nHost: example.org\r\n\r\n", []int{400}},
	{"another host", "GET /healthz HTTP/1.1\r\nHost: example.org\r\n\r\n", []int{403}},
	{"a host that begins like ours", "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1.example.org\r\n\r\n", []int{403}},
	{"a host behind ours", "GET /healthz HTTP/1.1\r\nHost: localhost@example.org\r\n\r\n", []int{400, 403}},
	{"a host with a path", "GET /healthz HTTP/1.1\r\nHost: localhost/../x\r\n\r\n", []int{400, 403}},
	{"another host in the request line", "GET http://example.org/healthz HTTP/1.1\r\nHost: HOST\r\n\r\n", []int{403}},
	{"another host for forwarding", "GET /api/v1/areas HTTP/1.1\r\nHost: example.org\r\nX-Forwarded-Host: localhost\r\n\r\n", []int{403}},
	{"a page of another origin", "GET /api/v1/areas HTTP/1.1\r\nHost: HOST\r\nOrigin: http://example.org\r\n\r\n", []int{403}},
	{"a page without origin", "GET /api/v1/areas HTTP/1.1\r\nHost: HOST\r\nOrigin: null\r\n\r\n", []int{403}},
	{"a page whose origin ends like ours", "GET /api/v1/areas HTTP/1.1\r\nHost: HOST\r\nOrigin: http://x-HOST\r\n\r\n", []int{403}},
	{"a preflight of another origin", "OPTIONS /api/v1/orders HTTP/1.1\r\nHost: HOST\r\nOrigin: http://example.org\r\nAccess-Control-Request-Method: POST\r\n\r\n", []int{403}},

	// Paths.
	{"a path out of the tree", "GET /../../../../etc/passwd HTTP/1.1\r\nHost: HOST\r\n\r\n", []int{301, 307, 400, 404}},
	{"a path out of the tree, encoded", "GET /%2e%2e/%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: HOST\r\n\r\n", []int{301, 307, 400, 404}},
	{"a path out of the tree, its slashes encoded", "GET /..%2f..%2f..%2fetc%2fpasswd HTTP/1.1\r\nHost: HOST\r\n\r\n", []int{301, 307, 400, 404}},
	{"a path out of the tree, encoded twice", "GET /%252e%252e/%252e%252e/etc/passwd HTTP/1.1\r\nHost: HOST\r\n\r\n", []int{400, 404}},
	{"a path out of the tree, with backslashes", "GET /..\\..\\etc\\passwd HTTP/1.1\r\nHost: HOST\r\n\r\n", []int{400, 404}},
	{"a path with a zero", "GET /index.html%00.css HTTP/1.1\r\nHost: HOST\r\n\r\n", []int{400, 404}},
	{"a path of half an escape", "GET /%zz HTTP/1.1\r\nHost: HOST\r\n\r\n", []int{400}},
	{"the repository", "GET /.git/config HTTP/1.1\r\nHost: HOST\r\n\r\n", []int{404}},
	{"the environment", "GET /.env HTTP/1.1\r\nHost: HOST\r\n\r\n", []int{404}},
	{"the profiler", "GET /debug/pprof/ HTTP/1.1\r\nHost: HOST\r\n\r\n", []int{404}},
	{"the metrics", "GET /metrics HTTP/1.1\r\nHost: HOST\r\n\r\n", []int{404}},
	{"an id out of the tree", "GET /api/v1/areas/..%2f..%2fdevices HTTP/1.1\r\nHost: HOST\r\n\r\n", []int{400, 404, 422}},
	{"an expectation unheard of", "GET /healthz HTTP/1.1\r\nHost: HOST\r\nExpect: 200-maybe\r\n\r\n", []int{417}},

	// Slow.
	{"half a header, and no more", "GET /healthz HTTP/1.1\r\nHost: HO", []int{0, 408}},
	{"half a body, and no more", post("/api/v1/orders", "Content-Type: application/json\r\nContent-Length: 100", "{\"mess"), []int{0, 400, 408}},
	{"half a negotiation, and no more", post("/hubs/devices/negotiate?negotiateVersion=1", "Content-Length: 100", "x"), []int{0, 200, 400, 408}},
}

// post is a POST with headers of its own.
func post(path, header, body string) string {
	return "POST " + path + " HTTP/1.1\r\nHost: HOST\r\n" + header + "\r\n\r\n" + body
}

// body is a POST of JSON.
func body(path, json string) string {
	return post(path, "Content-Type: application/json\r\nContent-Length: "+strconv.Itoa(len(json)), json)
}

// TestHostileHTTP: nothing of it gets through, and the next client is served.
func TestHostileHTTP(t *testing.T) {
	t.Parallel()
	at := besieged(t, nil)
	t.Run("all", func(t *testing.T) {
		for _, c := range hostileHTTP {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				conn := dialWeb(t, at)
				go func() { _, _ = io.WriteString(conn, strings.ReplaceAll(c.say, "HOST", at)) }() // the hub may answer before it has all
				answers, text := statuses(t, conn)
				if len(answers) > 1 || len(answers) == 0 && !slices.Contains(c.want, 0) || len(answers) == 1 && !slices.Contains(c.want, answers[0]) {
					t.Errorf("answered %v %.300q, want one of %v", answers, text, c.want)
				}
				for _, leak := range []string{"root:", "mirror", "goroutine ", "Access-Control-Allow-Origin"} {
					if strings.Contains(text, leak) {
						t.Errorf("the answer has %q in it: %.300q", leak, text)
					}
				}
				healthy(t, at)
			})
		}
	})
}

// besieged runs a hub until the test ends, and answers the address of its web
// listener.
func besieged(t *testing.T, change func(*conf.Config)) string {
	t.Helper()
	_, r, stop := started(t, change)
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("the end: %v", err)
		}
	})
	return strings.TrimPrefix(r.HTTP, "http://")
}

// dialWeb opens a connection that is closed when the test ends.
func dialWeb(t *testing.T, at string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	return conn
}

// statuses reads answers until the connection ends. After the first, this end
// says that it has no more to say, so that a second can only be an answer to
// what was smuggled in.
func statuses(t *testing.T, conn net.Conn) (all []int, text string) {
	t.Helper()
	in := bufio.NewReader(conn)
	for {
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("after %d answers neither another nor the end", len(all))
			}
			return all, text
		}
		body, _ := io.ReadAll(res.Body) // what of it came
		_ = res.Body.Close()
		_ = conn.(*net.TCPConn).CloseWrite()
		all = append(all, res.StatusCode)
		var head strings.Builder
		_ = res.Header.Write(&head)
		text += head.String() + string(body)
	}
}

// healthy fails unless an ordinary client is served.
func healthy(t *testing.T, at string) {
	t.Helper()
	if code, body := get(t, "http://"+at+"/healthz"); code != http.StatusOK {
		t.Errorf("the next client: %d %s", code, body)
	}
}
