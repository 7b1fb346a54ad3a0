//go:build linux

package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/tacet-hub/tacet/cmd/internal/rungs/proof"
	"github.com/tacet-hub/tacet/drivers/watchdog"
)

const biteTime = 2 * time.Second

// tryWatchdog feeds the kernel's watchdog, gives it back, and lives.
func tryWatchdog(s *proof.Sheet) {
	detail, err := fed()
	s.Check("watchdog.feed", detail, err)
}

func fed() (string, error) {
	d, err := watchdog.Open(watchdog.Path, biteTime)
	if err != nil {
		return "", err
	}
	if d.Timeout() != biteTime {
		return "", errors.Join(fmt.Errorf("its timeout is %v, not %v", d.Timeout(), biteTime), d.Close())
	}
	if second, err := watchdog.Open(watchdog.Path, biteTime); err == nil {
		return "", errors.Join(errors.New("it was opened twice"), second.Close(), d.Close())
	}
	for range 10 {
		time.Sleep(biteTime / 2)
		if err := d.Feed(); err != nil {
			return "", err
		}
	}
	if err := d.Close(); err != nil {
		return "", err
	}
	time.Sleep(3 * biteTime)
	return fmt.Sprintf("fed for %v, given back, and the machine lives %v later", 10*biteTime/2, 3*biteTime), nil
}

// bitten opens the watchdog and hangs: the machine is reset. The line comes where
// it is not.
func bitten(s *proof.Sheet) {
	d, err := watchdog.Open(watchdog.Path, biteTime)
	if err == nil {
		fmt.Println("BITE ready")
		time.Sleep(10 * biteTime)
		err = errors.Join(errors.New("the machine was not reset"), d.Close())
	}
	s.Fail("watchdog.bite", "%v", err)
}
