//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// device is tacet-device as a process of this guest. It is used by one
// goroutine.
type device struct {
	cmd   *exec.Cmd
	ended chan error
}

const (
	deviceProgram = "/bin/tacet-device"
	deviceConfig  = "/etc/tacet/device.yaml"
	deviceEnd     = 10 * time.Second // for a device that was told to end
)

// do does what one word says and answers what came of it.
func (d *device) do(word string) (string, error) {
	switch word {
	case "start":
		return "", d.start()
	case "kill":
		return "", d.kill()
	case "term":
		return "", d.term()
	case "press":
		return "", press()
	case "usage":
		return d.usage()
	case "off":
		return "", nil
	}
	return "", fmt.Errorf("there is no %q", word)
}

// start starts the device; what it says goes to the console.
func (d *device) start() error {
	if d.cmd != nil {
		return errors.New("it runs")
	}
	cmd := exec.Command(deviceProgram, "run", "--config", deviceConfig)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stdout
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }() // kill and term wait for it
	d.cmd, d.ended = cmd, ended
	return nil
}

// kill kills the device at once, as a crash does.
func (d *device) kill() error {
	if d.cmd == nil {
		return errors.New("it does not run")
	}
	err := d.cmd.Process.Kill()
	<-d.ended // killed
	d.cmd = nil
	return err
}

// term tells the device to end; its exit code has to be 0.
func (d *device) term() error {
	if d.cmd == nil {
		return errors.New("it does not run")
	}
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case err := <-d.ended:
		d.cmd = nil
		return err
	case <-time.After(deviceEnd):
		return fmt.Errorf("it does not end in %v: %w", deviceEnd, d.kill())
	}
}

// press presses the mute button, as a person does.
func press() error {
	const held = 150 * time.Millisecond
	if err := simDrive(mutePin, false); err != nil {
		return err
	}
	time.Sleep(held)
	return simDrive(mutePin, true)
}

// usage tells what the process takes: "rss=BYTES cpu=NANOSECONDS fds=N
// written=BYTES".
func (d *device) usage() (string, error) {
	if d.cmd == nil {
		return "", errors.New("it does not run")
	}
	u, err := usageOf(d.cmd.Process.Pid)
	return u.String(), err
}
