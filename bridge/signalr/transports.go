package signalr

import (
	"net/http"
	"strings"
)

// Transports is a set of transports, or one of them. The values are those of
// ASP.NET's HttpTransportType.
type Transports uint8

// The transports, in the order in which they are offered.
const (
	WebSockets       Transports = 1
	ServerSentEvents Transports = 2
	LongPolling      Transports = 4

	AllTransports = WebSockets | ServerSentEvents | LongPolling
)

// String returns the name that the protocol has for a transport, or those of a
// set, separated by commas.
func (t Transports) String() string {
	var names []string
	for _, known := range offered {
		if t&known.set != 0 {
			names = append(names, known.Transport)
		}
	}
	return strings.Join(names, ",")
}

// available is a transport as negotiation offers it.
type available struct {
	set       Transports
	Transport string   `json:"transport"`
	Formats   []string `json:"transferFormats"`
}

var offered = []available{
	{WebSockets, "WebSockets", []string{"Text", "Binary"}},
	{ServerSentEvents, "ServerSentEvents", []string{"Text"}},
	{LongPolling, "LongPolling", []string{"Text", "Binary"}},
}

// offers lists the transports of a set.
func (t Transports) offers() (list []available) {
	for _, a := range offered {
		if t&a.set != 0 {
			list = append(list, a)
		}
	}
	return list
}

// wanted is the transport that a GET asks for.
func wanted(r *http.Request) Transports {
	switch {
	case strings.EqualFold(r.Header.Get("Upgrade"), "websocket"):
		return WebSockets
	case accepts(r, "text/event-stream"):
		return ServerSentEvents
	}
	return LongPolling
}

// accepts says whether the Accept header names a media type.
func accepts(r *http.Request, kind string) bool {
	for _, line := range r.Header.Values("Accept") {
		for _, part := range strings.Split(line, ",") {
			name, _, _ := strings.Cut(part, ";")
			if strings.EqualFold(strings.TrimSpace(name), kind) {
				return true
			}
		}
	}
	return false
}
