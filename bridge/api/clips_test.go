package api

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/clip"
)

// ruler takes everything for sound that begins with RIFF, a second a byte.
type ruler struct{}

func (ruler) Measure(f io.ReadSeeker) (string, time.Duration, error) {
	b, err := io.ReadAll(f)
	if err != nil || !strings.HasPrefix(string(b), "RIFF") {
		return "", 0, errors.New("no riff")
	}
	return "audio/wav", time.Duration(len(b)) * time.Second, nil
}

func TestClips(t *testing.T) {
	w := newWorld(t)
	sum := clip.SumOf([]byte("RIFF one"))
	const short = `{"sha256":"%","bytes":8,"duration_ms":8000,"type":"audio/wav"}`
	told := strings.ReplaceAll(short, "%", sum.Hex())
	res, out := w.want(201, "POST", "/clips?name=gate%20one", "RIFF one", "Content-Type: audio/x-whatever")
	if out != told || res.Header.Get("Location") != Prefix+"/clips/"+sum.Hex() {
		t.Errorf("answer %s, Location %s; want %s", out, res.Header.Get("Location"), told)
	}
	if _, out = w.want(200, "POST", "/clips", "RIFF one", "Idempotency-Key: k"); out != told {
		t.Errorf("the second time %s, want %s", out, told)
	}
	var page struct{ Items []map[string]any }
	_, out = w.want(200, "GET", "/clips", "")
	if err := json.Unmarshal([]byte(out), &page); err != nil || len(page.Items) != 1 || page.Items[0]["name"] != "gate one" || page.Items[0]["source"] != "upload" {
		t.Errorf("the list is %s, %v", out, err)
	}
	for _, name := range []string{sum.Hex(), sum.String()} {
		w.want(200, "GET", "/clips/"+name, "")
	}
	for _, name := range []string{"x", strings.ToUpper(sum.Hex()), clip.SumOf(nil).Hex()} {
		w.want(area.CodeNotFound, "GET", "/clips/"+name, "")
		w.want(area.CodeNotFound, "DELETE", "/clips/"+name, "")
	}

	w.site.needed = map[clip.Sum]bool{sum: true}
	w.want(area.CodeConflict, "DELETE", "/clips/"+sum.Hex(), "")
	w.site.needed = nil
	w.want(204, "DELETE", "/clips/"+sum.Hex(), "")
	w.want(area.CodeNotFound, "GET", "/clips/"+sum.Hex(), "")
}

func TestClipsAreRefusedWithTheReason(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		name, path, body string
		want             area.Code
		says             string
	}{
		{"no sound", "/clips", "hello", area.CodeMediaType, "no riff"},
		{"nothing", "/clips", "", area.CodeMediaType, "no riff"},
		{"too large", "/clips", "RIFF" + strings.Repeat("x", 512), area.CodeTooLarge, "512 bytes"},
		{"a long name", "/clips?name=" + strings.Repeat("x", 129), "RIFF", area.CodeInvalid, "name"},
		{"a name that is no text", "/clips?name=%ff", "RIFF", area.CodeInvalid, "name"},
	} {
		if _, out := w.want(c.want, "POST", c.path, c.body); !strings.Contains(out, c.says) {
			t.Errorf("%s: %s, want it to say %q", c.name, out, c.says)
		}
	}
	w.want(201, "POST", "/clips", "RIFF"+strings.Repeat("a", 508))
	w.want(201, "POST", "/clips", "RIFF"+strings.Repeat("b", 508))
	w.want(area.CodeDiskFull, "POST", "/clips", "RIFF"+strings.Repeat("c", 508)) // both were used just now
}

// TestSpeechIsForThoseWhoReadAllAreas: what was said in an area is not told to who
// reads another.
func TestSpeechIsForThoseWhoReadAllAreas(t *testing.T) {
	w := newGuardedWorld(t)
	info, _, err := w.clips.Put(t.Context(), strings.NewReader("RIFF said"), clip.About{Key: "speech:1"})
	if err != nil {
		t.Fatal(err)
	}
	for person, sees := range map[string]bool{"viewer": true, "admin": true, "device": false, "north operator": false, "stranger": false} {
		if _, out := w.want(200, "GET", "/clips", "", "X-Person: "+person); strings.Contains(out, info.Sum.Hex()) != sees {
			t.Errorf("%s: %s", person, out)
		}
	}
}
