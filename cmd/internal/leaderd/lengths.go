package leaderd

import (
	"strings"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/cmd/internal/voice"
	"github.com/tacet-hub/tacet/drivers/media"
)

// lengths knows how long an order will sound, as a hub without speech does: a clip
// is measured by who plays it.
type lengths struct{}

// unmeasured is how long a clip is taken to be.
const unmeasured = 10 * time.Second

// Duration is order.Renderer.
func (lengths) Duration(r area.OrderRequest) (time.Duration, error) {
	chime, err := media.ChimeLength(r.Chime)
	if err != nil {
		return 0, area.InvalidField("chime", "%.40q is none of %s", r.Chime, strings.Join(media.Chimes(), ", "))
	}
	var said time.Duration
	switch {
	case r.Clip != nil:
		said = unmeasured
	case r.Message != nil:
		said = voice.Estimate(*r.Message, r.Languages)
	}
	repeat := 1
	if r.Repeat != nil {
		repeat = *r.Repeat
	}
	return media.AnnounceLength(chime, said, repeat), nil
}
