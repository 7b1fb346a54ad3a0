//go:build linux

package rungs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/tacet-hub/tacet/bridge/rollout"
	"github.com/tacet-hub/tacet/broker/area"
)

// newVersion is newer than every build of this tree.
const newVersion = "v99.0.0"

// UpdateKey makes a key that signs updates, and answers its public half.
func (h *Hub) UpdateKey(ctx context.Context) (string, error) {
	public, err := output(ctx, h.dir, h.program, "update", "key", "key")
	return strings.TrimSpace(public), err
}

// Publish signs a program and puts it where the hub serves it.
func (h *Hub) Publish(ctx context.Context, program, version string) error {
	for _, args := range [][]string{{"update", "sign", program, "--key", "key", "--version", version}, {"update", "publish", program, "--data", "data"}} {
		if _, err := output(ctx, h.dir, h.program, args...); err != nil {
			return err
		}
	}
	return nil
}

// Update brings a device to the version that was published, and waits for the
// end of that.
func (h *Hub) Update(ctx context.Context, device string) error {
	var r rollout.Rollout
	body := fmt.Sprintf(`{"to": {"device": %q}}`, device)
	if err := h.call(ctx, http.MethodPost, "rollouts", "application/json", strings.NewReader(body), &r); err != nil {
		return err
	}
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for r.EndedAt == nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("the rollout is still %+v: %w", r.Devices, ctx.Err())
		}
		if err := h.call(ctx, http.MethodGet, "rollouts/"+r.ID, "", nil, &r); err != nil {
			return err
		}
	}
	if d := r.Devices[0]; d.State != area.UpdateConfirmed {
		return fmt.Errorf("the device's update has %s: %s", d.State, d.Reason)
	}
	return nil
}

// Status is what a device says of itself.
func (h *Hub) Status(ctx context.Context, device string) (st area.Status, err error) {
	var topics struct{ Items []area.TopicValue }
	if err := h.call(ctx, http.MethodGet, "topics?filter="+area.StatusTopic(area.DeviceID(device)), "", nil, &topics); err != nil {
		return st, err
	}
	if len(topics.Items) != 1 {
		return st, fmt.Errorf("%s has %d statuses", device, len(topics.Items))
	}
	return st, json.Unmarshal(topics.Items[0].Payload, &st)
}

// buildUpdate builds another version of the device's programs for the card.
func (p *pi) buildUpdate(ctx context.Context) error {
	dir := filepath.Join(p.card.dir, "update")
	p.program = filepath.Join(dir, "tacet-device") // the other one is beside it
	_, err := output(ctx, p.tree, "env", "GOOS=linux", "GOARCH=arm64", "CGO_ENABLED=0",
		"go", "build", "-trimpath", "-ldflags", "-s -w -X github.com/tacet-hub/tacet/cmd/internal/release.stamp=tacet-release:"+newVersion+":", "-o", dir+"/", "./cmd/tacet-device", "./cmd/tacet-leader")
	return err
}

// updated brings the card to another version over the hub. The card's own program
// stays the launcher: after a power cut it starts the new one again.
func (p *pi) updated(ctx context.Context) (string, error) {
	if err := p.hub.Publish(ctx, p.program, newVersion); err != nil {
		return "", err
	}
	began := time.Now()
	if err := p.hub.Update(ctx, piDevice); err != nil {
		return "", fmt.Errorf("%w: %s", err, tail(p.m.Said(), 3000))
	}
	took := time.Since(began)
	on, err := p.plays(ctx)
	return fmt.Sprintf("%s confirmed from slot a %.1f s after it was ordered, and has played", newVersion, took.Seconds()), errors.Join(on, err, p.runs(ctx))
}

// runs looks whether the new version runs from its slot.
func (p *pi) runs(ctx context.Context) error {
	st, err := p.hub.Status(ctx, piDevice)
	if err != nil {
		return err
	}
	if st.Version != newVersion || st.Update == nil || st.Update.Slot != "a" {
		return fmt.Errorf("the device runs %s, its update is %+v", st.Version, st.Update)
	}
	return nil
}
