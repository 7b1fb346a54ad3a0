package cli

import (
	"fmt"
	"net"
	"net/url"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/tacet-hub/tacet/broker/auth"
)

// enrolment is an enrolment as the hub answers it.
type enrolment struct {
	Code      string `json:"code"`
	ExpiresAt string `json:"expires_at"`
	Replaced  bool   `json:"replaced"`
}

// newEnrolment is what a device is enrolled for.
type newEnrolment struct {
	Device    string   `json:"device"`
	Area      string   `json:"area"`
	Publish   []string `json:"publish,omitempty"`
	Subscribe []string `json:"subscribe,omitempty"`
}

// deviceEnrol prints the code that a device trades for its own credential. The
// code alone is on standard output; what to do with it is said beside it.
func deviceEnrol(env Env) *cobra.Command {
	var f hubFlags
	var in string
	var publish, subscribe []string
	c := &cobra.Command{Use: "enrol DEVICE --area AREA", Short: "Make a code by which a new device gets its own credential, once", Args: exactly(1), RunE: func(c *cobra.Command, args []string) error {
		if in == "" {
			return Usagef("enrol needs --area")
		}
		hub, err := f.client(env)
		if err != nil {
			return err
		}
		body, err := hub.do(c.Context(), "POST", "/enrolments", newEnrolment{args[0], in, publish, subscribe})
		if err != nil {
			return err
		}
		if f.json {
			return printJSON(c, body)
		}
		var made enrolment
		if err := decode(body, &made); err != nil {
			return err
		}
		if made.Replaced {
			fmt.Fprintf(c.ErrOrStderr(), "this replaces the code that waited for %s, which is no longer good\n", printable(args[0]))
		}
		sayEnrolment(c, hub.base, made)
		_, err = fmt.Fprintln(c.OutOrStdout(), printable(made.Code))
		return err
	}}
	f.register(c)
	c.Flags().StringVar(&in, "area", "", "id of the area that the device is in")
	c.Flags().StringArrayVar(&publish, "publish", nil, "topic `FILTER` on which it may publish beside its own branch, !FILTER: not; the first match decides; needs the role admin")
	c.Flags().StringArrayVar(&subscribe, "subscribe", nil, "topic `FILTER` that it may read, in the same way")
	return c
}

// sayEnrolment says beside the code what to do with it. The lines have the code
// in them where a person reads both, and its name where a program takes the code:
// what is beside it may end in a log.
func sayEnrolment(c *cobra.Command, hub string, made enrolment) {
	code := "CODE"
	if out, ok := c.OutOrStdout().(*os.File); ok && term.IsTerminal(int(out.Fd())) {
		code = printable(made.Code)
	}
	hub = printable(hub)
	fmt.Fprintf(c.ErrOrStderr(), `on the device, until %s, once, one of:
  curl -fsS %s/install.sh | sudo sh -s -- %s
  sudo tacet-device provision --hub %s --code %s
so that the hub can update it later, name whose programs it takes, KEY as "tacet update key" printed it:
--key KEY behind the first, updates: {keys: ["KEY"]} in the device.yaml of the second; --update-key KEY for an SD card (make image)
`, printable(made.ExpiresAt), hub, code, hub, code)
	if at, err := url.Parse(hub); err == nil && isLoopback(at.Hostname()) {
		fmt.Fprintf(c.ErrOrStderr(), "with the hub's address as the device sees it instead of %s\n", at.Host)
	}
}

// isLoopback tells whether a host is this machine for whoever names it.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// deviceCredential is a device's credential as the hub answers it.
type deviceCredential struct {
	Device      string   `json:"device"`
	Area        *string  `json:"area"`
	State       string   `json:"state"`
	CreatedAt   *string  `json:"created_at"`
	CreatedBy   *string  `json:"created_by"`
	CodeExpires *string  `json:"code_expires_at"`
	Publish     []string `json:"publish"`
	Subscribe   []string `json:"subscribe"`
}

func deviceCredentials(env Env) *cobra.Command {
	header := []string{"DEVICE", "STATE", "AREA", "CREATED_AT", "CREATED_BY", "CODE_EXPIRES_AT", "PUBLISH", "SUBSCRIBE"}
	return list(env, "credentials", "Show who may connect and for whom a code waits, connected or not", "/credentials", header, func(d deviceCredential) []string {
		return []string{d.Device, d.State, text(d.Area), text(d.CreatedAt), text(d.CreatedBy), text(d.CodeExpires), texts(d.Publish), texts(d.Subscribe)}
	})
}

// deviceRevoke takes a device's credential away.
func deviceRevoke(env Env) *cobra.Command {
	return remove(env, "revoke DEVICE", "Take a device's credential away; its connections are closed", func(d string) string { return "/devices/" + url.PathEscape(d) + "/credential" })
}

// deviceRemove forgets a device.
func deviceRemove(env Env) *cobra.Command {
	return remove(env, "remove DEVICE", "Forget a device that is not online, and what of it is retained; it is known again when it says something", func(d string) string { return "/devices/" + url.PathEscape(d) })
}

func areaRemove(env Env) *cobra.Command {
	return remove(env, "remove AREA", "Forget an area that REST or a device has made, by a slip of its name for instance, while nobody is connected in it", func(a string) string { return "/areas/" + url.PathEscape(a) })
}

func tokenDelete(env Env) *cobra.Command {
	return remove(env, "delete NAME", "Take a token back; its connections are closed", func(name string) string { return "/tokens/" + url.PathEscape(name) })
}

