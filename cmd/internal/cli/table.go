package cli

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// table is a list with its header first.
type table [][]string

func (t *table) row(cells ...string) { *t = append(*t, cells) }

// print writes the table in columns. An empty cell is "-".
func (t table) print(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, cells := range t {
		for i, c := range cells {
			if c = printable(c); c == "" {
				c = "-"
			}
			if i > 0 {
				c = "\t" + c
			}
			fmt.Fprint(tw, c)
		}
		fmt.Fprintln(tw)
	}
	return tw.Flush()
}

// text is what a pointer points to, empty for nil.
func text[T any](p *T) string {
	if p == nil {
		return ""
	}
	return fmt.Sprint(*p)
}

// texts is a list in one cell.
func texts[T ~string](list []T) string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = string(s)
	}
	return strings.Join(out, ",")
}

// printJSON writes a body of the hub as it is, with a line end.
func printJSON(c *cobra.Command, body []byte) error {
	_, err := fmt.Fprintf(c.OutOrStdout(), "%s\n", bytes.TrimRight(body, "\n"))
	return err
}
