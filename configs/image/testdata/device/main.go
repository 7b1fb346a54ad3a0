// Command device stands for tacet-device in the test of PID 1: it says how it was
// started, and ends.
package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"
)

func main() {
	fmt.Println("device:", strings.Join(os.Args[1:], " "))
	if os.Args[1] == "quiet" {
		return
	}
	text, err := os.ReadFile("/boot/tacet.yaml")
	fmt.Printf("device: tacet.yaml has %d bytes, %v\n", len(text), err)
	_, err = os.Stat(os.Getenv("RUNTIME_DIRECTORY"))
	fmt.Println("device: runtime directory:", err)
	before, _ := os.ReadFile("/data/runs")
	fmt.Printf("device: it is run %d, %v\n", len(before)+1, keep("/data/runs", append(before, 'x')))
	if c, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET")); err != nil {
		fmt.Println("device:", err)
	} else {
		_, err = c.Write([]byte("READY=1\nSTATUS=hello"))
		fmt.Println("device: notified", err)
	}
	time.Sleep(time.Second)
	os.Exit(3)
}

// keep writes a file that is there after the power was cut.
func keep(path string, b []byte) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}
