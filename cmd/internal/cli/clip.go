package cli

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/clip"
)

// sendTime bounds the sending of a sound file.
const sendTime = 10 * time.Minute

// sound is a clip as the hub shows it.
type sound struct {
	SHA256     string
	Bytes      int64
	DurationMs int64 `json:"duration_ms"`
	Type       string
	Name       *string
	Source     string
	UsedAt     area.Time `json:"used_at"`
}

func (s sound) length() string {
	return (time.Duration(s.DurationMs) * time.Millisecond).String()
}

// clipAdd sends a sound file to the hub.
func clipAdd(env Env) *cobra.Command {
	var f hubFlags
	var name string
	c := &cobra.Command{Use: "add FILE", Short: "Send a sound file (wav, mp3, flac, ogg) to the hub", Args: exactly(1), RunE: func(c *cobra.Command, args []string) error {
		file, err := openLocal(args[0])
		if err != nil {
			return err
		}
		defer file.Close()
		hub, err := f.client(env)
		if err != nil {
			return err
		}
		if name == "" {
			name = filepath.Base(args[0])
		}
		body, err := hub.upload(c.Context(), "/clips?"+url.Values{"name": {name}}.Encode(), file)
		if err = cmp.Or(file.fault(), err); err != nil {
			return err
		}
		if f.json {
			return printJSON(c, body)
		}
		var made sound
		if err := decode(body, &made); err != nil {
			return err
		}
		fmt.Fprintln(c.OutOrStdout(), printable(fmt.Sprintf("sha256:%s %s", made.SHA256, made.length())))
		return nil
	}}
	f.register(c)
	c.Flags().StringVar(&name, "name", "", "for people (default the file's)")
	return c
}

func clipList(env Env) *cobra.Command {
	header := []string{"CLIP", "LENGTH", "BYTES", "TYPE", "SOURCE", "USED", "NAME"}
	return list(env, "list", "Show the sound files that the hub keeps", "/clips", header, func(s sound) []string {
		return []string{"sha256:" + s.SHA256, s.length(), strconv.FormatInt(s.Bytes, 10), s.Type, s.Source, s.UsedAt.String(), text(s.Name)}
	})
}

func clipRemove(env Env) *cobra.Command {
	var f hubFlags
	c := &cobra.Command{Use: "remove CLIP", Short: "Remove a sound file from the hub", Args: exactly(1), RunE: func(c *cobra.Command, args []string) error {
		sum, err := clip.ParseSum(args[0])
		if err != nil {
			return Usagef("%v", err)
		}
		hub, err := f.client(env)
		if err != nil {
			return err
		}
		_, err = hub.do(c.Context(), http.MethodDelete, "/clips/"+sum.Hex(), nil)
		return err
	}}
	f.register(c)
	return c
}
