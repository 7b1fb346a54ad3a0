package speech

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tacet-hub/tacet/drivers/media"
)

// piper speaks with piper, which sounds like a person and has a model of a
// hundred megabytes for each voice. It loads one at each call, so a text takes
// about a second; who speaks it again keeps the sound.
type piper struct {
	program
	models map[string]string // files by voice
	voices []string          // sorted
}

// newPiper finds the program and the models in a directory.
func newPiper(dir string) (*piper, error) {
	p, err := findProgram(Piper)
	if err != nil {
		return nil, err
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.onnx"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("speech engine: no model (*.onnx) of piper is in %s", dir)
	}
	e := &piper{program: p, models: map[string]string{}}
	for _, f := range files {
		v := strings.TrimSuffix(filepath.Base(f), ".onnx")
		e.models[v] = f
		e.voices = append(e.voices, v)
	}
	slices.Sort(e.voices)
	return e, nil
}

func (e *piper) say(ctx context.Context, text, voice, fallback string) (media.Sound, error) {
	// It takes each line for a text of its own, and makes a file of each.
	return e.sound(e.run(ctx, strings.Join(strings.Fields(text), " ")+"\n", "--model", e.model(voice, fallback), "--output_file", "-"))
}

// model is the file of a voice, else the first of its language ("en", "en-GB"),
// else that of the default voice, else the first of all.
func (e *piper) model(voice, fallback string) string {
	for _, v := range []string{voice, fallback} {
		if file, ok := e.models[v]; ok {
			return file
		}
		want := strings.ReplaceAll(strings.ToLower(v), "-", "_")
		for _, have := range e.voices {
			language, _, _ := strings.Cut(strings.ToLower(have), "-") // en_gb
			if language == want || strings.HasPrefix(language, want+"_") {
				return e.models[have]
			}
		}
	}
	return e.models[e.voices[0]]
}
