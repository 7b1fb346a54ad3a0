package devicehub_test

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tacet-hub/tacet/broker/area"
)

// uploads keeps what is uploaded, and refuses what has no bytes.
type uploads struct{ s *site }

func (u uploads) Upload(_ context.Context, name string, r io.Reader) (string, error) {
	b, err := io.ReadAll(r)
	if err != nil {
		return "", err
	}
	if len(b) == 0 {
		return "", area.Errorf(area.CodeMediaType, "no sound")
	}
	u.s.clips = append(u.s.clips, name+": "+string(b))
	return "sha256:00", nil
}

func TestUploadClip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		p := s.program("", "", nil)
		upload := func(ending string, items ...any) (string, error) {
			up, err := p.Upload(t.Context(), "UploadClip", 1, "gate one")
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range items {
				if err := up.Send(0, i); err != nil {
					t.Fatal(err)
				}
			}
			if err := up.End(0, ending); err != nil {
				t.Fatal(err)
			}
			out, err := up.Result(t.Context())
			return string(out), err
		}
		if out, err := upload("", base64.StdEncoding.EncodeToString([]byte("RIFF")), "", []int{'o', 'n', 'e'}); err != nil || out != `"sha256:00"` {
			t.Errorf("UploadClip = %s, %v", out, err)
		}
		if got := strings.Join(s.clips, ", "); got != "gate one: RIFFone" {
			t.Errorf("kept: %s", got)
		}
		for _, c := range []struct {
			name, ending, want string
			items              []any
		}{
			{"nothing", "", "media_type: no sound", nil},
			{"given up", "I changed my mind", "An unexpected error", []any{"UklGRg=="}},
			{"no bytes", "", "Failed to bind", []any{map[string]int{"x": 1}}},
		} {
			if _, err := upload(c.ending, c.items...); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v, want %q", c.name, err, c.want)
			}
		}
		for _, args := range [][]any{{}, {"x"}, {strings.Repeat("x", 129)}, {1}} {
			if _, err := p.Invoke(t.Context(), "UploadClip", args...); err == nil {
				t.Errorf("UploadClip%v without a stream: no error", args)
			}
		}
		if len(s.clips) != 1 {
			t.Errorf("kept %d clips", len(s.clips))
		}
	})
}

// TestUploadClipByRight: who may announce somewhere may send clips.
func TestUploadClipByRight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		for name := range persons {
			up, err := s.as(name).Upload(t.Context(), "UploadClip", 1, name)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(up.Send(0, "UklGRg=="), up.End(0, "")); err != nil {
				t.Fatal(err)
			}
			_, err = up.Result(t.Context())
			switch may := slices.Contains([]string{"announcer", "operator", "northern"}, name); {
			case may && err != nil:
				t.Errorf("%s: %v", name, err)
			case !may && (err == nil || !strings.Contains(err.Error(), "forbidden")):
				t.Errorf("%s: %v, want a refusal", name, err)
			}
		}
	})
}
