//go:build linux

package main

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/tacet-hub/tacet/cmd/internal/rungs/scope"
)

// obey calls whoever drives this guest, sends what the sound card and the pins
// do, and does what it is told until it is told to end.
func obey(to, name string) error {
	commands, err := call(to, "control "+name)
	if err != nil {
		return err
	}
	defer commands.Close()
	trace, err := call(to, "scope "+name)
	if err != nil {
		return err
	}
	var work sync.WaitGroup
	stop := make(chan struct{})
	work.Go(func() {
		if err := watch(trace, stop); err != nil {
			fmt.Println("recording:", err)
		}
	})
	err = listen(commands)
	close(stop)
	_ = trace.Close() // it was read up to here
	work.Wait()
	return err
}

// call connects, for at most 10 s, and says what the connection is.
func call(to, greeting string) (net.Conn, error) {
	conn, err := net.DialTimeout("tcp", to, 10*time.Second)
	if err != nil {
		return nil, err
	}
	_, err = fmt.Fprintln(conn, greeting)
	return conn, err
}

// watch records until it is told to stop.
func watch(to net.Conn, stop <-chan struct{}) error {
	r, err := recordLoopback()
	if err != nil {
		return err
	}
	defer r.close()
	eyes := findPins()
	out := bufio.NewWriterSize(to, 1<<16)
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		b, err := r.read()
		if err != nil {
			return err
		}
		b.Pins = eyes.look()
		if err := scope.Encode(out, b); err != nil {
			return err
		}
		if err := out.Flush(); err != nil {
			return err
		}
	}
}

// listen does what it is told, a line each, and answers with a line.
func listen(conn net.Conn) error {
	var d device
	defer d.kill() // an error means that it does not run
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		detail, err := d.do(lines.Text())
		answer := "ok " + detail
		if err != nil {
			answer = "FAIL " + strings.ReplaceAll(err.Error(), "\n", "; ")
		}
		if _, err := fmt.Fprintln(conn, answer); err != nil {
			return err
		}
		if lines.Text() == "off" {
			return nil
		}
	}
	return errors.Join(errors.New("nobody drives this guest any more"), lines.Err())
}

// pins are the eyes on the pins: files of the simulated chip.
type pins map[scope.Pins]string

// wired says which pin is what, as the configuration of the device does.
var wired = map[scope.Pins]int{scope.Amp: 22, scope.Lamp: 17, scope.Status: 27}

func findPins() pins {
	found := pins{}
	for bit, n := range wired {
		if path, err := simPin(n, "value"); err == nil {
			found[bit] = path
		}
	}
	return found
}

func (p pins) look() (levels scope.Pins) {
	for bit, path := range p {
		if raw, err := os.ReadFile(path); err == nil && strings.HasPrefix(string(raw), "1") {
			levels |= bit
		}
	}
	return levels
}
