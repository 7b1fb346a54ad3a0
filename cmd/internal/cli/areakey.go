package cli

import (
	"encoding/base64"
	"fmt"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/tacet-hub/tacet/broker/area"
)

// areaKey prints the key of an area alone, so that it can be piped into a file.
func areaKey(env Env) *cobra.Command {
	var f hubFlags
	var rotate bool
	c := &cobra.Command{
		Use:   "key AREA",
		Short: "Print the key by which the devices that may lead an area know each other",
		Long: "Print the key by which the devices that may lead an area know each other while the hub cannot be reached.\n\n" +
			"The hub sends it to them by itself; it goes into peers.key_file of a device that is to have it before it has met the hub. It is a secret.\n" +
			"--rotate makes another one first, which the hub sends to the devices that it reaches; the others are strangers until it does.",
		Args: exactly(1),
		RunE: func(c *cobra.Command, args []string) error {
			name, err := area.ParseName(args[0])
			if err != nil {
				return Usagef("%v", err)
			}
			hub, err := f.client(env)
			if err != nil {
				return err
			}
			method := "GET"
			if rotate {
				method = "POST"
			}
			body, err := hub.do(c.Context(), method, "/areas/"+url.PathEscape(string(name))+"/key", nil)
			if err != nil {
				return err
			}
			if f.json {
				return printJSON(c, body)
			}
			var got struct {
				Key []byte `json:"key"`
			}
			if err := decode(body, &got); err != nil {
				return err
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), base64.StdEncoding.EncodeToString(got.Key))
			return err
		},
	}
	f.register(c)
	c.Flags().BoolVar(&rotate, "rotate", false, "make another key first")
	return c
}
