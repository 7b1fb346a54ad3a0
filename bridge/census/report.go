package census

import (
	"encoding/json"
	"errors"

	"github.com/tacet-hub/tacet/broker/area"
)

// States of a node. The first five it says itself, the others are seen from outside.
const (
	Starting = "starting"
	Ready    = "ready"
	Degraded = "degraded"
	Draining = "draining"
	Failed   = "failed"

	Silent = "silent" // it is not known to be dead, and does not answer
	Gone   = "gone"   // it died
	Left   = "left"   // it ended in order
)

// Kinds of nodes.
const (
	KindHub  = "hub"  // broker, arbiters and web
	KindView = "view" // the web alone
)

// Bounds of what another node may say of itself.
const (
	mostAreas  = 1000
	mostReport = 64 << 10
)

// Connections counts who is connected to a node now.
type Connections struct {
	Web  int64 `json:"web"`
	MQTT int64 `json:"mqtt"`
}

// Report is what a node says of itself.
type Report struct {
	Kind        string      `json:"kind"`
	State       string      `json:"state"`
	Version     string      `json:"version"`
	StartedAt   area.Time   `json:"started_at"`
	HTTP        *string     `json:"http"` // where it listens; nil: it does not
	MQTT        *string     `json:"mqtt"`
	Connections Connections `json:"connections"`
	Areas       []area.Name `json:"areas"`        // that it arbitrates, sorted
	MessagesS   float64     `json:"messages_s"`   // of MQTT, a second
	MemoryBytes uint64      `json:"memory_bytes"` // that the process has of the system
	Backplane   Backplane   `json:"backplane"`
}

// Backplane is how a node stands to the others.
type Backplane struct {
	Mode      string `json:"mode"` // memory: it is alone; redis
	Connected bool   `json:"connected"`
	Missed    uint64 `json:"missed"` // envelopes of others that it lost, since its start
	Losses    uint64 `json:"losses"` // times that it lost the server, since its start
}

// word is a report as it is said: of two of one start the one with the higher number is
// newer, in whatever order they come.
type word struct {
	Report
	Said uint64 `json:"said"`
}

func (w word) encode() ([]byte, error) { return json.Marshal(w) }

// parseWord reads what another node says of itself.
func parseWord(b []byte) (r word, err error) {
	if len(b) > mostReport {
		return r, errors.New("census: a report is too large")
	}
	if err = json.Unmarshal(b, &r); err != nil {
		return r, err
	}
	switch {
	case r.Kind != KindHub && r.Kind != KindView:
		return r, errors.New("census: a report of an unknown kind")
	case r.State != Starting && r.State != Ready && r.State != Degraded && r.State != Draining && r.State != Failed:
		return r, errors.New("census: a report of an unknown state")
	case len(r.Areas) > mostAreas:
		return r, errors.New("census: a report has too many areas")
	}
	if r.Areas == nil {
		r.Areas = []area.Name{}
	}
	return r, nil
}

// Node is a node as another, or itself, sees it.
type Node struct {
	Node string `json:"node"`
	Self bool   `json:"self"` // it is the one that was asked
	Report
	Since   area.Time  `json:"since"`    // this start of it was first seen
	Starts  int        `json:"starts"`   // starts of it that were seen
	HeardAt *area.Time `json:"heard_at"` // newest report; nil: none yet
	LagMs   *float64   `json:"lag_ms"`   // from question to answer, the newest; nil: never measured
	GoneAt  *area.Time `json:"gone_at"`  // it is not alive since; nil: it is
}
