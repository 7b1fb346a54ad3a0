package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
)

// health is a probe of the hub on this machine, for who has no other program to ask
// with: a container. It asks the admin listener, where nobody signs in.
func health(env Env) *cobra.Command {
	var data string
	var strict bool
	c := &cobra.Command{Use: "health", Short: "Probe the hub on this machine; exit code 0: it lives", Args: exactly(0),
		Long: `Asks the hub whose data directory it is how it is, prints that (ready, degraded,
starting, draining or failed), and exits with 0. With --ready it exits with 1 unless
the hub takes requests: is ready or degraded. A hub that does not answer is exit code 3.`,
		RunE: func(c *cobra.Command, _ []string) error {
			f := hubFlags{data: data}
			dir := f.directory(env)
			var at struct {
				Admin string `json:"admin"`
			}
			b, err := os.ReadFile(filepath.Join(dir, "ready.json"))
			if err != nil || json.Unmarshal(b, &at) != nil || at.Admin == "" {
				return notReady(dir)
			}
			status, err := readiness(c, reachable(at.Admin))
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintln(c.OutOrStdout(), status); err != nil {
				return err
			}
			if strict && status != "ready" && status != "degraded" {
				return &Error{Exit: ExitFailed, Code: "not_ready", Detail: "the hub is " + status}
			}
			return nil
		}}
	c.Flags().StringVar(&data, "data", "", "data directory of the hub (TACET_DATA, default ./tacet-data)")
	c.Flags().BoolVar(&strict, "ready", false, "fail unless the hub takes requests")
	return c
}

// readiness is the status that a hub's admin listener answers.
func readiness(c *cobra.Command, admin string) (string, error) {
	req, err := http.NewRequestWithContext(c.Context(), http.MethodGet, admin+"/readyz", nil)
	if err != nil {
		return "", err
	}
	away := &Error{Exit: ExitUnreachable, Code: "unreachable", Detail: admin + " does not answer"}
	web := http.Client{Timeout: patience}
	resp, err := web.Do(req)
	if err != nil {
		return "", away
	}
	defer resp.Body.Close()
	var answer struct{ Status string }
	if json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&answer) != nil || answer.Status == "" {
		return "", away
	}
	return answer.Status, nil
}
