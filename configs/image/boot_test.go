package main

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// The image starts in an emulator, on a card that is larger than it: PID 1 finds
// its card, grows the data partition, has an address, starts the device, hears
// it, and starts it again when it has ended. Started once more, the machine has
// what was kept. It is not the machine of a Raspberry Pi, but the same kernel: the
// Pi's is part of the tests of hardware.
func TestPID1(t *testing.T) {
	dir := t.TempDir()
	device := filepath.Join(dir, "device")
	build := exec.Command("go", "build", "-o", device, "./testdata/device")
	build.Env = append(os.Environ(), "GOOS=linux", "GOARCH=arm64", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	image := filepath.Join(dir, "sd.img")
	var out, errs bytes.Buffer
	if code := execute(t.Context(), []string{"--source", ".", "--build", dir, "--program", device, "--device", "gate-1", "--area", "north", "-o", image}, &out, &errs); code != exitOK {
		t.Fatalf("exit code %d, %s", code, &errs)
	}
	if err := os.Truncate(image, 512<<20); err != nil { // the larger card
		t.Fatal(err)
	}
	unpack(t, dir, image)
	m := start(t, dir, image, ",restrict=on", "")
	m.want("the data partition grows from 124 to 380 MiB")
	m.want("has the address 10.0.2.15/24")
	m.want("device: run --config /boot/tacet.yaml --data /data")
	m.want("device: tacet.yaml has ")
	m.want("device: runtime directory: <nil>")
	m.want("device: it is run 1, <nil>")
	m.want("device: notified <nil>")
	m.want("the device says: hello")
	m.want("the device has ended: exit code 3")
	m.want("device: quiet --config /boot/tacet.yaml --data /data")
	m.want("the device is started again in 1s")
	m.want("device: it is run 2, <nil>")
	m.never("cannot be")
	m.want("device: it is run 5, <nil>") // longer than the watchdog waits for
	m.never("no watchdog")
	m.stop()

	check := exec.Command("/sbin/fsck.ext4", "-p", "-f", partition(t, image, 132<<20, 380<<20)) // it was cut off
	if out, err := check.CombinedOutput(); err != nil && check.ProcessState.ExitCode() > 1 {
		t.Errorf("fsck.ext4: %v\n%s", err, out)
	} else if !strings.Contains(string(out), "/97280 blocks") {
		t.Errorf("the file system has not grown to 380 MiB:\n%s", out)
	}

	m = start(t, dir, image, ",restrict=on", "")
	m.want("the device is process")
	m.want("device: it is run ")
	m.never("grows")
	m.never("it is run 1,")
	m.stop()
}

// unpack gives the emulator what the firmware of a Raspberry Pi would load.
func unpack(t *testing.T, dir, image string) {
	t.Helper()
	for _, name := range []string{"vmlinuz", "initrd.img"} {
		if err := os.WriteFile(filepath.Join(dir, name), mtype(t, image, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// partition copies a partition out of an image.
func partition(t *testing.T, image string, at, size int64) string {
	t.Helper()
	in, err := os.Open(image)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.Create(filepath.Join(t.TempDir(), "data"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if _, err := io.Copy(out, io.NewSectionReader(in, at, size)); err != nil {
		t.Fatal(err)
	}
	return out.Name()
}

// emulated is a machine that runs.
type emulated struct {
	t     *testing.T
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines chan string
	seen  []string
}

// start starts the image in dir with a network that reaches nothing, or this
// machine, at 10.0.2.2.
func start(t *testing.T, dir, image, net, options string) *emulated {
	t.Helper()
	cmd := exec.Command("qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a53", "-smp", "2", "-m", "512", "-display", "none", "-no-reboot",
		"-kernel", filepath.Join(dir, "vmlinuz"), "-initrd", filepath.Join(dir, "initrd.img"),
		"-drive", "file="+image+",if=none,id=d0,format=raw", "-device", "virtio-blk-device,drive=d0",
		"-device", "i6300esb", "-action", "watchdog=shutdown",
		"-netdev", "user,id=n0"+net, "-device", "virtio-net-device,netdev=n0",
		"-serial", "stdio", "-monitor", "none",
		"-append", "console=ttyAMA0 rdinit=/init panic=10 oops=panic quiet "+options)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	m := &emulated{t: t, cmd: cmd, in: in, lines: make(chan string, 10_000)}
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer close(m.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			m.lines <- strings.TrimSpace(s.Text())
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // an error means that it has ended
		<-read
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("it said:\n%s", strings.Join(m.seen, "\n"))
		}
	})
	return m
}

// want waits for a line, or finds it in what was said.
func (m *emulated) want(part string) {
	m.t.Helper()
	if slices.ContainsFunc(m.seen, func(line string) bool { return strings.Contains(line, part) }) {
		return
	}
	end := time.After(10 * time.Minute) // of a machine that is emulated, on a busy one
	for {
		select {
		case line, ok := <-m.lines:
			if !ok {
				m.t.Fatalf("it ended before it said %q", part)
			}
			m.seen = append(m.seen, line)
			if strings.Contains(line, part) {
				return
			}
		case <-end:
			m.t.Fatalf("it never said %q", part)
		}
	}
}

// never looks whether it was said up to now.
func (m *emulated) never(part string) {
	m.t.Helper()
	for _, line := range m.seen {
		if strings.Contains(line, part) {
			m.t.Errorf("it said %q", line)
		}
	}
}

// stop cuts the power.
func (m *emulated) stop() {
	_ = m.cmd.Process.Kill()
	for line := range m.lines {
		m.seen = append(m.seen, line)
	}
}
