//go:build linux

package main

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/tacet-hub/tacet/cmd/internal/rungs/proof"
)

func main() {
	if len(os.Args) == 2 && os.Args[1] == holdAmp {
		if err := hold(); err != nil {
			fmt.Fprintln(os.Stderr, "probe:", err)
		}
		os.Exit(1)
	}
	sheet := proof.New(os.Stdout, nil)
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "probe: this is to be the first process of a guest")
		os.Exit(2)
	}
	if err := boot(); err != nil {
		sheet.Fail("boot", "%v", err)
	} else {
		try(sheet, os.Getenv("HW_SUITES"))
	}
	sheet.Close()
	if to := os.Getenv("HW_CONTROL"); to != "" {
		if err := obey(to, os.Getenv("HW_NAME")); err != nil {
			fmt.Println("control:", err)
		}
	}
	off()
}

// suites is everything that can be tried. Each writes its lines on the sheet.
var suites = map[string]func(*proof.Sheet){
	"kernel":   tryKernel,
	"gpio":     tryGPIO,
	"tests":    tryTests,
	"sound":    trySound,
	"edge":     tryEdge,
	"watchdog": tryWatchdog,
	"bite":     bitten,
}

func try(sheet *proof.Sheet, names string) {
	for name := range strings.SplitSeq(names, ",") {
		if suite := suites[name]; suite != nil {
			suite(sheet)
		} else if name != "" {
			sheet.Fail(name, "there is no such suite")
		}
	}
}

// off switches the machine off. A machine that cannot be is started again, which
// ends an emulator that was told not to.
func off() {
	unix.Sync()
	how := unix.LINUX_REBOOT_CMD_POWER_OFF
	if os.Getenv("HW_END") == "restart" {
		how = unix.LINUX_REBOOT_CMD_RESTART
	}
	if err := unix.Reboot(how); err != nil {
		fmt.Println("off:", err)
	}
}