// remove is a command that deletes what its argument names.
func remove(env Env, use, short string, path func(name string) string) *cobra.Command {
	var f hubFlags
	c := &cobra.Command{Use: use, Short: short, Args: exactly(1), RunE: func(c *cobra.Command, args []string) error {
		hub, err := f.client(env)
		if err != nil {
			return err
		}
		_, err = hub.do(c.Context(), "DELETE", path(args[0]), nil)
		return err
	}}
	f.register(c)
	return c
}

// token is a token as the hub answers it.
type token struct {
	Name      string   `json:"name"`
	Token     string   `json:"token"` // where it was just made
	Tenant    string   `json:"tenant"`
	Roles     []string `json:"roles"`
	Areas     []string `json:"areas"`
	CreatedAt *string  `json:"created_at"`
	CreatedBy string   `json:"created_by"`
	ExpiresAt *string  `json:"expires_at"`
}

// tokenCreate prints a new token, which the hub shows this once.
func tokenCreate(env Env) *cobra.Command {
	var f hubFlags
	var body struct {
		Name    string   `json:"name"`
		Roles   []string `json:"roles"`
		Areas   []string `json:"areas,omitempty"`
		Expires string   `json:"expires,omitempty"`
	}
	c := &cobra.Command{Use: "create NAME --role ROLE", Short: "Make a token for a program; it is shown once", Args: exactly(1), RunE: func(c *cobra.Command, args []string) error {
		if body.Name = args[0]; len(body.Roles) == 0 {
			return Usagef("create needs --role: viewer, announcer, operator or admin")
		}
		hub, err := f.client(env)
		if err != nil {
			return err
		}
		answer, err := hub.do(c.Context(), "POST", "/tokens", body)
		if err != nil {
			return err
		}
		if f.json {
			return printJSON(c, answer)
		}
		var made token
		if err := decode(answer, &made); err != nil {
			return err
		}
		_, err = fmt.Fprintln(c.OutOrStdout(), printable(made.Token))
		return err
	}}
	f.register(c)
	c.Flags().StringSliceVar(&body.Roles, "role", nil, "viewer, announcer, operator or admin")
	c.Flags().StringSliceVar(&body.Areas, "area", nil, "ids of the areas in which it counts (default all)")
	c.Flags().StringVar(&body.Expires, "expires", "", "how long it is good, such as 720h (default for ever)")
	return c
}

func tokenList(env Env) *cobra.Command {
	header := []string{"NAME", "ROLES", "AREAS", "TENANT", "CREATED_AT", "CREATED_BY", "EXPIRES_AT"}
	return list(env, "list", "Show the tokens, without what they are", "/tokens", header, func(t token) []string {
		return []string{t.Name, texts(t.Roles), texts(t.Areas), t.Tenant, text(t.CreatedAt), t.CreatedBy, text(t.ExpiresAt)}
	})
}

// loginHelp says what the token is for, and when it ends.
const loginHelp = `Signs in with a password and prints a token for the REST API and the hub, so also
for the other commands: export TACET_TOKEN=$(tacet user login ann)

The token is good for 12 hours, also after a restart of the hub; tacet user logout
ends it, and so does a change of the password or of the user's rights. It is not for
MQTT. A program that is to outlive it has a token of its own: tacet token create.

On a terminal the password is asked for; elsewhere say --stdin.`

// userLogin prints a token for somebody who has a password.
func userLogin(env Env) *cobra.Command {
	var f hubFlags
	var stdin bool
	c := &cobra.Command{Use: "login NAME", Short: "Sign in with a password and print a token, good for 12 hours at most", Long: loginHelp, Args: exactly(1), RunE: func(c *cobra.Command, args []string) error {
		p, err := password(c, stdin, false)
		if err != nil {
			return err
		}
		hub, err := f.client(env)
		if err != nil {
			return err
		}
		hub.token = ""
		body, err := hub.ask(c.Context(), "POST", "/auth/login", map[string]any{"name": args[0], "password": string(p), "token": true})
		if err != nil {
			return err
		}
		if f.json {
			return printJSON(c, body)
		}
		var made token
		if err := decode(body, &made); err != nil {
			return err
		}
		if made.Token == "" {
			return &Error{Exit: ExitFailed, Code: "conflict", Detail: "the hub is open: nobody has to sign in"}
		}
		_, err = fmt.Fprintln(c.OutOrStdout(), printable(made.Token))
		return err
	}}
	f.register(c)
	passwordFlag(c, &stdin)
	return c
}

// userLogout ends what userLogin has begun.
func userLogout(env Env) *cobra.Command {
	var f hubFlags
	c := &cobra.Command{Use: "logout", Short: "End the token that login has printed", Args: exactly(0), RunE: func(c *cobra.Command, _ []string) error {
		hub, err := f.client(env)
		if err != nil {
			return err
		}
		if hub.token == "" {
			return Usagef("no token is given: set TACET_TOKEN, or say --token-file FILE")
		}
		_, err = hub.ask(c.Context(), "POST", "/auth/logout", nil)
		return err
	}}
	f.register(c)
	return c
}

// userHash makes the password hash of a user or a device for the configuration.
func userHash(Env) *cobra.Command {
	var stdin bool
	c := &cobra.Command{Use: "hash", Short: "Read a password and print its hash for the configuration", Args: exactly(0), RunE: func(c *cobra.Command, _ []string) error {
		p, err := password(c, stdin, true)
		if err != nil {
			return err
		}
		hash, err := auth.HashPassword(p)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(c.OutOrStdout(), hash)
		return err
	}}
	passwordFlag(c, &stdin)
	return c
}
