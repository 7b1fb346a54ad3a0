//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/tacet-hub/tacet/cmd/internal/rungs/proof"
	"github.com/tacet-hub/tacet/drivers/gpio"
)

// edgeReady is the line of the console on which somebody outside is to press the
// power button of the machine, which is line 3 of its only chip.
const edgeReady = "EDGE ready"

const buttonChip = "9030000.pl061"

// tryEdge waits for an edge that comes from outside of the machine.
func tryEdge(s *proof.Sheet) {
	detail, err := button()
	s.Check("edge.button", detail, err)
}

func button() (string, error) {
	host, err := gpio.NewHost("")
	if err != nil {
		return "", err
	}
	name := ""
	for _, c := range host.Chips() {
		if c.Label == buttonChip {
			name = c.Name
		}
	}
	if name == "" {
		return "", fmt.Errorf("there is no chip %s", buttonChip)
	}
	var e events
	b, err := gpio.New(gpio.Config{Inputs: []gpio.Input{{Name: "power", Pin: name + "/3", Active: "high", Pull: "none"}}}, host, e.add)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { _ = b.Run(ctx) }) // it returns nil
	err = poll(func() bool { _, l, _ := host.Line(name + "/3"); return l.Used })
	if err == nil {
		time.Sleep(200 * time.Millisecond) // the line is taken a moment before it is waited for
		fmt.Println(edgeReady)
		err = e.await("power pressed")
	}
	if err == nil {
		err = e.await("power released")
	}
	cancel()
	work.Wait()
	if err = errors.Join(err, b.Close()); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s/3: %s; %d edges", buttonChip, strings.Join(e.all(), ", "), b.Stats().Edges), nil
}
