package floors

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// mostBytes is how large the device's program may be for a Raspberry Pi, built as
// `make build` builds it: a card or a slot holds several, and each update is
// fetched by radio.
const mostBytes = 12_000_000

func TestSizeOfTheDevice(t *testing.T) {
	out := filepath.Join(t.TempDir(), "tacet-device")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", out, "./cmd/tacet-device")
	cmd.Dir = "../../.."
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=arm64", "GOFLAGS=")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, text)
	}
	info, err := os.Stat(out)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("tacet-device for arm64 has %d bytes of %d", info.Size(), mostBytes)
	if info.Size() > mostBytes {
		t.Errorf("tacet-device for arm64 has %d bytes, over %d: what was added? (go tool nm -size -sort size)", info.Size(), mostBytes)
	}
}
