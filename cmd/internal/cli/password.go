package cli

import (
	"bytes"
	"errors"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// maxPassword bounds what is read of a password, in bytes.
const maxPassword = 1024

// passwordFlag registers --stdin.
func passwordFlag(c *cobra.Command, stdin *bool) {
	c.Flags().BoolVar(stdin, "stdin", false, "read the password from standard input; on a terminal it is asked for without this")
}

// password reads a password: with stdin from standard input, else from the
// terminal that standard input is, where it is asked for, without echo; twice
// where a slip would go unseen. It is no argument: those are seen by everybody
// on the machine.
func password(c *cobra.Command, stdin, twice bool) ([]byte, error) {
	if stdin {
		p, err := io.ReadAll(io.LimitReader(c.InOrStdin(), maxPassword+1))
		if err != nil {
			return nil, err
		}
		return sized(bytes.TrimRight(p, "\r\n"))
	}
	file, ok := c.InOrStdin().(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return nil, Usagef("%s reads the password from standard input: say so with --stdin", c.Name())
	}
	return onTerminal(file, c.ErrOrStderr(), twice)
}

// onTerminal asks on a terminal. The terminal is raw meanwhile, so that Ctrl-C is a key
// that ends the question; the process takes no notice of the signal while it
// reads.
func onTerminal(terminal *os.File, prompts io.Writer, twice bool) (p []byte, err error) {
	before, err := term.MakeRaw(int(terminal.Fd()))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, term.Restore(int(terminal.Fd()), before)) }()
	t := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{terminal, prompts}, "")
	first, err := answer(t, "password: ")
	if err != nil || !twice {
		return first, err
	}
	second, err := answer(t, "once more: ")
	if err == nil && !bytes.Equal(first, second) {
		err = Usagef("the two passwords are not the same")
	}
	return first, err
}

// answer is the answer to one question.
func answer(t *term.Terminal, question string) ([]byte, error) {
	line, err := t.ReadPassword(question)
	if errors.Is(err, io.EOF) {
		return nil, &Error{Exit: ExitFailed, Code: "cancelled", Detail: "no password was given"}
	}
	if err != nil && !errors.Is(err, term.ErrPasteIndicator) {
		return nil, err
	}
	return sized([]byte(line))
}

func sized(p []byte) ([]byte, error) {
	if len(p) == 0 || len(p) > maxPassword {
		return nil, Usagef("a password has 1 to %d bytes", maxPassword)
	}
	return p, nil
}
