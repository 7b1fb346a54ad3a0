package cli

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// pty is a terminal of the kernel's: what is written to keys is typed at it.
func pty(t *testing.T) (keys, terminal *os.File) {
	t.Helper()
	keys, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { keys.Close() })
	if err := unix.IoctlSetPointerInt(int(keys.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(keys.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { terminal.Close() })
	return keys, terminal
}

// typist types one answer after each question, and keeps what was asked.
type typist struct {
	bytes.Buffer
	keys    io.Writer
	answers []string
}

func (p *typist) Write(b []byte) (int, error) {
	if bytes.HasSuffix(b, []byte(": ")) && len(p.answers) > 0 {
		_, _ = io.WriteString(p.keys, p.answers[0])
		p.answers = p.answers[1:]
	}
	return p.Buffer.Write(b)
}

// TestPasswordOnATerminal: it is asked for beside standard output, which a
// script may take, and never shown.
func TestPasswordOnATerminal(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, `{"token":"%d"}`, strings.Count(string(body), `"password":"hunter2"`))
	}))
	defer srv.Close()
	login, hash := []string{"user", "login", "ann", "--url", srv.URL}, []string{"user", "hash"}
	for name, c := range map[string]struct {
		args, answers  []string
		exit           int
		stdout, stderr string
	}{
		"login":     {login, []string{"hunter2\r"}, ExitOK, "1\n", "password: \r\n"},
		"corrected": {login, []string{"hunter3\x7f2\r"}, ExitOK, "1\n", "password: \r\n"},
		"hash":      {hash, []string{"hunter2\r", "hunter2\r"}, ExitOK, "$argon2id$", "password: \r\nonce more: \r\n"},
		"a slip":    {hash, []string{"hunter2\r", "hunter3\r"}, ExitUsage, "", "password: \r\nonce more: \r\ntacet: usage: the two passwords are not the same\n"},
		"nothing":   {hash, []string{"\r"}, ExitUsage, "", "password: \r\ntacet: usage: a password has 1 to 1024 bytes\n"},
		"Ctrl-C":    {login, []string{"hun\x03"}, ExitFailed, "", "password: tacet: cancelled: no password was given\n"},
	} {
		t.Run(name, func(t *testing.T) {
			keys, terminal := pty(t)
			before, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
			if err != nil {
				t.Fatal(err)
			}
			root := &cobra.Command{Use: "tacet"}
			Add(root, Env{Getenv: func(string) string { return "" }})
			root.SetIn(terminal)
			asked, out := &typist{keys: keys, answers: c.answers}, &bytes.Buffer{}
			exit := Execute(t.Context(), root, c.args, out, asked)
			if exit != c.exit || !strings.HasPrefix(out.String(), c.stdout) || c.stdout == "" && out.Len() > 0 || asked.String() != c.stderr {
				t.Errorf("got exit %d, %q and %q; want %d, %q and %q", exit, out, asked.String(), c.exit, c.stdout, c.stderr)
			}
			after, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
			if err != nil || *after != *before {
				t.Errorf("the terminal is left changed: %v", err)
			}
			terminal.Close()
			if shown, _ := io.ReadAll(keys); len(shown) > 0 { // ends with EIO, since nobody has the terminal open
				t.Errorf("the terminal showed %q", shown)
			}
		})
	}
}
