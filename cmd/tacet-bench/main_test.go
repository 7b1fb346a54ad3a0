package main

import (
	"os"
	"testing"

	"github.com/tacet-hub/tacet/cmd/tacet-bench/servers"
)

// TestMain is the program itself where a server is started as a process.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == servers.ServeCommand || os.Args[1] == "hub-serve") {
		main()
		return
	}
	os.Exit(m.Run())
}
