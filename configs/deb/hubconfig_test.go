package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What the package installs says everything that the documented configuration
// says: it is that again where the examples are uncommented.
func TestHubConfigExplains(t *testing.T) {
	documented, err := os.ReadFile(filepath.Join("..", "tacet.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := withoutExamples(string(documented))
	if err != nil {
		t.Fatal(err)
	}
	var again strings.Builder
	inside := false
	for line := range strings.Lines(got) {
		for _, key := range examples {
			inside = inside || strings.HasPrefix(line, "# "+key+":")
		}
		if inside = inside && strings.TrimSpace(line) != ""; inside {
			line = strings.TrimPrefix(line, "# ")
		}
		again.WriteString(line)
	}
	if again.String() != string(documented) {
		t.Errorf("with its examples it is\n%s", &again)
	}
}

func TestHubConfigWants(t *testing.T) {
	for _, text := range []string{"", "areas: []\nschedules: []\n", "areas: []\nareas: []\nmappings: []\nschedules: []\n"} {
		if _, err := withoutExamples(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

// A hub starts with it, and has neither areas nor schedules.
func TestHubStartsWithoutSchedules(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "tacet")
	if b, err := exec.Command("go", "build", "-C", filepath.Join("..", ".."), "-o", program, "./cmd/tacet").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	config, err := writeHubConfig(dir)
	if err != nil {
		t.Fatal(err)
	}
	hub := exec.CommandContext(t.Context(), program, "serve", "--config", config)
	hub.Dir = dir
	hub.Env = append(os.Environ(), "TACET_HTTP_ADDR=127.0.0.1:0", "TACET_HTTP_ADMIN_ADDR=127.0.0.1:0", "TACET_MQTT_ADDR=127.0.0.1:0")
	out, err := hub.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := hub.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = hub.Process.Kill(); _ = hub.Wait() })
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || !strings.HasPrefix(line, "ready ") {
		t.Fatalf("it says %q, %v", line, err)
	}
	for _, what := range []string{"schedule", "area"} {
		got := output(t, program, what, "list", "--data", filepath.Join(dir, "tacet-data"))
		if strings.Count(got, "\n") != 1 { // the header
			t.Errorf("%s list says\n%s", what, got)
		}
	}
}
