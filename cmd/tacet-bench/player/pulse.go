package player

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/drivers/audio/audiotest"
)

// pulse is a PulseAudio server with a sink that nobody hears, and a recording of
// it.
type pulse struct {
	dir, socket string
	server      *process
	recorder    *exec.Cmd
	file        *os.File
}

const pulseFile = `load-module module-null-sink sink_name=speaker rate=48000 norewinds=1
load-module module-native-protocol-unix socket=%s auth-anonymous=1
set-default-sink speaker
`

// startPulse starts the server and the recording; nil where there is none
// installed.
func startPulse(ctx context.Context, dir string) (p *pulse, err error) {
	program, err := exec.LookPath("pulseaudio")
	if errors.Is(err, exec.ErrNotFound) {
		return nil, nil
	}
	p = &pulse{}
	if p.dir, err = os.MkdirTemp("", "pulse"); err != nil { // short: the name of a socket has 108 bytes
		return nil, err
	}
	p.socket = filepath.Join(p.dir, "native")
	conf := filepath.Join(p.dir, "pa.pa")
	if err := os.WriteFile(conf, fmt.Appendf(nil, pulseFile, p.socket), 0o600); err != nil {
		return nil, err
	}
	p.server, _, err = start(ctx, []string{"XDG_RUNTIME_DIR=" + p.dir, "HOME=" + p.dir}, "", program,
		"-n", "-F", conf, "--exit-idle-time=-1", "--daemonize=no", "--use-pid-file=no", "--disable-shm=yes", "--realtime=no", "--high-priority=no")
	if err != nil {
		return nil, err
	}
	if err := p.record(ctx, filepath.Join(dir, "heard.raw")); err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

// record waits until the server listens and begins the recording.
func (p *pulse) record(ctx context.Context, file string) (err error) {
	until, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := poll(until, func() (bool, error) {
		conn, err := net.Dial("unix", p.socket)
		if err == nil {
			err = conn.Close()
			return true, err
		}
		return false, nil
	}); err != nil {
		return err
	}
	if p.file, err = os.Create(file); err != nil {
		return err
	}
	p.recorder = exec.CommandContext(ctx, "parec", "--raw", "-d", "speaker.monitor", "--rate=48000", "--channels=1", "--format=s16le", "--latency-msec=20")
	p.recorder.Env = append(os.Environ(), "PULSE_SERVER=unix:"+p.socket, "PULSE_COOKIE="+filepath.Join(p.dir, "none"))
	p.recorder.Stdout = p.file
	if err := p.recorder.Start(); err != nil {
		return err
	}
	return poll(until, func() (bool, error) {
		info, err := p.file.Stat()
		return err == nil && info.Size() > 0, err
	})
}

func (p *pulse) stop() {
	if p.recorder != nil && p.recorder.Process != nil {
		_ = p.recorder.Process.Kill()
		_ = p.recorder.Wait() // "signal: killed"
	}
	if p.file != nil {
		_ = p.file.Close() // it is read already
	}
	p.server.stop()
	_ = os.RemoveAll(p.dir)
}

// heard counts the sounds in the recording, and the gaps within them.
func (p *pulse) heard() (sounds, gaps int) {
	b, err := os.ReadFile(p.file.Name())
	if err != nil {
		return 0, 0
	}
	samples := make([]int16, len(b)/2)
	for i := range samples {
		samples[i] = int16(binary.LittleEndian.Uint16(b[2*i:]))
	}
	spans := audiotest.Spans(samples, audiotest.Rate)
	for _, s := range spans {
		gaps += audiotest.Gaps(samples[s.Start:s.End], audiotest.Rate)
	}
	return len(spans), gaps
}

// xrunsOf is what a status says of gaps.
func xrunsOf(topics []area.TopicValue) (int, error) {
	if len(topics) != 1 {
		return 0, fmt.Errorf("the device has %d statuses", len(topics))
	}
	var st area.Status
	if err := json.Unmarshal(topics[0].Payload, &st); err != nil {
		return 0, err
	}
	if st.Health == nil {
		return 0, errors.New("the device's status has no health")
	}
	return int(st.Health.Xruns), nil
}

// portOf is the port of an address such as mqtt://127.0.0.1:1883.
func portOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Port()
}
