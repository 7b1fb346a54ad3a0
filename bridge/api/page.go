package api

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/tacet-hub/tacet/broker/area"
)

// answer is what a verb has to say.
type answer struct {
	status   int
	body     any    // nil: none
	raw      []byte // in place of body
	kind     string // media type of raw
	location string // of what was made
	replayed bool   // the answer of an earlier request

	stream func(io.Writer) error // in place of body: writes it; of media type kind
}

func ok(body any) (answer, error) { return answer{status: http.StatusOK, body: body}, nil }

func nothing() (answer, error) { return answer{status: http.StatusNoContent}, nil }

// write writes the answer; a reader's with its entity tag.
func (out answer) write(c *call) error {
	h := c.w.Header()
	if out.location != "" {
		h.Set("Location", Prefix+out.location)
	}
	if out.replayed {
		h.Set("Idempotent-Replayed", "true")
	}
	if out.stream != nil {
		return out.flow(c)
	}
	if out.body == nil && out.raw == nil {
		c.w.WriteHeader(out.status)
		return nil
	}
	raw, kind := out.raw, out.kind
	if raw == nil {
		var err error
		if raw, err = json.Marshal(out.body); err != nil {
			return err
		}
		kind = "application/json"
	}
	reads := c.Method == http.MethodGet || c.Method == http.MethodHead
	if reads {
		tag := tagOf(raw)
		h.Set("ETag", tag)
		if c.holds("If-None-Match", tag) {
			c.w.WriteHeader(http.StatusNotModified)
			return nil
		}
	}
	h.Set("Content-Type", kind)
	c.w.WriteHeader(out.status)
	if c.Method != http.MethodHead {
		_, _ = c.w.Write(raw)
	}
	return nil
}

// tagOf is the entity tag of an answer.
func tagOf(raw []byte) string {
	sum := sha256.Sum256(raw)
	return `"` + hex.EncodeToString(sum[:12]) + `"`
}

// holds tells whether a header of conditions names the tag, or any. Weak tags
// count as strong ones: a proxy that compresses makes them so.
func (c *call) holds(header, tag string) bool {
	for _, line := range c.Header.Values(header) {
		for t := range strings.SplitSeq(line, ",") {
			if t = strings.TrimPrefix(strings.TrimSpace(t), "W/"); t == "*" || t == tag {
				return true
			}
		}
	}
	return false
}

// unchanged refuses a write whose If-Match is not about the present object.
func (c *call) unchanged(now any) error {
	if len(c.Header.Values("If-Match")) == 0 {
		return nil
	}
	raw, err := json.Marshal(now)
	if err != nil {
		return err
	}
	if !c.holds("If-Match", tagOf(raw)) {
		return area.Errorf(area.CodeVersionConflict, "it has changed since it was read")
	}
	return nil
}

// list is a page of a list.
type list[T any] struct {
	Items []T     `json:"items"`
	Next  *string `json:"next"`
}

const (
	defaultLimit = 100
	maxLimit     = 1000
)

// position is what a caller wants of a list: the first limit items whose keys come after
// after.
type position struct {
	limit int
	after string
}

func (c *call) position() (p position, err error) {
	q := c.query()
	p.limit = q.number("limit", 1, maxLimit, defaultLimit)
	after, err := base64.RawURLEncoding.DecodeString(q.text("after"))
	if err != nil {
		q.fault("after", "not a position that a list gave out")
	}
	p.after = string(after)
	return p, q.err()
}

// page sorts items by their keys, which are unique, and cuts out what limit and
// after ask for.
func page[T any](c *call, items []T, key func(*T) string) (answer, error) {
	out, err := listOf(c, items, key)
	if err != nil {
		return answer{}, err
	}
	return ok(out)
}

// parted is a page of what each node of a hub has a part of, and the nodes whose part is
// not in it.
type parted[T any] struct {
	list[T]
	Missing []string `json:"missing,omitempty"`
}

func listOf[T any](c *call, items []T, key func(*T) string) (out list[T], err error) {
	at, err := c.position()
	if err != nil {
		return out, err
	}
	items = slices.Clone(items)
	slices.SortFunc(items, func(x, y T) int { return cmp.Compare(key(&x), key(&y)) })
	if at.after != "" {
		items = slices.DeleteFunc(items, func(x T) bool { return key(&x) <= at.after })
	}
	out.Items = items
	if len(items) > at.limit {
		out.Items = items[:at.limit]
		next := base64.RawURLEncoding.EncodeToString([]byte(key(&items[at.limit-1])))
		out.Next = &next
	}
	if out.Items == nil {
		out.Items = []T{}
	}
	return out, nil
}
