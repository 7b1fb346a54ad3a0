package devicehub

import (
	"context"
	"unicode/utf8"

	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
)

// maxClipName is the most bytes of a clip's name.
const maxClipName = 128

// uploadClip takes in a sound file that comes as a stream: each item is bytes,
// which are base64 text, or a list of numbers, where the protocol has no bytes.
func (h *Hub) uploadClip(ctx context.Context, p auth.Principal, name string, bytes signalr.Upload[[]byte]) (string, error) {
	if len(name) > maxClipName || !utf8.ValidString(name) {
		return "", area.InvalidField("name", "not text of at most %d bytes", maxClipName)
	}
	if err := mayKeep(p); err != nil {
		return "", err
	}
	return h.Clips.Upload(ctx, name, &stream{ctx: ctx, from: bytes})
}

// mayKeep refuses whose clips are not kept: who may announce nowhere, devices
// among them, and who is of another tenant.
func mayKeep(p auth.Principal) error {
	switch {
	case foreign(p):
		return area.Errorf(area.CodeForbidden, "this version keeps nothing for tenant %s", p.Tenant)
	case p.Kind == auth.KindDevice:
		return p.May(auth.Announce, p.Area)
	}
	return speaks(p)
}

// stream reads the items of an upload as one text.
type stream struct {
	ctx  context.Context
	from signalr.Upload[[]byte]
	rest []byte
}

// Read answers what is left of an item, or waits for the next.
func (s *stream) Read(p []byte) (n int, err error) {
	for len(s.rest) == 0 {
		if s.rest, err = s.from.Next(s.ctx); err != nil {
			return 0, err
		}
	}
	n = copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}
