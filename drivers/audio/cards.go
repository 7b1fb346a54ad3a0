package audio

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Card is a sound card as the kernel lists it.
type Card struct {
	Number   int
	ID       string // "Headphones"
	Driver   string // "USB-Audio"
	Name     string // for people
	Playback []int  // its PCM devices that play
	Capture  []int  // and those that record
}

var (
	cardLine = regexp.MustCompile(`(?m)^ *(\d+) \[([^\]]*?) *\]: (.*?) - (.*)$`)
	pcmLine  = regexp.MustCompile(`(?m)^(\d+)-(\d+): (.*)$`)
)

// Cards reads a list of cards; proc is /proc/asound. A machine without any has
// none of its files: that is an error that wraps fs.ErrNotExist.
func Cards(proc fs.FS) ([]Card, error) {
	list, err := fs.ReadFile(proc, "cards")
	if err != nil {
		return nil, fmt.Errorf("no sound in this kernel: %w", err)
	}
	pcms, err := fs.ReadFile(proc, "pcm")
	if err != nil {
		return nil, fmt.Errorf("no sound in this kernel: %w", err)
	}
	var cards []Card
	for _, m := range cardLine.FindAllStringSubmatch(string(list), -1) {
		n, _ := strconv.Atoi(m[1]) // digits
		cards = append(cards, Card{Number: n, ID: m[2], Driver: m[3], Name: m[4]})
	}
	for _, m := range pcmLine.FindAllStringSubmatch(string(pcms), -1) {
		n, _ := strconv.Atoi(m[1])
		dev, _ := strconv.Atoi(m[2])
		i := slices.IndexFunc(cards, func(c Card) bool { return c.Number == n })
		if i < 0 {
			continue // it has come in between
		}
		if strings.Contains(m[3], ": playback ") {
			cards[i].Playback = append(cards[i].Playback, dev)
		}
		if strings.Contains(m[3], ": capture ") {
			cards[i].Capture = append(cards[i].Capture, dev)
		}
	}
	return cards, nil
}

// rank is how likely the loudspeaker hangs on a card: somebody has plugged in a
// USB card or a HAT on purpose; the socket of the board and HDMI are just there.
func (c Card) rank() int {
	has := func(s string) bool { return strings.Contains(strings.ToLower(c.Driver+" "+c.ID), s) }
	switch {
	case has("usb-audio"):
		return 0
	case has("hdmi"):
		return 4
	case has("loopback"), has("dummy"):
		return 3
	case has("bcm2835"), has("headphones"):
		return 2
	}
	return 1
}

// address is a PCM device.
type address struct {
	card, device int
	capture      bool
	name         string // "hw:Headphones,0"
}

func (a address) path() string {
	way := "p"
	if a.capture {
		way = "c"
	}
	return fmt.Sprintf("/dev/snd/pcmC%dD%d%s", a.card, a.device, way)
}

// errForeign is the name of a device that only alsa-lib can open.
var errForeign = errors.New(`is no card: neither its number, its id, hw:CARD,DEVICE nor /dev/snd/pcmC…; names such as "default" are for output aplay`)

var (
	devicePath = regexp.MustCompile(`^/dev/snd/pcmC(\d+)D(\d+)[pc]$`)
	deviceName = regexp.MustCompile(`^(?:(?:plug)?hw:)?(?:CARD=)?([A-Za-z0-9_]+)(?:,(?:DEV=)?(\d+)(?:,\d+)?)?$`)
)

// find answers the devices that a name stands for, likeliest first: all where it
// is empty.
func find(cards []Card, name string, capture bool) ([]address, error) {
	devices := func(c Card) []int {
		if capture {
			return c.Capture
		}
		return c.Playback
	}
	if name == "" {
		cards = slices.Clone(cards)
		slices.SortStableFunc(cards, func(a, b Card) int { return a.rank() - b.rank() })
		var all []address
		for _, c := range cards {
			if d := devices(c); len(d) > 0 {
				all = append(all, at(c, d[0], capture))
			}
		}
		if len(all) == 0 {
			return nil, errors.New("there is no sound card")
		}
		return all, nil
	}
	id, dev, err := parseName(name)
	if err != nil {
		return nil, fmt.Errorf("%q %w", name, err)
	}
	for _, c := range cards {
		if c.ID != id && strconv.Itoa(c.Number) != id {
			continue
		}
		if d := devices(c); dev < 0 && len(d) > 0 {
			dev = d[0]
		} else if !slices.Contains(d, dev) {
			return nil, fmt.Errorf("card %q has no such device; it has %v", name, d)
		}
		return []address{at(c, dev, capture)}, nil
	}
	return nil, fmt.Errorf("there is no card %q, but %s", name, ids(cards))
}

func at(c Card, dev int, capture bool) address {
	return address{card: c.Number, device: dev, capture: capture, name: fmt.Sprintf("hw:%s,%d", c.ID, dev)}
}

// CheckCard tells what is wrong with the name of a card for [NewALSA]; whether
// there is such a card is another question.
func CheckCard(name string) error {
	if name == "" {
		return nil
	}
	if _, _, err := parseName(name); err != nil {
		return fmt.Errorf("%q %w", name, err)
	}
	return nil
}

// parseName takes a name apart; a device of -1 was not said.
func parseName(name string) (id string, dev int, err error) {
	if m := devicePath.FindStringSubmatch(name); m != nil {
		dev, _ = strconv.Atoi(m[2])
		return m[1], dev, nil
	}
	m := deviceName.FindStringSubmatch(name)
	if m == nil || m[1] == "default" || m[1] == "sysdefault" {
		return "", 0, errForeign
	}
	if m[2] == "" {
		return m[1], -1, nil
	}
	dev, err = strconv.Atoi(m[2])
	return m[1], dev, err
}

func ids(cards []Card) string {
	if len(cards) == 0 {
		return "none at all"
	}
	var names []string
	for _, c := range cards {
		names = append(names, c.ID)
	}
	return strings.Join(names, ", ")
}
