package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/tacet-hub/tacet/cmd/internal/deviced"
)

// provisionCommand trades a code for the credential of this device.
func provisionCommand() *cobra.Command {
	var hub, code, data, file, ca string
	c := &cobra.Command{
		Use: "provision --hub URL --code CODE", Short: "Trade a code for the credential of this device",
		Long: `Trades a code, which the operator makes by "tacet device enrol", for this device's
own credential. The secret is written to a file that only its owner may read; the
lines for device.yaml are printed. Exit codes: 0 ok, 1 failed, 2 usage, 3 the hub
does not answer, 4 it refused the code.`,
		Args: noArgs, RunE: func(c *cobra.Command, _ []string) error {
			if hub == "" || code == "" {
				return usage{fmt.Errorf("provision needs --hub and --code")}
			}
			if file == "" {
				file = filepath.Join(data, "secret")
			}
			path, err := filepath.Abs(file)
			if err != nil {
				return err
			}
			if ca != "" {
				if ca, err = filepath.Abs(ca); err != nil {
					return err
				}
			}
			got, err := deviced.Provision(c.Context(), hub, code, path, ca)
			if err != nil {
				return err
			}
			_, err = fmt.Fprint(c.OutOrStdout(), got.YAML())
			return err
		}}
	c.Flags().StringVar(&hub, "hub", "", "`URL` of the hub's web listener, such as https://hub.local:8080")
	c.Flags().StringVar(&code, "code", "", "`CODE` as the operator was told it; it is good once")
	c.Flags().StringVar(&data, "data", "/var/lib/tacet", "`DIR` of the secret")
	c.Flags().StringVar(&file, "file", "", "`FILE` for the secret (default DIR/secret)")
	c.Flags().StringVar(&ca, "ca-file", "", "`FILE` of the authorities that the hub's certificate may be of (default the system's)")
	return c
}
