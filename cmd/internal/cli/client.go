package cli

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tacet-hub/tacet/cmd/internal/conf"
	"github.com/tacet-hub/tacet/cmd/internal/settings"
)

const (
	defaultURL = "http://127.0.0.1:8080"
	patience   = 30 * time.Second // for one answer
	maxAnswer  = 64 << 20
)

// hubFlags say where the hub is and how its answer is shown.
type hubFlags struct {
	url, data, tokenFile, caFile string
	json                         bool
}

func (f *hubFlags) register(c *cobra.Command) {
	c.Flags().StringVar(&f.url, "url", "", "address of the hub (TACET_URL; else that of --data, else "+defaultURL+")")
	c.Flags().StringVar(&f.data, "data", "", "data directory of the hub on this machine (TACET_DATA, default ./tacet-data)")
	c.Flags().StringVar(&f.tokenFile, "token-file", "", "file with the token (else TACET_TOKEN)")
	c.Flags().StringVar(&f.caFile, "ca-file", "", "file of the authorities that the hub's certificate may be of (TACET_CA_FILE, default the system's)")
	c.Flags().BoolVar(&f.json, "json", false, "print the hub's answer as it is")
}

// client speaks to one hub.
type client struct {
	base  string // without the slash at its end
	token string
	http  *http.Client
}

// client finds the hub.
func (f *hubFlags) client(env Env) (*client, error) {
	base, err := f.find(env)
	if err != nil {
		return nil, err
	}
	if u, err := url.Parse(base); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, Usagef("%q is not the address of a hub, such as %s", base, defaultURL)
	}
	token := env.Getenv("TACET_TOKEN")
	if f.tokenFile != "" {
		if token, err = settings.Secret(f.tokenFile); err != nil {
			return nil, Usagef("--token-file: %v", err)
		}
	}
	transport, err := f.transport(env)
	if err != nil {
		return nil, err
	}
	return &client{base: strings.TrimRight(base, "/"), token: token, http: &http.Client{Timeout: patience, Transport: transport}}, nil
}

