package cli

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tacet-hub/tacet/bridge/mapping"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/cmd/internal/conf"
)

// maxRecorded is the longest line of a file of recorded messages.
const maxRecorded = 1 << 20

// tried is one thing that was made of a message.
type tried struct {
	Topic   string        `json:"topic"`
	By      string        `json:"by"` // mapping, or the convention; empty: nothing
	Device  area.DeviceID `json:"device"`
	Area    string        `json:"area"` // text of the area; empty: unassigned
	What    string        `json:"what"` // reading, presence, event, group, none
	Name    string        `json:"name"` // metric, presence, event
	Channel string        `json:"channel"`
	Value   any           `json:"value"`
	Unit    string        `json:"unit"`
	Note    string        `json:"note"` // what is wrong
}

// try shows what the mappings make of messages.
func (f *mapFlags) try(c *cobra.Command, env Env) error {
	rules, err := f.rules(c.Context(), env)
	if err != nil {
		return err
	}
	reader, rows, n := mapping.NewReader(), []tried{}, 0
	each := func(topic string, payload []byte) {
		n++
		rows = append(rows, outcomeRows(topic, reader.Read(rules, mapping.Message{Topic: topic, Payload: payload, User: "client", At: time.Now()}))...)
	}
	switch {
	case f.messages != "" && f.listen != "":
		return Usagef("--messages or --listen, not both")
	case f.messages != "":
		err = f.recorded(c, each)
	case f.listen != "":
		err = f.live(c.Context(), env, each)
	default:
		return Usagef("--dry-run needs --messages or --listen")
	}
	if err != nil {
		return err
	}
	if f.json {
		body, err := json.Marshal(map[string]any{"messages": n, "items": rows})
		if err != nil {
			return err
		}
		return printJSON(c, body)
	}
	t := table{{"TOPIC", "BY", "DEVICE", "AREA", "WHAT", "NAME", "CHANNEL", "VALUE", "UNIT", "NOTE"}}
	for _, r := range rows {
		value := ""
		if r.Value != nil {
			value = valueText(r.Value)
		}
		t.row(printable(r.Topic), r.By, string(r.Device), r.Area, r.What, r.Name, r.Channel, printable(value), r.Unit, r.Note)
	}
	if err := t.print(c.OutOrStdout()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.ErrOrStderr(), "%d messages\n", n)
	return err
}

// rules is the mapping of the flags, else those of the configuration, else of the hub that
// is listened to.
func (f *mapFlags) rules(ctx context.Context, env Env) (*mapping.Table, error) {
	var list []mapping.Rule
	switch {
	case f.topic != "":
		r, err := f.rule()
		if err != nil {
			return nil, err
		}
		list = append(list, r)
	case f.config != "":
		cfg, err := conf.Check(conf.Default(), conf.Flags{Config: f.config}, env.Environ())
		if err != nil {
			return nil, err
		}
		for _, m := range cfg.Mappings {
			list = append(list, m.Rule())
		}
	case f.listen != "" && f.messages == "":
		hub, err := f.client(env)
		if err != nil {
			return nil, err
		}
		entries, err := all[mapping.Entry](ctx, hub, "/mappings")
		if err != nil {
			return nil, err
		}
		slices.SortFunc(entries, asTried)
		for _, e := range entries {
			list = append(list, e.Rule)
		}
	}
	return mapping.Compile(list)
}

// asTried is the order in which a hub tries its mappings: those of its configuration,
// whose ids end in their number, and then the others by their ids.
func asTried(a, b mapping.Entry) int {
	if a.Source != b.Source {
		return strings.Compare(string(b.Source), string(a.Source)) // config, api
	}
	if a.Source == area.SourceConfig {
		return cmp.Or(cmp.Compare(len(a.ID), len(b.ID)), strings.Compare(a.ID, b.ID))
	}
	return strings.Compare(a.ID, b.ID)
}

// outcomeRows is everything that became of one message, a row each; one row
// where it was nothing.
func outcomeRows(topic string, out mapping.Outcome) (rows []tried) {
	by := out.By
	if by == "" {
		by = "mapping"
	}
	row := func(r tried) {
		r.Topic, r.By = topic, by
		rows = append(rows, r)
	}
	for _, v := range out.Values {
		note := ""
		if v.Bad {
			note = "bad"
		}
		row(tried{Device: v.Device, Area: v.Area, What: "reading", Name: v.Metric, Channel: v.Channel, Value: v.Value, Unit: v.Unit, Note: note})
	}
	for _, p := range out.Presences {
		row(tried{Device: p.Device, Area: p.Area, What: "presence", Name: string(p.State), Note: p.Reason})
	}
	for _, m := range out.Moments {
		row(tried{Device: m.Device, Area: m.Area, What: "event", Name: m.Name, Channel: m.Channel, Value: m.Value})
	}
	for _, e := range out.Events {
		row(tried{What: "group", Name: string(e.Group) + " " + e.Event})
	}
	notes := slices.Clone(out.Obscure)
	out.Faults.Each(func(r mapping.Reason, n uint32) { notes = append(notes, r.String()) })
	switch {
	case len(rows) == 0:
		rows = append(rows, tried{Topic: topic, By: out.By, What: "none", Note: strings.Join(notes, "; ")})
	case len(notes) > 0:
		last := &rows[len(rows)-1]
		last.Note = strings.TrimPrefix(last.Note+"; "+strings.Join(notes, "; "), "; ")
	}
	return rows
}

// recorded reads a file of messages, a "topic payload" in each line.
func (f *mapFlags) recorded(c *cobra.Command, each func(string, []byte)) error {
	var in io.Reader = c.InOrStdin()
	if f.messages != "-" {
		file, err := os.Open(f.messages)
		if err != nil {
			return err
		}
		defer file.Close()
		in = file
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 0, 64<<10), maxRecorded)
	for lines.Scan() {
		if topic, payload, _ := strings.Cut(lines.Text(), " "); topic != "" {
			each(topic, []byte(payload))
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read %s: %w", f.messages, err)
	}
	return nil
}

// look is how often the newest messages are looked at.
const look = 500 * time.Millisecond

// live hands on the messages that come in a while, up to its end: the newest of each
// topic.
func (f *mapFlags) live(ctx context.Context, env Env, each func(string, []byte)) error {
	hub, err := f.client(env)
	if err != nil {
		return err
	}
	seen := map[string]int64{}
	end, tick := time.After(f.wait), time.NewTicker(look)
	defer tick.Stop()
	for first, last := true, false; ; first = false {
		now, err := all[area.TopicValue](ctx, hub, "/topics?filter="+url.QueryEscape(f.listen))
		if err != nil {
			return err
		}
		for _, v := range now {
			if was, known := seen[v.Topic]; !first && v.TS != 0 && (!known || was != v.TS) {
				each(v.Topic, payloadOf(v.Payload))
			}
			seen[v.Topic] = v.TS
		}
		if last {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-end: // what has come since the look before is of that time, too
			last = true
		case <-tick.C:
		}
	}
}

// payloadOf is a payload as it was before it was shown: text without quotes,
// bytes out of base64, else JSON.
func payloadOf(shown json.RawMessage) []byte {
	var text string
	if json.Unmarshal(shown, &text) == nil {
		return []byte(text)
	}
	var bytes struct {
		Base64 []byte `json:"base64"`
	}
	if json.Unmarshal(shown, &bytes) == nil && bytes.Base64 != nil {
		return bytes.Base64
	}
	return shown
}
