package hubd

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/clip"
	"github.com/tacet-hub/tacet/cmd/internal/conf"
	"github.com/tacet-hub/tacet/drivers/media"
)

// tone is a sound file of so many milliseconds.
func tone(ms int) []byte {
	return media.EncodeWAV(media.Tone(440, time.Duration(ms)*time.Millisecond))
}

// sendClip sends a sound file to the hub.
func sendClip(t *testing.T, url string, b []byte) (int, map[string]any) {
	t.Helper()
	res, err := http.Post(url+"/api/v1/clips", "audio/wav", bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var out map[string]any
	if err := json.NewDecoder(res.Body).Decode(&out); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, out
}

func TestClipsAreTakenAndGivenBack(t *testing.T) {
	h, r, _ := started(t, nil)
	file := tone(1500)
	sum := clip.SumOf(file)
	for _, want := range []int{http.StatusCreated, http.StatusOK} {
		code, out := sendClip(t, r.HTTP, file)
		if code != want || out["sha256"] != sum.Hex() || out["bytes"] != float64(len(file)) || out["duration_ms"] != 1500.0 || out["type"] != "audio/wav" || len(out) != 4 {
			t.Errorf("POST: %d %v, want %d", code, out, want)
		}
	}
	tag := `"` + sum.Hex() + `"`
	for _, c := range []struct {
		name string
		head map[string]string
		code int
		body []byte
	}{
		{"whole", nil, http.StatusOK, file},
		{"end", map[string]string{"Range": "bytes=100-"}, http.StatusPartialContent, file[100:]},
		{"end of this one", map[string]string{"Range": "bytes=100-", "If-Range": tag}, http.StatusPartialContent, file[100:]},
		{"end of another", map[string]string{"Range": "bytes=100-", "If-Range": `"x"`}, http.StatusOK, file},
		{"known", map[string]string{"If-None-Match": tag}, http.StatusNotModified, nil},
		{"beyond the end", map[string]string{"Range": "bytes=99999999-"}, http.StatusRequestedRangeNotSatisfiable, nil},
	} {
		req, _ := http.NewRequest(http.MethodGet, r.HTTP+"/clips/"+sum.Hex(), nil)
		for k, v := range c.head {
			req.Header.Set(k, v)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if res.StatusCode != c.code || c.code < 400 && !bytes.Equal(body, c.body) {
			t.Errorf("%s: %d, %d bytes; want %d, %d bytes", c.name, res.StatusCode, len(body), c.code, len(c.body))
		}
		if res.StatusCode == http.StatusOK && (res.Header.Get("ETag") != tag || res.Header.Get("Content-Type") != "audio/wav" ||
			res.Header.Get("Cache-Control") != "private, max-age=31536000, immutable" || res.Header.Get("Accept-Ranges") != "bytes") {
			t.Errorf("%s: headers %v", c.name, res.Header)
		}
	}
	for _, name := range []string{"x", clip.SumOf(nil).Hex(), "..%2ftacet.db"} {
		if code, body := get(t, r.HTTP+"/clips/"+name); code != http.StatusNotFound || !strings.Contains(body, `"not_found"`) {
			t.Errorf("/clips/%s: %d %s", name, code, body)
		}
	}
	// Bytes that have changed on the disk are not given out.
	if err := os.Truncate(filepath.Join(h.cfg.Data, "clips", sum.Hex()), 50); err != nil {
		t.Fatal(err)
	}
	if code, body := get(t, r.HTTP+"/clips/"+sum.Hex()); code != http.StatusNotFound || !strings.Contains(body, "damaged") {
		t.Errorf("a damaged clip: %d %s", code, body)
	}
	if _, figures := get(t, r.Admin+"/metrics"); !strings.Contains(figures, "\ntacet_clips_damaged 1\n") || !strings.Contains(figures, "\ntacet_clips_stored 1\n") {
		t.Error("the metrics do not say so")
	}
}

func TestOrdersOfClips(t *testing.T) {
	_, r, _ := started(t, func(c *conf.Config) {
		c.Schedules = []conf.Schedule{{ID: "s", Cron: new("0 0 1 1 *"), TimeZone: "UTC", Enabled: true,
			Work: area.OrderRequest{To: area.To{Area: new("north")}, Clip: new(clip.SumOf(tone(200)).String())}}}
	})
	announce := func(clip string) (int, string) {
		body := `{"to":{"area":"north"},"clip":"` + clip + `","chime":"beep","repeat":2}`
		res, err := http.Post(r.HTTP+"/api/v1/orders?dry_run=true", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		return res.StatusCode, string(b)
	}
	sum := clip.SumOf(tone(1000)).String()
	if code, body := announce(sum); code != http.StatusUnprocessableEntity || !strings.Contains(body, `"field":"clip"`) || !strings.Contains(body, "/api/v1/clips") {
		t.Errorf("a clip that is not kept: %d %s", code, body)
	}
	sendClip(t, r.HTTP, tone(1000))
	beep, _ := media.ChimeLength("beep")
	want := `"duration_ms":` + jsonOf(t, media.AnnounceLength(beep, time.Second, 2).Milliseconds())
	if code, body := announce(sum); code != http.StatusOK || !strings.Contains(body, want) {
		t.Errorf("its length: %d %s, want %s", code, body, want)
	}

	// What an order or a schedule names stays.
	sendClip(t, r.HTTP, tone(200))
	res, err := http.Post(r.HTTP+"/api/v1/orders", "application/json", strings.NewReader(`{"to":{"area":"north"},"clip":"`+sum+`"}`))
	if err != nil || res.StatusCode != http.StatusAccepted {
		t.Fatalf("POST orders: %v, %v", res, err)
	}
	res.Body.Close()
	for _, name := range []string{sum, clip.SumOf(tone(200)).String()} {
		req, _ := http.NewRequest(http.MethodDelete, r.HTTP+"/api/v1/clips/"+name, nil)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusConflict {
			t.Errorf("DELETE %s: %s", name, res.Status)
		}
	}
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The store of clips may be small: the ones used longest ago go, and none that is
// needed.
func TestClipsAreBounded(t *testing.T) {
	_, r, _ := started(t, func(c *conf.Config) { c.Limits.ClipsBytes = 1 << 20 })
	for _, ms := range []int{8000, 8001} { // 350 KB each
		if code, out := sendClip(t, r.HTTP, tone(ms)); code != http.StatusCreated {
			t.Fatalf("POST: %d %v", code, out)
		}
	}
	if code, out := sendClip(t, r.HTTP, tone(8002)); code != http.StatusInsufficientStorage || out["code"] != "disk_full" {
		t.Errorf("a third, while both were used just now: %d %v", code, out)
	}
	if code, out := sendClip(t, r.HTTP, tone(25000)); code != http.StatusRequestEntityTooLarge {
		t.Errorf("one of more bytes than the store has: %d %v", code, out)
	}
	if code, out := sendClip(t, r.HTTP, []byte("hello")); code != http.StatusUnsupportedMediaType {
		t.Errorf("no sound: %d %v", code, out)
	}
}

func TestClipsAreForThoseWhoAreKnown(t *testing.T) {
	h, _ := manned(t)
	file := string(tone(100))
	path := "/clips/" + clip.SumOf([]byte(file)).Hex()
	if w := ask(h, http.MethodPost, "/api/v1/clips", file, "Authorization: Bearer x"); w.Code != http.StatusUnauthorized {
		t.Errorf("an upload with a wrong token: %d", w.Code)
	}
	token := func(name string) string {
		w := ask(h, http.MethodPost, "/auth/login", `{"name":"`+name+`","password":"`+name+`","token":true}`)
		var out struct{ Token string }
		if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil || out.Token == "" {
			t.Fatalf("sign in: %s %v", w.Body, err)
		}
		return "Authorization: Bearer " + out.Token
	}
	ann, vic := token("ann"), token("vic")
	if w := ask(h, http.MethodPost, "/api/v1/clips", file, vic); w.Code != http.StatusForbidden {
		t.Errorf("an upload by a viewer: %d", w.Code)
	}
	if w := ask(h, http.MethodPost, "/api/v1/clips", file, ann); w.Code != http.StatusCreated {
		t.Errorf("an upload by an operator: %d %s", w.Code, w.Body)
	}
	if w := ask(h, http.MethodGet, path, ""); w.Code != http.StatusUnauthorized {
		t.Errorf("a clip for nobody: %d", w.Code)
	}
	if w := ask(h, http.MethodGet, path, "", vic); w.Code != http.StatusOK || w.Body.String() != file {
		t.Errorf("a clip for a viewer: %d, %d bytes", w.Code, w.Body.Len())
	}
}

// TestKindsOfClips: what a file is shows by its bytes, and how long it sounds by
// its samples; what the sender or the header says of it does not count.
func TestKindsOfClips(t *testing.T) {
	_, r, _ := started(t, nil)
	lying := tone(700)
	binary.LittleEndian.PutUint32(lying[4:], 0xFFFFFFFF) // as a program that writes to a pipe leaves it
	binary.LittleEndian.PutUint32(lying[40:], 0xFFFFFFF0)
	mute := tone(700)
	binary.LittleEndian.PutUint16(mute[22:], 0) // channels
	file := func(name string) []byte {
		b, err := os.ReadFile("../../../drivers/media/testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, c := range []struct {
		name  string
		body  []byte
		code  int
		kind  string
		least float64 // ms
		most  float64
	}{
		{"mp3", file("tone.mp3"), http.StatusCreated, "audio/mpeg", 500, 600},
		{"flac", file("tone.flac"), http.StatusCreated, "audio/flac", 500, 500},
		{"ogg", file("tone.ogg"), http.StatusCreated, "audio/ogg", 500, 510},
		{"a wav that claims 4 GB", lying, http.StatusCreated, "audio/wav", 700, 700},
		{"a wav of no channel", mute, http.StatusUnsupportedMediaType, "", 0, 0},
		{"a wav cut off in its header", tone(700)[:30], http.StatusUnsupportedMediaType, "", 0, 0},
		{"an mp3 of noise", append([]byte("ID3"), bytes.Repeat([]byte{0x55, 0xFF, 0xAA}, 1000)...), http.StatusUnsupportedMediaType, "", 0, 0},
		{"a page", []byte("<html><script>alert(1)</script>"), http.StatusUnsupportedMediaType, "", 0, 0},
	} {
		code, out := sendClip(t, r.HTTP, c.body)
		d, _ := out["duration_ms"].(float64)
		if code != c.code || c.kind != "" && (out["type"] != c.kind || d < c.least || d > c.most) {
			t.Errorf("%s: %d %v", c.name, code, out)
		}
	}
}

// A file that lost its end on the way here is refused; one that a program has
// written to a pipe, whose head cannot know the length, is not.
func TestMeterOfAFileThatWasCutShort(t *testing.T) {
	whole := media.EncodeWAV(media.Silence(5 * time.Second))
	at := func(d time.Duration) []byte { return whole[:media.HeaderSize+2*media.Samples(d)] }
	piped := bytes.Clone(at(time.Second))
	copy(piped[40:], "\xff\xff\xff\xff")
	for name, c := range map[string]struct {
		file []byte
		want time.Duration // 0: it is refused
	}{"whole": {whole, 5 * time.Second}, "half": {at(3 * time.Second), 0}, "the last buffer": {at(4500 * time.Millisecond), 4500 * time.Millisecond}, "piped": {piped, time.Second}} {
		_, d, err := new(meter).Measure(bytes.NewReader(c.file))
		if d != c.want || (c.want == 0) != errors.Is(err, media.ErrDamaged) {
			t.Errorf("%s: %v, %v", name, d, err)
		}
	}
}
