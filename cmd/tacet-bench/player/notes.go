package player

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/firmware/uplink"
)

// notes are what the simulated loudspeaker writes beside its recording.
type notes struct {
	file string
	read int64 // bytes so far
}

// started is when the first sample of a work was written, and under which token.
// It is called once the work has ended.
func (n *notes) started(work area.WorkID) (at time.Time, token area.Token, err error) {
	f, err := os.Open(n.file)
	if err != nil {
		return at, 0, err
	}
	defer f.Close()
	if _, err := f.Seek(n.read, io.SeekStart); err != nil {
		return at, 0, err
	}
	b, err := io.ReadAll(f)
	if err != nil {
		return at, 0, err
	}
	whole := b[:bytes.LastIndexByte(b, '\n')+1]
	n.read += int64(len(whole))
	for lines := bufio.NewScanner(bytes.NewReader(whole)); lines.Scan(); {
		var l struct {
			Event, Work string
			Token       area.Token
			UnixMs      int64 `json:"unix_ms"`
		}
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return at, 0, err
		}
		if l.Event == "start" && l.Work == string(work) {
			at, token = time.UnixMilli(l.UnixMs), l.Token
		}
	}
	if at.IsZero() {
		return at, 0, fmt.Errorf("the loudspeaker has not noted work %s", work)
	}
	return at, token, nil
}

// grants notes when each token was first granted to the device, as anybody sees
// it who listens to what the broker sends to the device.
type grants struct {
	mu sync.Mutex
	at map[area.Token]time.Time
}

// listen listens until ctx ends.
func (g *grants) listen(ctx context.Context, mqtt string) (wait func(), err error) {
	g.at = map[area.Token]time.Time{}
	c, err := uplink.New(uplink.Config{Hubs: []string{mqtt}, ClientID: "bench"}, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	if _, err := c.Subscribe(area.GrantTopic("gate-1"), g.heard); err != nil {
		return nil, err
	}
	up := make(chan struct{})
	once := sync.OnceFunc(func() { close(up) })
	c.Watch(func(is bool, _ uint64, _ string) {
		if is {
			once()
		}
	})
	var work sync.WaitGroup
	work.Go(func() { _ = c.Run(ctx) }) // a connection that cannot be made leaves up open
	select {
	case <-up:
		return work.Wait, nil
	case <-ctx.Done():
		work.Wait()
		return nil, ctx.Err()
	}
}

func (g *grants) heard(m area.Message) {
	now := time.Now()
	a, err := area.ParseAnswer(m.Payload)
	if err != nil || a.Op != area.OpGrant {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, known := g.at[a.Token]; !known {
		g.at[a.Token] = now
	}
}

func (g *grants) of(t area.Token) (time.Time, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	at, ok := g.at[t]
	return at, ok
}
