package signalrtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// hops is how often a server may send the client elsewhere.
const hops = 100

// negotiated is where to open the WebSocket, and as whom.
type negotiated struct {
	url, id  string
	stateful bool
}

type negotiateAnswer struct {
	Version     int    `json:"negotiateVersion"`
	ID          string `json:"connectionId"`
	Token       string `json:"connectionToken"`
	URL         string `json:"url"`
	AccessToken string `json:"accessToken"`
	Stateful    bool   `json:"useStatefulReconnect"`
	Error       string `json:"error"`
}

// negotiate asks the hub for a connection, following redirections. A new
// access token goes into opts.Header.
func negotiate(ctx context.Context, hubURL string, opts Options) (negotiated, error) {
	web := &http.Client{Transport: &http.Transport{DialContext: opts.NetDial, TLSClientConfig: opts.TLS, DisableKeepAlives: true}}
	for range hops {
		a, err := ask(ctx, web, hubURL, opts)
		switch {
		case err != nil:
			return negotiated{}, err
		case a.Error != "":
			return negotiated{}, errors.New(a.Error)
		case a.URL == "":
			token := a.Token
			if a.Version == 0 {
				token = a.ID
			}
			to, err := withQuery(hubURL, "", "id", token)
			return negotiated{to, a.ID, a.Stateful}, err
		}
		hubURL = a.URL
		if a.AccessToken != "" {
			opts.Header.Set("Authorization", "Bearer "+a.AccessToken)
		}
	}
	return negotiated{}, errors.New("too many redirections")
}

func ask(ctx context.Context, web *http.Client, hubURL string, opts Options) (a negotiateAnswer, err error) {
	to, err := withQuery(hubURL, "/negotiate", "negotiateVersion", "1")
	if err != nil {
		return a, err
	}
	if opts.Stateful {
		if to, err = withQuery(to, "", "useStatefulReconnect", "true"); err != nil {
			return a, err
		}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to, nil)
	if err != nil {
		return a, err
	}
	r.Header = opts.Header
	w, err := web.Do(r)
	if err != nil {
		return a, err
	}
	defer w.Body.Close()
	if w.StatusCode != http.StatusOK {
		return a, fmt.Errorf("status %d", w.StatusCode)
	}
	return a, json.NewDecoder(io.LimitReader(w.Body, 1<<20)).Decode(&a)
}

// withQuery appends to the path and adds a query value.
func withQuery(base, path, key, value string) (string, error) {
	u, err := url.Parse(base)
	if err != nil {
		return "", err
	}
	if path != "" {
		u.Path = strings.TrimRight(u.Path, "/") + path
	}
	q := u.Query()
	q.Set(key, value)
	u.RawQuery = q.Encode()
	return u.String(), nil
}
