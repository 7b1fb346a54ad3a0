package speech

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/tacet-hub/tacet/drivers/media"
)

// engine turns a clean text into sound, in a voice or, where it has not got that,
// in the default one.
type engine interface {
	name() string
	say(ctx context.Context, text, voice, fallback string) (media.Sound, error)
}

// program is a program that reads a text and writes a WAV file.
type program struct{ called, path string }

func findProgram(name string) (program, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return program{}, fmt.Errorf("speech engine: %w", err)
	}
	return program{name, path}, nil
}

func (p program) name() string { return p.called }

// run gives the program a text and answers the sound that it makes.
func (p program) run(ctx context.Context, text string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, p.path, args...)
	cmd.Stdin = strings.NewReader(text)
	cmd.WaitDelay = time.Second
	var said limited
	cmd.Stderr = &said
	out, err := cmd.Output()
	if ctx.Err() != nil {
		return nil, fmt.Errorf("%s: %w", p.called, ctx.Err())
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %s", p.called, err, strings.TrimSpace(string(said)))
	}
	return out, nil
}

// sound is what a program wrote.
func (p program) sound(out []byte, err error) (media.Sound, error) {
	if err != nil {
		return nil, err
	}
	c, err := media.Decode(bytes.NewReader(out), longest)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.called, err)
	}
	return c.Sound, nil
}

// longest is more than [MaxText] takes, read slowly.
const longest = 20 * time.Minute

// limited keeps the beginning of what a program complains.
type limited []byte

func (l *limited) Write(p []byte) (int, error) {
	const most = 200
	*l = append(*l, p[:min(len(p), max(0, most-len(*l)))]...)
	return len(p), nil
}
