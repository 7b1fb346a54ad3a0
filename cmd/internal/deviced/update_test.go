package deviced

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/firmware/update"
)

// keyText is a public key for tests.
func keyText(t *testing.T) string {
	t.Helper()
	key, err := update.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return update.PublicText(key)
}

// A device that has no key says so when it is ordered to update, and goes on.
func TestUpdateWithoutKey(t *testing.T) {
	url, b := hub(t)
	cfg := Default()
	cfg.Device, cfg.Area, cfg.Hub, cfg.Sim, cfg.Data = "gate-1", "north", []string{url}, true, t.TempDir()
	d, err := New(cfg, "v1", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	said := make(chan *area.Update, 100)
	if _, err := b.Subscribe(area.StatusTopic("gate-1"), func(m area.Message) {
		if st, err := area.ParseStatus(m.Payload); err == nil && st.Online {
			said <- st.Update
		}
	}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }() // waited for below
	<-d.Ready()
	if u := <-said; u == nil || *u != (area.Update{State: area.UpdateIdle}) {
		t.Errorf("at first it says %+v", u)
	}
	order := area.UpdateOrder{Order: "u-1", Version: "v2.0.0"}
	if err := b.Publish(ctx, area.Message{Topic: area.CommandTopic("gate-1", "update"), Payload: order.Encode(), QoS: 1}); err != nil {
		t.Fatal(err)
	}
	u := <-said
	for u != nil && u.State == area.UpdateIdle {
		u = <-said
	}
	if u == nil || *u != (area.Update{State: area.UpdateRefused, Version: "v2.0.0", Order: "u-1", Reason: "it has no key (updates.keys)"}) {
		t.Errorf("ordered it says %+v", u)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A program can be built with keys; those of the configuration take their place.
func TestUpdateKeysOfTheBuild(t *testing.T) {
	t.Cleanup(func() { updateKeys = "" })
	updateKeys = keyText(t) + "," + keyText(t)
	if keys, err := (Updates{}).keys(); err != nil || len(keys) != 2 {
		t.Errorf("%d keys, %v", len(keys), err)
	}
	if keys, err := (Updates{Keys: []string{keyText(t)}}).keys(); err != nil || len(keys) != 1 {
		t.Errorf("with one configured: %d keys, %v", len(keys), err)
	}
}

// A key that is none is told with its place.
func TestUpdateKeys(t *testing.T) {
	file := filepath.Join(t.TempDir(), "device.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	good := keyText(t)
	write("device: gate-1\narea: north\nupdates:\n  keys: [\"" + good + "\", \"AAAA\"]\n")
	if _, _, err := Load(file, nil, nil); err == nil || !strings.Contains(err.Error(), file+":4: updates.keys: key 2") {
		t.Errorf("%v", err)
	}
	if _, keys := Launching(file, "", nil, nil); keys != nil {
		t.Error("the launcher believes one of them")
	}
	// The launcher reads what it needs from what it does not know.
	write("device: gate-1\nfrom_the_future: {x: 1}\nvolume: loud\ndata: /d\nupdates: {keys: [\"" + good + "\"]}\n")
	if _, _, err := Load(file, nil, nil); err == nil {
		t.Error("an unknown key is taken")
	}
	if dir, keys := Launching(file, "", nil, nil); dir != "/d/update" || len(keys) != 1 {
		t.Errorf("the launcher reads %q, %d keys", dir, len(keys))
	}
	if dir, keys := Launching("", "", []string{"TACET_DEVICE_CONFIG=" + file, "TACET_DEVICE_DATA=/e"}, nil); dir != "/e/update" || len(keys) != 1 {
		t.Errorf("by the environment the launcher reads %q, %d keys", dir, len(keys))
	}
	boot := t.TempDir()
	if err := os.WriteFile(filepath.Join(boot, BootFile), []byte("data: /boot/data\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if dir, keys := Launching(file, boot, nil, nil); dir != "/boot/data/update" || len(keys) != 1 {
		t.Errorf("with a boot partition the launcher reads %q, %d keys", dir, len(keys))
	}
	write("device: [\n")
	if _, keys := Launching(file, "", nil, nil); keys != nil {
		t.Error("the launcher finds keys where there is no YAML")
	}
}

// The words of package update are those of the wire.
func TestUpdateStates(t *testing.T) {
	for phase, state := range map[update.Phase]string{
		update.Idle: area.UpdateIdle, update.Downloading: area.UpdateDownloading, update.Staged: area.UpdateStaged, update.Trial: area.UpdateTrial,
		update.Confirmed: area.UpdateConfirmed, update.Failed: area.UpdateFailed, update.Refused: area.UpdateRefused,
	} {
		if string(phase) != state {
			t.Errorf("%s is %s on the wire", phase, state)
		}
	}
}

// What a check tells of updates, without writing anything.
func TestCheckUpdates(t *testing.T) {
	cfg := Default()
	cfg.Device, cfg.Data = "gate-1", filepath.Join(t.TempDir(), "none")
	if found := checkUpdates(cfg); found != nil {
		t.Errorf("without a key: %+v", found)
	}
	cfg.Updates.Keys = []string{keyText(t)}
	if found := checkUpdates(cfg); len(found) != 1 || !found[0].OK || found[0].Text != "the installed program is used" {
		t.Errorf("with nothing: %+v", found)
	}
	if _, err := os.Stat(cfg.Data); err == nil {
		t.Error("the check has made the directory")
	}
	s, err := update.OpenSlots(cfg.updatesDir())
	if err != nil {
		t.Fatal(err)
	}
	held := update.Held{Release: update.Release{Manifest: `{"version":"v1.2.0","arch":"linux-arm64","size":1,"sha256":"` + strings.Repeat("0", 64) + `"}`}}
	if err := s.Keep(s.State().Staged(held).Healthy().Staged(held).Sick("it is ill")); err != nil {
		t.Fatal(err)
	}
	if found := checkUpdates(cfg); len(found) != 1 || found[0].Text != "v1.2.0 in slot a is used, v1.2.0 failed: it is ill" {
		t.Errorf("%+v", found)
	}
	if err := os.WriteFile(filepath.Join(cfg.updatesDir(), "state.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if found := checkUpdates(cfg); len(found) != 1 || found[0].OK {
		t.Errorf("damaged: %+v", found)
	}
}
