package api

import (
	"errors"
	"io"
	"net/http"
	"unicode/utf8"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
	"github.com/tacet-hub/tacet/broker/clip"
)

var clipRoutes = []route{
	{http.MethodGet, "/clips", auth.Read, (*API).listClips},
	{http.MethodPost, "/clips", auth.Announce, (*API).createClip},
	{http.MethodGet, "/clips/{clip}", auth.Read, (*API).getClip},
	{http.MethodDelete, "/clips/{clip}", auth.Operate, (*API).removeClip},
}

// maxClipName is the most bytes of a clip's name.
const maxClipName = 128

// shortClip is a clip as who has sent it is told.
type shortClip struct {
	SHA256     string `json:"sha256"`
	Bytes      int64  `json:"bytes"`
	DurationMs int64  `json:"duration_ms"`
	Type       string `json:"type"`
}

// keptClip is a clip as it is shown.
type keptClip struct {
	shortClip
	Name      *string   `json:"name"`
	Source    string    `json:"source"`
	CreatedAt area.Time `json:"created_at"`
	UsedAt    area.Time `json:"used_at"`
}

func shortClipOf(i clip.Info) shortClip {
	return shortClip{SHA256: i.Sum.Hex(), Bytes: i.Bytes, DurationMs: i.Length.Milliseconds(), Type: i.Type}
}

func keptClipOf(i clip.Info) keptClip {
	out := keptClip{shortClip: shortClipOf(i), Source: "upload", CreatedAt: area.At(i.Added), UsedAt: area.At(i.Used)}
	if i.Name != "" {
		out.Name = &i.Name
	}
	if len(i.Keys) > 0 {
		out.Source = "speech"
	}
	return out
}

func (a *API) listClips(c *call) (answer, error) {
	var all []keptClip
	if !c.foreign() {
		everywhere := c.sees(anyArea)
		for _, i := range a.Clips.List() {
			if len(i.Keys) == 0 || everywhere { // speech tells what is said in an area
				all = append(all, keptClipOf(i))
			}
		}
	}
	return page(c, all, func(k *keptClip) string { return k.SHA256 })
}

func (a *API) createClip(c *call) (answer, error) {
	q := c.query()
	name := q.text("name")
	if len(name) > maxClipName {
		q.fault("name", "longer than 128 bytes")
	}
	if err := errors.Join(q.err(), c.home()); err != nil {
		return answer{}, err
	}
	info, known, err := a.Clips.Put(c.Context(), upload{c.Body}, clip.About{Name: name})
	if err != nil {
		return answer{}, ClipError(err)
	}
	if known {
		return ok(shortClipOf(info))
	}
	a.log.Info("clip taken in", "conn", c.RemoteAddr, "rule", info.Sum.Hex(), "who", c.caller(), "n", info.Bytes, "dur", info.Length)
	return answer{status: http.StatusCreated, body: shortClipOf(info), location: "/clips/" + info.Sum.Hex()}, nil
}

func (a *API) getClip(c *call) (answer, error) {
	sum, err := c.clip()
	if err != nil {
		return answer{}, err
	}
	info, found := a.Clips.Get(sum)
	if !found {
		return answer{}, ClipError(clip.ErrNotFound)
	}
	return ok(keptClipOf(info))
}

func (a *API) removeClip(c *call) (answer, error) {
	sum, err := c.clip()
	if err != nil {
		return answer{}, err
	}
	if err := c.may(auth.Operate, anyArea); err != nil {
		return answer{}, err
	}
	if err := a.Clips.Remove(sum); err != nil {
		return answer{}, ClipError(err)
	}
	a.log.Info("clip removed", "conn", c.RemoteAddr, "rule", sum.Hex(), "who", c.caller())
	return nothing()
}

// clip is the clip that the path names, which nobody of another tenant has.
func (c *call) clip() (clip.Sum, error) {
	sum, err := clip.ParseSum(c.PathValue("clip"))
	if err != nil || c.foreign() {
		return sum, ClipError(clip.ErrNotFound)
	}
	return sum, nil
}

// upload is the body of a clip.
type upload struct{ io.Reader }

// Read reads on; a failure is the sender's.
func (u upload) Read(p []byte) (int, error) {
	n, err := u.Reader.Read(p)
	if err != nil && err != io.EOF {
		err = area.Errorf(area.CodeBadRequest, "the body cannot be read, or comes too slowly")
	}
	return n, err
}

// ClipError is an error of [clip.Store] as the outside learns it. Errors that are
// none of the store's stay as they are.
func ClipError(err error) error {
	for _, c := range []struct {
		is     error
		code   area.Code
		detail string
	}{
		{clip.ErrNotFound, area.CodeNotFound, "no such clip"},
		{clip.ErrDamaged, area.CodeNotFound, "the clip was damaged, and is set aside; send it again"},
		{clip.ErrNeeded, area.CodeConflict, "an order without an end, or a schedule, names the clip"},
		{clip.ErrTooLarge, area.CodeTooLarge, ""},
		{clip.ErrFull, area.CodeDiskFull, "there is no room for the clip, and nothing that may go"},
		{clip.ErrNotSound, area.CodeMediaType, ""},
	} {
		if !errors.Is(err, c.is) {
			continue
		}
		if c.detail == "" {
			c.detail = err.Error()
		}
		return area.Errorf(c.code, "%s", clean(c.detail))
	}
	return err
}

// clean is a text of a decoder, which may quote bytes of the file.
func clean(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return "no sound that is read here"
}
