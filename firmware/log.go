package firmware

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// Of what is sent of the log: at most so much in a message, and as many
// messages as are needed for what was asked for.
const (
	logLines   = 100 // where nobody says how many
	logMessage = 16 << 10
	logEvery   = time.Second // a request that comes sooner is not answered
)

// Logged is a message on tacet/device/{device}/log: lines of the device's log,
// oldest first.
type Logged struct {
	V       int      `json:"v"`
	Boot    uint64   `json:"boot"`   // of the start that sends it
	Reason  string   `json:"reason"` // request, or crash: the last lines before the last crash
	Part    int      `json:"part"`   // of Parts, from 1
	Parts   int      `json:"parts"`
	Skipped uint64   `json:"skipped"` // lines before these, since the start, that are not sent
	Lines   []string `json:"lines"`
}

// logTopic is where a device sends its log.
func (a *Agent) logTopic() string { return area.Root + "/device/" + string(a.cfg.Device) + "/log" }

// sendLog sends the last lines: n of them, or {"lines":n}; 100 where the payload
// is empty.
func (a *Agent) sendLog(payload []byte) error {
	n, err := linesOf(payload)
	if err != nil {
		return err
	}
	if a.Ring == nil {
		return errNoLog
	}
	if now := a.now(); now < a.logged.Add(logEvery) && a.logged != 0 {
		return errTooSoon
	}
	a.logged = a.now()
	lines, skipped := a.Ring.Last(n)
	a.sendLines("request", lines, skipped)
	return nil
}

// sendCrash sends what is known of the last crash, once.
func (a *Agent) sendCrash() {
	if lines := a.Memory.Crash(); lines != nil && a.link.up {
		if a.Ring != nil {
			lines = a.Ring.clean(lines)
		}
		a.sendLines("crash", lines, 0)
		if err := a.Memory.Sent(); err != nil {
			a.Log.Error("crash not forgotten", "err", err)
		}
	}
}

func (a *Agent) sendLines(reason string, lines []string, skipped uint64) {
	parts := cut(lines, logMessage)
	for i, part := range parts {
		b, err := json.Marshal(Logged{V: 1, Boot: a.shared.boot.Load(), Reason: reason, Part: i + 1, Parts: len(parts), Skipped: skipped, Lines: part})
		if err != nil {
			return // texts have no error
		}
		a.publish(area.Message{Topic: a.logTopic(), Payload: b, QoS: 1})
		skipped += uint64(len(part))
	}
}

// cut puts lines into parts of about size bytes; there is at least one part.
func cut(lines []string, size int) [][]string {
	parts, n := [][]string{{}}, 0
	for _, l := range lines {
		l = strings.ToValidUTF8(l, "?")
		if n += len(l) + 3; n > size {
			parts, n = append(parts, []string{}), len(l)
		}
		last := len(parts) - 1
		parts[last] = append(parts[last], l)
	}
	return parts
}

func linesOf(payload []byte) (int, error) {
	if len(strings.TrimSpace(string(payload))) == 0 {
		return logLines, nil
	}
	n, err := numberOf(payload, "lines")
	if err != nil || n < 1 || n > ringLines {
		return 0, errPayload
	}
	return int(n), nil
}
