package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// examples are the keys of configs/tacet.yaml whose values are an example and no
// default: a hub that was just installed has none of them.
var examples = []string{"areas", "mappings", "schedules"}

// writeHubConfig writes the configuration that the package installs to dir, and
// answers its path: that of configs/tacet.yaml with the examples commented out.
func writeHubConfig(dir string) (string, error) {
	documented, err := os.ReadFile(filepath.Join("..", "tacet.yaml"))
	if err != nil {
		return "", err
	}
	text, err := withoutExamples(string(documented))
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "tacet.yaml")
	return file, os.WriteFile(file, []byte(text), 0o644)
}

// withoutExamples comments the examples out. Each has to be there once, so that
// nobody who moves one installs it.
func withoutExamples(documented string) (string, error) {
	var out strings.Builder
	var found []string
	inside := false
	for line := range strings.Lines(documented) {
		if key, _, ok := strings.Cut(line, ":"); ok && !strings.HasPrefix(line, " ") && !strings.HasPrefix(line, "#") {
			if inside = slices.Contains(examples, key); inside {
				found = append(found, key)
			}
		}
		if inside && strings.TrimSpace(line) != "" && !strings.HasPrefix(line, "#") {
			out.WriteString("# ")
		}
		out.WriteString(line)
	}
	if !slices.Equal(found, examples) {
		return "", fmt.Errorf("tacet.yaml: it has the examples %q, not %q", found, examples)
	}
	return out.String(), nil
}
