package proof

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
)

// Sheet prints what a rung has proved, a line each:
//
//	HW ok|FAIL name detail
//	AGAIN why
//	RESULT fails=N
//
// and knows which lines have to come, so that what did not run is a failure. Its
// methods are safe for concurrent use.
type Sheet struct {
	mu    sync.Mutex
	out   io.Writer
	want  []string
	seen  map[string]bool
	fails int
}

// New prints to out and wants a line of each of the names.
func New(out io.Writer, want []string) *Sheet {
	return &Sheet{out: out, want: want, seen: map[string]bool{}}
}

// Line is one line of a report.
type Line struct {
	OK     bool
	Name   string
	Detail string
}

const (
	linePrefix   = "HW "
	againPrefix  = "AGAIN "
	resultPrefix = "RESULT fails="
)

// ParseLine reads a line of a report that came over a wire; false where it is
// none.
func ParseLine(text string) (l Line, ok bool) {
	at := strings.Index(text, linePrefix) // a kernel may have written before it without ending its line
	if at < 0 {
		return l, false
	}
	f := strings.SplitN(strings.TrimSpace(text[at:]), " ", 4)
	if len(f) < 3 || f[1] != "ok" && f[1] != "FAIL" {
		return l, false
	}
	l = Line{OK: f[1] == "ok", Name: f[2]}
	if len(f) == 4 {
		l.Detail = f[3]
	}
	return l, true
}

// ParseResult reads the last line of a report.
func ParseResult(s string) (fails int, ok bool) {
	s, ok = strings.CutPrefix(strings.TrimSpace(s), resultPrefix)
	if !ok {
		return 0, false
	}
	fails, err := strconv.Atoi(s)
	return fails, err == nil
}

// String is the line as it is printed, without its end.
func (l Line) String() string {
	word := "FAIL"
	if l.OK {
		word = "ok"
	}
	return strings.TrimRight(linePrefix+word+" "+l.Name+" "+l.Detail, " ")
}

// Add prints a line. A name that comes twice is a failure: one of the two hides
// the other.
func (s *Sheet) Add(l Line) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen[l.Name] && l.OK {
		l.OK, l.Detail = false, "told twice: "+l.Detail
	}
	s.seen[l.Name] = true
	if !l.OK {
		s.fails++
	}
	fmt.Fprintln(s.out, l)
}

// OK tells that what has this name holds.
func (s *Sheet) OK(name, format string, args ...any) {
	s.Add(Line{OK: true, Name: name, Detail: fmt.Sprintf(format, args...)})
}

// Fail tells that it does not.
func (s *Sheet) Fail(name, format string, args ...any) {
	s.Add(Line{Name: name, Detail: fmt.Sprintf(format, args...)})
}

// Check tells what came of something: the detail, or the error.
func (s *Sheet) Check(name, detail string, err error) {
	if err != nil {
		s.Fail(name, "%v", err)
		return
	}
	s.OK(name, "%s", detail)
}

// Fails is the number of failures up to now.
func (s *Sheet) Fails() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fails
}

// Again forgets the lines that came, since everything is tried once more, and
// prints why.
func (s *Sheet) Again(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen, s.fails = map[string]bool{}, 0
	fmt.Fprintf(s.out, againPrefix+format+"\n", args...)
}

// Close prints the lines that did not come as failures, then the last line, and
// tells the number of failures.
func (s *Sheet) Close() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range s.want {
		if !s.seen[name] {
			s.fails++
			fmt.Fprintln(s.out, Line{Name: name, Detail: "no line came"})
		}
	}
	fmt.Fprintf(s.out, "%s%d\n", resultPrefix, s.fails)
	return s.fails
}
