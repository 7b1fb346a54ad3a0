package deviced

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Bounds of the trade of a code.
const (
	provisionTime = 30 * time.Second
	provisionMost = 64 << 10 // bytes of an answer
)

// What [Provision] fails with, beside faults of this machine.
var (
	ErrAddress     = errors.New("is not an address")
	ErrUnreachable = errors.New("the hub does not answer")
	ErrRefused     = errors.New("the hub refused")
)

// Credential is who a device is for the hub, and where it finds it. The secret
// is in File alone.
type Credential struct {
	Device string  `json:"device"` // also its user name
	Area   string  `json:"area"`
	MQTT   string  `json:"mqtt"`
	MQTTS  *string `json:"mqtts"` // nil: the hub does not listen with TLS, or asks for a certificate there
	File   string  `json:"-"`
	CA     string  `json:"-"` // file of authorities that the hub was known by; empty: the system's
}

// Provision trades an enrolment code at the hub, an http or https address, for
// the device's credential, and writes its secret to file, which only its owner
// may read; one that is there is replaced. The file's directory is made, for its
// owner alone, where the one above is there. That the file can be written is known
// before the code is used up. The hub's certificate may be of the authorities in
// the PEM file ca; empty: the system's. It blocks for the hub, 30 s at most. The
// error is [ErrAddress] where hub is none, [ErrUnreachable] where it does not
// answer, [ErrRefused] where it does not take the code.
func Provision(ctx context.Context, hub, code, file, ca string) (Credential, error) {
	at, err := url.Parse(hub)
	if err != nil || at.Scheme != "http" && at.Scheme != "https" || at.Host == "" {
		return Credential{}, fmt.Errorf("hub %q %w such as https://hub.local:8080", hub, ErrAddress)
	}
	if code == "" {
		return Credential{}, errors.New("no code")
	}
	roots, err := Config{CAFile: ca}.tls()
	if err != nil {
		return Credential{}, err
	}
	dir := filepath.Dir(file)
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return Credential{}, fmt.Errorf("the secret's directory: %w: make it, or name another one", err)
	}
	tmp, err := os.CreateTemp(dir, filepath.Base(file)+".*") // of mode 0600
	if err != nil {
		return Credential{}, err
	}
	defer os.Remove(tmp.Name())
	defer tmp.Close()
	c, secret, err := redeem(ctx, at.JoinPath("api/v1/enrolments", code).String(), roots)
	if err != nil {
		return c, err
	}
	if _, err = tmp.WriteString(secret + "\n"); err == nil {
		err = tmp.Sync()
	}
	if err == nil {
		err = errors.Join(os.Rename(tmp.Name(), file), syncDir(dir))
	}
	if err != nil {
		return c, fmt.Errorf("the code is used up and the secret lost, make another code: %w", err)
	}
	c.File, c.CA = file, ca
	return c, nil
}

func redeem(ctx context.Context, url string, roots *tls.Config) (c Credential, secret string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, nil)
	if err != nil {
		return c, "", err
	}
	client := http.Client{Timeout: provisionTime, Transport: &http.Transport{TLSClientConfig: roots, Proxy: http.ProxyFromEnvironment}}
	defer client.CloseIdleConnections()
	res, err := client.Do(req)
	if err != nil {
		return c, "", unnamed(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, provisionMost))
	if err != nil {
		return c, "", unnamed(err)
	}
	var answer struct {
		Credential
		Secret string
		Code   string
		Detail string
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return c, "", fmt.Errorf("the hub's answer (%s) cannot be read", res.Status)
	}
	switch {
	case res.StatusCode != http.StatusOK:
		return c, "", &refusal{status: res.StatusCode, code: answer.Code, detail: answer.Detail}
	case answer.Secret == "" || answer.Device == "":
		return c, "", errors.New("the hub's answer has no secret")
	}
	return answer.Credential, answer.Secret, nil
}

// refusal is the word of a hub that trades no code.
type refusal struct {
	status       int
	code, detail string
}

// Unwrap is [ErrRefused] where the hub has judged the code, or how often it was
// asked; a fault of the hub itself is no refusal.
func (r *refusal) Unwrap() error {
	if r.status >= 400 && r.status < 500 {
		return ErrRefused
	}
	return nil
}

func (r *refusal) Error() string { return "the hub refused: " + r.code + ": " + r.detail }

// final tells whether asking again is of no use: the code is used, unknown or too
// old, or the hub has no devices that sign in.
func (r *refusal) final() bool {
	return r.status >= 400 && r.status < 500 && r.status != http.StatusTooManyRequests && r.status != http.StatusRequestTimeout
}

// unnamed is an error without the address, which has the code in it.
func unnamed(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return fmt.Errorf("%w: %w", ErrUnreachable, e.Err)
	}
	return err
}

// YAML is the keys of device.yaml that the credential fills.
func (c Credential) YAML() string {
	hub := c.MQTT
	var b strings.Builder
	if c.MQTTS != nil {
		hub = *c.MQTTS
		if c.CA == "" {
			b.WriteString("# the hub's certificate must be of an authority that this system knows; else add ca_file\n")
		}
	}
	for _, line := range []struct{ key, value string }{
		{"device", c.Device}, {"hub", hub}, {"area", c.Area}, {"username", c.Device}, {"password_file", c.File}, {"ca_file", c.CA},
	} {
		if line.value != "" {
			fmt.Fprintf(&b, "%s: %q\n", line.key, line.value)
		}
	}
	return b.String()
}
