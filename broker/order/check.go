package order

import (
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tacet-hub/tacet/broker/area"
)

// Bounds of a request.
const (
	MaxMessage   = 4096                 // bytes: some five minutes of speech; an offer stays far below its 64 KiB
	MaxRepeat    = 10                   // DESIGN.md §3.6 does not bound it; ten minutes of one text is a fault
	MaxLanguages = 8                    // the message is said once in each
	MaxExpires   = 366 * 24 * time.Hour // as ttl_ms on the wire
	maxName      = 128                  // bytes of a name of an area or a location
)

// Kinds of orders.
const (
	KindAnnounce = "announce"
	KindPlay     = "play"
	KindDownload = area.KindDownload
)

// The defaults of a request, DESIGN.md §3.6.
const (
	DefaultChime   = "none"
	DefaultExpires = 5 * time.Minute
)

var (
	language = regexp.MustCompile(`^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,4}$`) // RFC 5646, without its rare forms
	clipName = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
)

// Check checks a request for what can be seen without knowing the site: the
// error, an [area.Error] of code invalid, has every fault. A target of "each"
// is allowed, since schedules have it; [Service.Accept] refuses it.
func Check(r area.OrderRequest) error {
	var f faults
	check(r, &f, false)
	return f.err()
}

// check adds the faults of r to f, but none to a field that has one already. A
// bare request may have neither message nor clip.
func check(r area.OrderRequest, f *faults, bare bool) {
	var found faults
	checkTarget(r.To, f, &found)
	checkSound(r, &found, bare)
	if r.ID != nil && !area.IsID(*r.ID) {
		found.add("id", "not 1 to 64 of A-Z a-z 0-9 _ -")
	}
	if r.Priority != nil && (*r.Priority < 0 || *r.Priority > area.MaxPriority) {
		found.add("priority", fmt.Sprintf("%d is not 0 to %d", int(*r.Priority), area.MaxPriority))
	}
	if r.Volume != nil && (*r.Volume < 0 || *r.Volume > 100) {
		found.add("volume", fmt.Sprintf("%d is not 0 to 100", *r.Volume))
	}
	if r.Repeat != nil && (*r.Repeat < 1 || *r.Repeat > MaxRepeat) {
		found.add("repeat", fmt.Sprintf("%d is not 1 to %d", *r.Repeat, MaxRepeat))
	}
	if r.Expires != nil && (time.Duration(*r.Expires) < time.Millisecond || time.Duration(*r.Expires) > MaxExpires) {
		found.add("expires", fmt.Sprintf("%s is not 1ms to %s", *r.Expires, area.Duration(MaxExpires)))
	}
	switch r.IfBusy {
	case "", area.BusyQueue, area.BusySkip, area.BusyInterrupt:
	default:
		found.add("if_busy", "none of queue, skip, interrupt")
	}
	for _, e := range found.wrong {
		if !f.has(e.Field) {
			f.wrong = append(f.wrong, e)
		}
	}
}

func checkTarget(to area.To, f, found *faults) {
	broken := f.has("to") || f.has("to.area") || f.has("to.location") || f.has("to.device") || f.has("to.each")
	if to.Keys() != 1 && !broken {
		found.add("to", "exactly one of area, location, device is needed")
	}
	checkName("to.area", to.Area, found)
	checkName("to.location", to.Location, found)
	checkName("to.device", to.Device, found)
	if to.Each != nil && *to.Each != "locations" {
		found.add("to.each", "can only be locations")
	}
}

func checkName(field string, p *string, found *faults) {
	if p != nil && (len(*p) == 0 || len(*p) > maxName || !utf8.ValidString(*p)) {
		found.add(field, fmt.Sprintf("not 1 to %d bytes of UTF-8", maxName))
	}
}

func checkSound(r area.OrderRequest, found *faults, bare bool) {
	switch r.Kind {
	case "", KindAnnounce, KindPlay:
		if n := given(r.Message) + given(r.Clip); n > 1 || n == 0 && !bare {
			found.add("message", "exactly one of message and clip is needed")
		}
	case KindDownload:
		checkDownload(r, found)
	case "gpio", "custom":
		found.add("kind", "no device does "+r.Kind+" yet: announce, play and download are done")
	default:
		found.add("kind", "none of announce, play, download, gpio, custom")
	}
	if r.Message != nil {
		if fault := textFault(*r.Message); fault != "" {
			found.add("message", fault)
		}
	}
	if r.Clip != nil && !clipName.MatchString(*r.Clip) {
		found.add("clip", "not sha256: and 64 hexadecimal digits in lower case")
	}
	if r.Chime != "" && !area.IsID(r.Chime) {
		found.add("chime", "not 1 to 64 of A-Z a-z 0-9 _ -")
	}
	if len(r.Languages) > MaxLanguages {
		found.add("languages", fmt.Sprintf("%d of them, at most %d", len(r.Languages), MaxLanguages))
	}
	for i, l := range r.Languages {
		if !language.MatchString(l) && i < MaxLanguages {
			found.add(fmt.Sprintf("languages.%d", i), "not a language tag such as en or pt-BR")
		}
	}
}

// checkDownload checks what sounds nothing, and so has nothing to sound.
func checkDownload(r area.OrderRequest, found *faults) {
	if r.Clip == nil {
		found.add("clip", "a download brings a clip: it is needed")
	}
	if r.Message != nil {
		found.add("message", "a download has none")
	}
	if r.Chime != "" && r.Chime != DefaultChime {
		found.add("chime", "a download has none")
	}
	if r.Repeat != nil && *r.Repeat != 1 {
		found.add("repeat", "a download is done once")
	}
	if r.IfBusy != "" && r.IfBusy != area.BusyQueue {
		found.add("if_busy", "a download waits for no silence: only queue")
	}
}

func given(p *string) int {
	if p == nil {
		return 0
	}
	return 1
}

// textFault says why a text cannot be spoken; empty: it can.
func textFault(s string) string {
	switch {
	case len(s) > MaxMessage:
		return fmt.Sprintf("%d bytes, at most %d", len(s), MaxMessage)
	case !utf8.ValidString(s):
		return "not UTF-8"
	case strings.TrimSpace(s) == "":
		return "empty"
	case strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t' }):
		return "has a control character"
	}
	return ""
}