// transport believes the hub by its certificate.
func (f *hubFlags) transport(env Env) (http.RoundTripper, error) {
	file := cmp.Or(f.caFile, env.Getenv("TACET_CA_FILE"))
	if file == "" {
		return http.DefaultTransport, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, Usagef("--ca-file: %v", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, Usagef("--ca-file: %s has no certificate", file)
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	return t, nil
}

// find is the address of the hub. Who names a data directory means its hub and no other.
func (f *hubFlags) find(env Env) (string, error) {
	if u := cmp.Or(f.url, env.Getenv("TACET_URL")); u != "" {
		return u, nil
	}
	var ready struct {
		HTTP string `json:"http"`
	}
	if b, err := os.ReadFile(filepath.Join(f.directory(env), "ready.json")); err == nil && json.Unmarshal(b, &ready) == nil && ready.HTTP != "" {
		return reachable(ready.HTTP), nil
	}
	if f.data != "" {
		return "", notReady(f.data)
	}
	return defaultURL, nil
}

// notReady is the error of a data directory whose hub does not run.
func notReady(dir string) error {
	return &Error{Exit: ExitUnreachable, Code: "unreachable", Detail: "no hub says in " + dir + " that it is ready; --data names the directory of one that runs"}
}

// reachable is where this machine finds who listens there: one that is bound to every
// address is at the loopback too.
func reachable(listens string) string {
	u, err := url.Parse(listens)
	if err != nil {
		return listens
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil && ip.IsUnspecified() {
		u.Host = net.JoinHostPort("localhost", u.Port())
	}
	return u.String()
}

// directory is the data directory of the hub on this machine.
func (f *hubFlags) directory(env Env) string {
	return cmp.Or(f.data, env.Getenv("TACET_DATA"), conf.Default().Data)
}

// do sends one request below /api/v1 and answers the body. Its error is an
// [*Error].
func (c *client) do(ctx context.Context, method, path string, body any) ([]byte, error) {
	return c.ask(ctx, method, "/api/v1"+path, body)
}

// ask sends one request to a path of the hub.
func (c *client) ask(ctx context.Context, method, path string, body any) ([]byte, error) {
	var send io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		send = bytes.NewReader(b)
	}
	return c.request(ctx, c.http, method, path, "application/json", send)
}

// upload sends a file below /api/v1 and answers the body.
func (c *client) upload(ctx context.Context, path string, file io.Reader) ([]byte, error) {
	patient := *c.http
	patient.Timeout = sendTime
	return c.request(ctx, &patient, http.MethodPost, "/api/v1"+path, "application/octet-stream", file)
}

// request sends a body of some type, nil for none, and answers that of the answer.
func (c *client) request(ctx context.Context, web *http.Client, method, path, kind string, send io.Reader) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, send)
	if err != nil {
		return nil, Usagef("%v", err)
	}
	if send != nil {
		req.Header.Set("Content-Type", kind)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	res, err := web.Do(req)
	if err != nil {
		return nil, c.unreachable(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, c.unreachable(err)
	}
	if res.StatusCode >= 300 {
		return nil, refusal(res, answer)
	}
	return answer, nil
}

func (c *client) unreachable(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	return &Error{Exit: ExitUnreachable, Code: "unreachable", Detail: c.base + ": " + err.Error() + remedy(err)}
}

// remedy says what to do about a hub that does not answer as one, where that is known.
func remedy(err error) string {
	_, foreign := errors.AsType[x509.UnknownAuthorityError](err)
	switch {
	case foreign:
		return "; --ca-file names the file of an authority that is not the system's"
	case errors.Is(err, http.ErrSchemeMismatch):
		return "; it speaks http://"
	case errors.Is(err, io.EOF), strings.Contains(err.Error(), "malformed HTTP"):
		return "; is that the web listener of a hub?"
	}
	return ""
}

// refusal is the error of an answer that is none: what its problem document
// says.
func refusal(res *http.Response, body []byte) error {
	var p struct {
		Code, Title, Detail string
		Errors              []struct{ Field, Message string }
	}
	e := &Error{Exit: ExitFailed, Code: "http_" + strconv.Itoa(res.StatusCode), Detail: http.StatusText(res.StatusCode)}
	if res.StatusCode >= 400 && res.StatusCode < 500 {
		e.Exit = ExitRefused
	}
	if json.Unmarshal(body, &p) != nil || p.Code == "" {
		if bytes.Contains(body, []byte("HTTP request to an HTTPS server")) { // so net/http answers
			e.Detail += ": it speaks https://"
		}
		return e
	}
	e.Code, e.Detail = p.Code, p.Detail
	if e.Detail == "" {
		e.Detail = p.Title
	}
	for _, f := range p.Errors {
		if line := f.Field + ": " + f.Message; f.Message != e.Detail && !strings.Contains(e.Detail, line) {
			e.Detail += "; " + line
		}
	}
	if res.StatusCode == http.StatusUnauthorized {
		e.Detail += " (TACET_TOKEN or --token-file; tacet user login prints one)"
	}
	return e
}

// get reads one object and answers the body too.
func get[T any](ctx context.Context, c *client, path string) (v T, body []byte, err error) {
	body, err = c.do(ctx, http.MethodGet, path, nil)
	if err == nil {
		err = decode(body, &v)
	}
	return v, body, err
}

// all reads every page of a list.
func all[T any](ctx context.Context, c *client, path string) (items []T, err error) {
	after, mark := "", "?"
	if strings.Contains(path, "?") {
		mark = "&"
	}
	for {
		q := url.Values{"limit": {"1000"}}
		if after != "" {
			q.Set("after", after)
		}
		page, _, err := get[struct {
			Items []T
			Next  *string
		}](ctx, c, path+mark+q.Encode())
		if err != nil {
			return nil, err
		}
		items = append(items, page.Items...)
		if page.Next == nil || *page.Next == "" || *page.Next == after {
			return items, nil
		}
		after = *page.Next
	}
}

func decode(body []byte, v any) error {
	if err := json.Unmarshal(body, v); err != nil {
		return &Error{Exit: ExitFailed, Code: "internal", Detail: "the hub's answer cannot be read: " + err.Error()}
	}
	return nil
}
