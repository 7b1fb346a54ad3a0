package cases

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// The environment of a child: which broker it is to be, and for which case.
const (
	childBroker = "TACET_CASES_BROKER"
	childCase   = "TACET_CASES_CASE"
	childFew    = "TACET_CASES_FEW" // the tests themselves, with few descriptors
)

const fewDescriptors = 256

// TestMain is a broker instead of the tests where the environment says so.
func TestMain(m *testing.M) {
	if kind := os.Getenv(childBroker); kind != "" {
		if err := beBroker(kind, os.Getenv(childCase)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	parallel := "16" // more than processors: cases mostly wait
	if os.Getenv(childFew) != "" {
		parallel = "4"
		if err := limitDescriptors(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	_ = flag.Set("test.parallel", parallel)
	os.Exit(m.Run())
}

// beBroker runs a broker that may open few descriptors until standard input
// ends. Its address is the one line that it prints.
func beBroker(kind, name string) error {
	if err := limitDescriptors(); err != nil {
		return err
	}
	var set setup
	for _, c := range connectionCases {
		if c.name == name {
			set = c.setup
		}
	}
	start := starter(startOurs)
	if kind == "bare" {
		start = startBare
	}
	s, err := start(set, "tcp", &record{})
	if err != nil {
		return err
	}
	defer s.close()
	fmt.Println(s.(interface{ addr() string }).addr())
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func limitDescriptors() error {
	few := syscall.Rlimit{Cur: fewDescriptors, Max: fewDescriptors}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &few); err != nil {
		return fmt.Errorf("setrlimit: %w", err)
	}
	return nil
}

// child is a broker in a process of its own.
type child struct {
	cmd  *exec.Cmd
	in   io.Closer
	addr string
}

// inChildOf starts a broker for a case in a process of its own.
func inChildOf(t *testing.T, kind string, c testCase) starter {
	return func(setup, string, *record) (server, error) {
		cmd := exec.Command(os.Args[0], "-test.run=^$")
		cmd.Env = append(os.Environ(), childBroker+"="+kind, childCase+"="+c.name)
		cmd.Stderr = t.Output()
		in, err := cmd.StdinPipe()
		if err != nil {
			return nil, err
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			return nil, err
		}
		if err := cmd.Start(); err != nil {
			return nil, err
		}
		line, err := bufio.NewReader(out).ReadString('\n')
		if err != nil {
			return nil, fmt.Errorf("the child says no address: %w, %w", err, cmd.Wait())
		}
		return &child{cmd: cmd, in: in, addr: strings.TrimSpace(line)}, nil
	}
}

func (c *child) dial() (net.Conn, error) { return net.Dial("tcp", c.addr) }
func (c *child) restart() error          { return errNoRestart }

// close ends the child as the end of its standard input does, and waits for it.
func (c *child) close() {
	_ = c.in.Close()
	_ = c.cmd.Wait() // a child that fails fails its case
}
