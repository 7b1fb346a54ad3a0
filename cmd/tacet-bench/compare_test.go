package main

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/cmd/tacet-bench/servers"
)

// TestTrials runs every kind of trial, small and short, on our broker and the
// library, and wants every figure of both and nothing missing.
func TestTrials(t *testing.T) {
	pair := []servers.Kind{servers.Broker, servers.Mochi}
	lost := []figure{{"rate", "messages/s", ""}, {"missing", "messages", "0"}}
	trials := []trial{
		{"in", pair, servers.Mochi, carrying, fanIn(3)},
		{"out0", pair, servers.Mochi, carrying, fanOutMQTT(5, 0)},
		{"out1", pair, servers.Mochi, carrying, fanOutMQTT(5, 1)},
		{"idle", pair, servers.Mochi, []figure{{"rss", "KiB", ""}}, idleMQTT(20, true)},
		{"retained", pair, servers.Mochi, lost, retainedMQTT(200)},
		{"connects", pair, servers.Mochi, []figure{{"rate", "connections/s", ""}}, connectsMQTT(2)},
	}
	var out bytes.Buffer
	c := comparison{length: time.Second, rounds: 1, dir: t.TempDir(), asJSON: true} // in less a busy machine may let nothing through
	if err := c.run(t.Context(), &out, trials); err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for _, x := range trials {
		for _, f := range x.figures {
			want = append(want, x.name+" "+f.name+" "+string(pair[0]), x.name+" "+f.name+" "+string(pair[1]))
		}
	}
	for from := json.NewDecoder(&out); from.More(); {
		var r row
		if err := from.Decode(&r); err != nil {
			t.Fatal(err)
		}
		got = append(got, r.Trial+" "+r.Figure+" "+r.Server)
		if r.Figure == "missing" && r.Median != 0 {
			t.Errorf("%s on %s: %g messages are missing", r.Trial, r.Server, r.Median)
		}
		if r.Figure == "rate" && r.Median <= 0 {
			t.Errorf("%s on %s: a rate of %g", r.Trial, r.Server, r.Median)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("figures: got %q, want %q", got, want)
	}
}

func TestRows(t *testing.T) {
	x := trial{"x", []servers.Kind{servers.Broker, servers.Mochi, servers.Mosquitto}, servers.Mochi, []figure{{"rate", "messages/s", ">= 1.0x"}}, nil}
	rows := x.rows(map[servers.Kind][]sample{
		servers.Broker: {{"rate": 10}, {"rate": 30}, {"rate": 20}},
		servers.Mochi:  {{"rate": 10}, {"rate": 10}, {"rate": 40}},
	})
	want := []row{
		{Trial: "x", Figure: "rate", Unit: "messages/s", Server: "tacet broker", Median: 20, Ratio: [3]float64{1, 0.5, 3}, Target: ">= 1.0x"},
		{Trial: "x", Figure: "rate", Unit: "messages/s", Server: "bare mochi", Median: 10},
		{Trial: "x", Figure: "rate", Unit: "messages/s", Server: "mosquitto", Absent: true},
	}
	if !slices.Equal(rows, want) {
		t.Errorf("got %+v, want %+v", rows, want)
	}
	var out bytes.Buffer
	if err := (comparison{}).print(&out, x, nil); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), "absent"); n != 3 {
		t.Errorf("a table of nothing says absent %d times:\n%s", n, &out)
	}
}

// TestRunEnds: a load ends with its context.
func TestRunEnds(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	c := comparison{length: time.Hour, rounds: 1, dir: t.TempDir()}
	x := trial{"in", []servers.Kind{servers.Broker}, servers.Mochi, carrying, fanIn(2)}
	if err := c.run(ctx, new(bytes.Buffer), []trial{x}); err == nil {
		t.Error("no error")
	}
}
