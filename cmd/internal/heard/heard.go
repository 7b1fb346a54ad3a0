package heard

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/drivers/media"
)

// Play is a time in which a device could be heard.
type Play struct {
	Device   area.DeviceID
	Work     area.WorkID // the order; empty: none, or not known ([Sounds])
	Token    area.Token  // under which it played; 0 of [Sounds]
	From, To time.Time   // first sample, and after the last
	Open     bool        // its end is not told: it goes on, or the device died in it
}

// Length is how long it was heard.
func (p Play) Length() time.Duration { return p.To.Sub(p.From) }

// String is for failures: clock times are enough there.
func (p Play) String() string {
	const clock = "15:04:05.000"
	end := p.To.Format(clock)
	if p.Open {
		end += "…"
	}
	return fmt.Sprintf("%s %s %s–%s", p.Device, p.Work, p.From.Format(clock), end)
}

// List reads the plays of the recording at wav, in order, from its list. It may be
// called while the device records. Its error wraps os.ErrNotExist where there is no
// recording.
func List(wav string, device area.DeviceID) (plays []Play, err error) {
	f, err := os.Open(wav + ".jsonl")
	if err != nil {
		return nil, fmt.Errorf("list of %s: %w", device, err)
	}
	defer f.Close()
	opened := int64(0)
	open := false
	for in := bufio.NewScanner(f); in.Scan(); {
		var l struct {
			Event  string      `json:"event"`
			Work   area.WorkID `json:"work"`
			Token  area.Token  `json:"token"`
			UnixMs int64       `json:"unix_ms"`
		}
		if json.Unmarshal(in.Bytes(), &l) != nil {
			break // half a line: it is being written, or its writer was killed
		}
		switch at := time.UnixMilli(l.UnixMs); {
		case l.Event == "open":
			opened = l.UnixMs
		case l.Event == "start":
			plays, open = append(plays, Play{Device: device, Work: l.Work, Token: l.Token, From: at, To: at, Open: true}), true
		case l.Event == "end" && open:
			last := &plays[len(plays)-1]
			last.To, last.Open, open = at, false, false
		}
	}
	if !open {
		return plays, nil
	}
	told, err := recorded(wav)
	if err != nil {
		return nil, fmt.Errorf("recording of %s: %w", device, err)
	}
	last := &plays[len(plays)-1]
	if end := time.UnixMilli(opened).Add(told); end.After(last.To) {
		last.To = end
	}
	return plays, nil
}

// recorded is the length of a recording, by its header.
func recorded(wav string) (time.Duration, error) {
	f, err := os.Open(wav)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	head := make([]byte, media.HeaderSize)
	if _, err := f.ReadAt(head, 0); err != nil {
		return 0, err
	}
	return media.Length(dataBytes(head) / 2), nil
}

// dataBytes is how many bytes of samples a header tells of.
func dataBytes(head []byte) int {
	const at = media.HeaderSize - 4
	return int(head[at]) | int(head[at+1])<<8 | int(head[at+2])<<16 | int(head[at+3])<<24
}

const (
	loud  = 30                   // of 32,768: silence has none of it
	pause = 5 * time.Millisecond // shorter than any between two plays
)

// Sounds finds when something can be heard in the samples of the recording at wav.
// Its error wraps os.ErrNotExist where there is no recording.
func Sounds(wav string, device area.DeviceID) (plays []Play, err error) {
	b, err := os.ReadFile(wav)
	if err != nil {
		return nil, fmt.Errorf("recording of %s: %w", device, err)
	}
	if len(b) <= media.HeaderSize {
		return nil, nil // nothing sounded yet
	}
	opened, err := openedAt(wav)
	if err != nil {
		return nil, fmt.Errorf("list of %s: %w", device, err)
	}
	told := min(dataBytes(b), len(b)-media.HeaderSize)
	at := func(sample int) time.Time { return opened.Add(media.Length(sample)) }
	gap, last := media.Samples(pause), 0
	for i := 0; 2*i+1 < told; i++ {
		v := int16(b[media.HeaderSize+2*i]) | int16(b[media.HeaderSize+2*i+1])<<8
		if v < loud && v > -loud {
			continue
		}
		if len(plays) == 0 || i-last > gap {
			plays = append(plays, Play{Device: device, From: at(i)})
		}
		last = i
		plays[len(plays)-1].To = at(i + 1)
	}
	return plays, nil
}

var errNoOpen = errors.New("its first line is not open")

// openedAt is when sample 0 of a recording was.
func openedAt(wav string) (time.Time, error) {
	f, err := os.Open(wav + ".jsonl")
	if err != nil {
		return time.Time{}, err
	}
	defer f.Close()
	var l struct {
		Event  string `json:"event"`
		UnixMs int64  `json:"unix_ms"`
	}
	if err := json.NewDecoder(f).Decode(&l); err != nil || l.Event != "open" {
		return time.Time{}, errors.Join(errNoOpen, err)
	}
	return time.UnixMilli(l.UnixMs), nil
}

// Join is the plays of one device, in order, with those joined that follow each
// other so closely that [Sounds] hears them as one.
func Join(plays []Play) (joined []Play) {
	for _, p := range plays {
		if n := len(joined); n > 0 && p.From.Sub(joined[n-1].To) <= pause+time.Millisecond {
			joined[n-1].To, joined[n-1].Open = p.To, p.Open
			continue
		}
		joined = append(joined, p)
	}
	return joined
}

// Sort puts plays of several devices in the order of their beginnings.
func Sort(plays []Play) {
	slices.SortFunc(plays, func(a, b Play) int { return a.From.Compare(b.From) })
}

// Overlap is two devices that could be heard at once.
type Overlap struct {
	A, B Play
	For  time.Duration
}

// String is for failures.
func (o Overlap) String() string { return fmt.Sprintf("%v over %v for %v", o.B, o.A, o.For) }

// Overlaps finds the pairs of plays of two devices that sounded at once. It sorts
// plays.
func Overlaps(plays []Play) (found []Overlap) {
	Sort(plays)
	for i, p := range plays {
		for _, q := range plays[i+1:] {
			if !q.From.Before(p.To) {
				break
			}
			end := p.To
			if q.To.Before(end) {
				end = q.To
			}
			if d := end.Sub(q.From); q.Device != p.Device && d > 0 {
				found = append(found, Overlap{p, q, d})
			}
		}
	}
	return found
}

// Whole counts, of each work in lengths, the plays that lasted as long as it is. A
// twentieth of it may be missing, since a list tells milliseconds and a recording
// ends with a chunk.
func Whole(plays []Play, lengths map[area.WorkID]time.Duration) map[area.WorkID]int {
	whole := map[area.WorkID]int{}
	for _, p := range plays {
		if d := lengths[p.Work]; d > 0 && p.Length() >= d*95/100 {
			whole[p.Work]++
		}
	}
	return whole
}
