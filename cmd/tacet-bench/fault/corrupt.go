package fault

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tacet-hub/tacet/cmd/tacet-bench/servers"
)

// Corrupt damages what a server has stored, in a fresh copy each round: a byte
// is flipped, a page is zeroed, or the file is cut, at random. The server must
// start, and where anything is gone it must have said so.
func Corrupt(ctx context.Context, s Settings) ([]Figure, error) {
	d, err := newDir(s.Dir)
	if err != nil {
		return nil, err
	}
	defer d.remove()
	r, err := s.store(ctx, d)
	if err != nil {
		return nil, err
	}
	quiet, err := s.reports(ctx, d.data, nil) // what it says when nothing is wrong
	if err != nil {
		return nil, err
	}
	var c corruption
	for round := range s.Rounds {
		if err := c.round(ctx, s, d, r.clone(), len(quiet)); err != nil {
			return nil, fmt.Errorf("round %d: %w", round+1, err)
		}
	}
	return []Figure{
		promise("does not start", fmt.Sprint("of ", s.Rounds), float64(c.dead), 0),
		promise("something gone and nothing said", fmt.Sprint("of ", s.Rounds), float64(c.silent), 0),
		plain("reported", fmt.Sprint("of ", s.Rounds), float64(c.reported)),
		plain("hit nothing that is used", fmt.Sprint("of ", s.Rounds), float64(c.harmless)),
		plain("things gone in the worst round", fmt.Sprint("of ", r.things()), float64(c.worst)),
	}, nil
}

// store fills a directory and stops the server in its own way.
func (s Settings) store(ctx context.Context, d dir) (*rig, error) {
	p, err := servers.Start(ctx, s.spec(d.data))
	if err != nil {
		return nil, err
	}
	defer p.Stop()
	r := newRig()
	if err := r.prepare(ctx, p.MQTT, min(s.Retained, 1000), min(s.Sessions, 100)); err != nil {
		return nil, err
	}
	load, stop := context.WithTimeout(ctx, time.Second)
	defer stop()
	r.load(load, p.MQTT)()
	return r, nil
}

// corruption is what the rounds have shown.
type corruption struct{ dead, silent, reported, harmless, worst int }

func (c *corruption) round(ctx context.Context, s Settings, d dir, r *rig, quiet int) error {
	data := filepath.Join(d.top, "damaged")
	defer os.RemoveAll(data)
	if err := os.CopyFS(data, os.DirFS(d.data)); err != nil {
		return err
	}
	what, err := damage(data)
	if err != nil {
		return err
	}
	said, err := s.reports(ctx, data, r)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	gone := r.count.broken()
	switch {
	case err != nil:
		c.dead++
		s.Say("%s: %s: %v", s.Kind, what, err)
	case len(said) > quiet:
		c.reported++
	case gone > 0:
		c.silent++
		s.Say("%s: %s: %d gone and nothing said: %s", s.Kind, what, gone, strings.Join(r.count.lines[:min(3, len(r.count.lines))], "; "))
	default:
		c.harmless++
	}
	if gone > c.worst {
		c.worst = gone
		s.Say("%s: %s: %d gone, and reported: %s", s.Kind, what, gone, strings.Join(said, " | "))
	}
	return nil
}

// reports starts a server on a directory, checks what it has kept against r, if
// that is not nil, and gives its complaints.
func (s Settings) reports(ctx context.Context, data string, r *rig) (complaints []string, err error) {
	spec := s.spec(data)
	var log bytes.Buffer
	spec.Log = &log
	p, err := servers.Start(ctx, spec)
	if err == nil && r != nil {
		err = r.check(ctx, p.MQTT)
	}
	if p != nil {
		p.Stop()
	}
	if err != nil {
		err = fmt.Errorf("%w: %s", err, tail(log.String()))
	}
	return complaintsIn(log.String()), err
}

// tail is the end of a log.
func tail(log string) string {
	lines := strings.Split(strings.TrimSpace(log), "\n")
	return strings.Join(lines[max(0, len(lines)-3):], " | ")
}

// complaintsIn are the lines of a log that are warnings or errors.
func complaintsIn(log string) (lines []string) {
	for line := range strings.Lines(log) {
		if strings.Contains(line, "level=WARN") || strings.Contains(line, "level=ERROR") || strings.Contains(line, "Error") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// damage harms one of the files in a directory, the bigger the more likely.
func damage(data string) (what string, err error) {
	var files []string
	var sizes []int64
	total := int64(0)
	err = filepath.WalkDir(data, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || filepath.Ext(path) == ".json" || filepath.Ext(path) == ".lock" {
			return err
		}
		info, err := e.Info()
		if err != nil || info.Size() == 0 {
			return err
		}
		files, sizes, total = append(files, path), append(sizes, info.Size()), total+info.Size()
		return nil
	})
	if err != nil {
		return "", err
	}
	if total == 0 {
		return "nothing is stored", nil
	}
	at := rand.Int64N(total)
	i := 0
	for ; at >= sizes[i]; i++ {
		at -= sizes[i]
	}
	return harm(files[i], sizes[i])
}

// page is the unit of the disk, and of most stores.
const page = 4096

// harm flips a byte, zeroes a page, or cuts the file, where there is anything in
// it: what is kept free for later may be as it likes.
func harm(path string, size int64) (what string, err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	at, b, err := somewhere(f, size)
	if err != nil {
		return "", err
	}
	name := filepath.Base(path)
	switch rand.IntN(3) {
	case 0:
		i := rand.IntN(len(b))
		_, err = f.WriteAt([]byte{b[i] ^ byte(1+rand.IntN(255))}, at+int64(i))
		return fmt.Sprintf("%s: byte %d of %d flipped", name, at+int64(i), size), err
	case 1:
		_, err = f.WriteAt(make([]byte, len(b)), at)
		return fmt.Sprintf("%s: page at %d of %d zeroed", name, at, size), err
	}
	at += rand.Int64N(int64(len(b)))
	return fmt.Sprintf("%s: cut from %d to %d", name, size, at), f.Truncate(at)
}

// somewhere is a page that is not empty.
func somewhere(f *os.File, size int64) (at int64, b []byte, err error) {
	for {
		at = rand.Int64N((size+page-1)/page) * page
		b = make([]byte, min(page, size-at))
		if _, err := f.ReadAt(b, at); err != nil {
			return 0, nil, err
		}
		if bytes.Count(b, []byte{0}) < len(b) {
			return at, b, nil
		}
	}
}
