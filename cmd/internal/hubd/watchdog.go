package hubd

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/drivers/watchdog"
)

// leastPulse is the shortest time that a pulse may take.
const leastPulse = time.Second

// watchItself tells systemd that the hub is up, and then, three times in the
// service's WatchdogSec, that it lives: each time after a message has gone through
// the broker and a request through the web listener, as those of clients do. A hub
// that hangs is killed and started again. Where systemd does not watch it does
// nothing.
func (h *Hub) watchItself(ctx context.Context) error {
	systemd, err := watchdog.Systemd(os.Getenv)
	if err != nil || systemd == nil {
		if err != nil {
			h.log.Warn("systemd is not told how the hub is", "err", err)
		}
		<-ctx.Done()
		return nil
	}
	defer systemd.Close()
	topic := area.Root + "/hub/" + h.cfg.Node + "/pulse"
	heard := make(chan string, 1) // a full one drops: the next pulse is another
	cancel, err := h.bus.Subscribe(topic, func(m area.Message) {
		select {
		case heard <- string(m.Payload):
		default:
		}
	})
	if err != nil {
		return err
	}
	defer cancel()
	every := systemd.Timeout() / 3
	if every == 0 {
		every = time.Minute // READY alone is told
	}
	again := time.NewTicker(every)
	defer again.Stop()
	told := false
	for n := 0; ; n++ {
		if err := h.pulse(ctx, topic, strconv.Itoa(n), heard, max(every, leastPulse)); err != nil {
			h.log.Error("hub does not answer itself", "err", err)
		} else {
			if !told {
				told = systemd.Ready() == nil
			}
			_ = systemd.Feed() // systemd is gone, or the next one is heard
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return systemd.Stopping()
		}
	}
}

// pulse sends a message through the broker and asks the web listener, and waits
// for both.
func (h *Hub) pulse(ctx context.Context, topic, text string, heard <-chan string, most time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	if err := h.bus.Publish(ctx, area.Message{Topic: topic, Payload: []byte(text)}); err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	for got := ""; got != text; {
		select {
		case got = <-heard:
		case <-ctx.Done():
			return fmt.Errorf("broker: no message came through in %v", most)
		}
	}
	if !h.answers(ctx, h.readiness().HTTP) {
		return fmt.Errorf("web: no answer in %v", most)
	}
	return nil
}
