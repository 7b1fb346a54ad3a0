package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
)

func main() {
	strict := flag.Bool("strict", false, "a skipped test is a failure")
	show := flag.String("show", "", "print lines of passed tests that match this `expression`")
	flag.Parse()
	s := newSum(os.Stdout)
	if *show != "" {
		var err error
		if s.show, err = regexp.Compile(*show); err != nil {
			fmt.Fprintln(os.Stderr, "testsum:", err)
			os.Exit(2)
		}
	}
	if err := s.read(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "testsum:", err)
		os.Exit(1)
	}
	if !s.close(*strict) {
		os.Exit(1)
	}
}

// event is one line of go test -json (cmd/test2json).
type event struct {
	Action, Package, ImportPath, Test, Output string
	Elapsed                                   float64
	FailedBuild                               string
}

// name is a test, or with an empty test its package.
type name struct{ pkg, test string }

// sum gathers events.
type sum struct {
	out    io.Writer
	show   *regexp.Regexp
	said   map[name][]string // output of what has not ended
	failed []name
	idle   []string // tests that were skipped, with why

	passes, fails, skips int
	broken               int             // packages that failed without a failed test
	crashed              map[string]bool // packages in which the race detector itself crashed, until they run again
}

func newSum(out io.Writer) *sum {
	return &sum{out: out, said: map[name][]string{}, crashed: map[string]bool{}}
}

// read takes events until the input ends. A line that is no event is shown as it
// is.
func (s *sum) read(in io.Reader) error {
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			var e event
			if json.Unmarshal([]byte(line), &e) != nil || e.Action == "" {
				fmt.Fprint(s.out, line)
			} else {
				s.take(e)
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (s *sum) take(e event) {
	n := name{e.Package, e.Test}
	switch e.Action {
	case "output":
		s.said[n] = append(s.said[n], e.Output)
		if s.show != nil && s.show.MatchString(e.Output) {
			fmt.Fprint(s.out, e.Output)
		}
	case "build-output":
		fmt.Fprint(s.out, e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			s.endPackage(e)
		} else {
			s.endTest(n, e.Action)
		}
	}
}

func (s *sum) endTest(n name, action string) {
	switch action {
	case "pass":
		s.passes++
	case "skip":
		s.skips++
		s.idle = append(s.idle, n.pkg+" "+n.test+": "+reason(s.said[n]))
	case "fail":
		s.fails++
		s.failed = append(s.failed, n)
		s.print(n)
	}
	delete(s.said, n)
}

// endPackage shows a package's line. A package that failed without a test of it
// having failed (a panic, a time-out, TestMain) shows all that is left.
func (s *sum) endPackage(e event) {
	if e.Action == "skip" {
		return // no test files
	}
	fmt.Fprintf(s.out, "%-5s %s %.1fs\n", e.Action, e.Package, e.Elapsed)
	delete(s.crashed, e.Package)
	if e.Action == "fail" && !s.hasFailed(e.Package) {
		if s.detectorCrashed(e.Package) {
			s.crashed[e.Package] = true
		} else {
			s.broken++
		}
		for n := range s.said {
			if n.pkg == e.Package {
				s.print(n)
			}
		}
	}
	for n := range s.said {
		if n.pkg == e.Package {
			delete(s.said, n)
		}
	}
}

func (s *sum) hasFailed(pkg string) bool {
	for _, n := range s.failed {
		if n.pkg == pkg {
			return true
		}
	}
	return false
}

// detectorCrash is how a program says that it ended inside of the race detector: a check
// of the detector's own failed, or it read what is not there, beneath all goroutines,
// where the runtime fires the timers of a bubble of synctest. Of a fault in a program's
// own Go the signal stands in brackets, behind a panic.
var detectorCrash = regexp.MustCompile(`^(ThreadSanitizer: CHECK failed|SIGSEGV: segmentation violation)`)

// detectorCrashed tells whether a package ended so, which says nothing about what was
// tested.
func (s *sum) detectorCrashed(pkg string) bool {
	for n, lines := range s.said {
		if n.pkg == pkg && slices.ContainsFunc(lines, func(l string) bool { return detectorCrash.MatchString(l) }) {
			return true
		}
	}
	return false
}

func (s *sum) print(n name) { fmt.Fprint(s.out, strings.Join(s.said[n], "")) }

// reason is what a skipped test said: its last line that is not the test
// framework's.
func reason(said []string) string {
	why := "no reason given"
	for _, line := range said {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "---") && !strings.HasPrefix(line, "===") {
			why = line
		}
	}
	return why
}

// close shows what did not run, what failed and the counts, and tells whether
// all is well.
func (s *sum) close(strict bool) bool {
	for _, t := range s.idle {
		fmt.Fprintln(s.out, "did not run:", t)
	}
	for _, n := range s.failed {
		fmt.Fprintln(s.out, "failed:", n.pkg, n.test)
	}
	for pkg := range s.crashed {
		s.broken++
		fmt.Fprintln(s.out, "failed:", pkg, "the race detector crashed, and the package was not run again")
	}
	fmt.Fprintf(s.out, "tests: %d passed, %d failed, %d skipped\n", s.passes, s.fails+s.broken, s.skips)
	return s.fails+s.broken == 0 && s.passes > 0 && (s.skips == 0 || !strict)
}
