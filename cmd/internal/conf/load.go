package conf

import (
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/tacet-hub/tacet/cmd/internal/settings"
)

// prefix of the variables of tacet; those of tacet-device begin with
// devicePrefix and are none of ours.
const (
	prefix       = "TACET_"
	devicePrefix = "TACET_DEVICE_"
)

// Flags are the flags of tacet serve and tacet demo. An empty one counts as not
// given.
type Flags struct {
	Config, HTTP, MQTT, Data, Redis, Node string
	Insecure                              bool
	LogFormat, LogLevel                   string
}

// Register puts the flags into a flag set.
func (f *Flags) Register(fs *pflag.FlagSet) {
	fs.StringVar(&f.Config, "config", "", "configuration file (TACET_CONFIG); none is read without it")
	fs.StringVar(&f.HTTP, "http", "", "address of the web listener (default 127.0.0.1:8080; port 0 picks one)")
	fs.StringVar(&f.MQTT, "mqtt", "", "address of the MQTT listener (default 127.0.0.1:1883; port 0 picks one)")
	fs.StringVar(&f.Data, "data", "", "directory of everything durable (default ./tacet-data)")
	fs.StringVar(&f.Redis, "redis", "", "URL of the Redis-compatible server that joins several nodes")
	fs.StringVar(&f.Node, "node", "", "name of this node (default hub-1)")
	fs.BoolVar(&f.Insecure, "insecure", false, "listen beyond loopback though nobody has to sign in")
	fs.StringVar(&f.LogFormat, "log-format", "", "text or json (default text)")
	fs.StringVar(&f.LogLevel, "log-level", "", "debug, info, warn or error (default info)")
}

// notKeys are the variables that the operator's commands read.
var notKeys = []string{prefix + "URL", prefix + "TOKEN", prefix + "TOKEN_FILE", prefix + "CA_FILE"}

// Load makes the configuration of a hub: flags over environment over file over
// base, which is [Default] or made from it. environ is as os.Environ gives it.
// What it answers has been validated. Its error is [Faults], everything that is
// wrong at once. It blocks for the file, and may be called again for a reload.
func Load(base Config, flags Flags, environ []string) (Config, error) {
	c := base
	env, unknown, err := processEnv(environ)
	var faults settings.Faults
	faults.Add(err)
	c.Process = overProcess(c.Process, env, flags)
	c.Origins, err = settings.LoadYAML(c.Process.Config, &c)
	faults.Add(err)
	more, err := settings.OverlayEnv(prefix, environ, &c, c.Origins)
	faults.Add(err)
	for _, name := range unknown {
		if slices.Contains(more, name) && !strings.HasPrefix(name, devicePrefix) {
			c.Warnings = append(c.Warnings, name+" is set, but is no key")
		}
	}
	c.overlay(flags)
	c.fill()
	faults.Add(c.Validate())
	c.unenforced()
	c.givenUp()
	c.exposed()
	c.idle()
	c.strangers()
	return c, faults.Err()
}

// processEnv reads the variables that are no key of the file. What it answers
// as unknown may still be a key of the file.
func processEnv(environ []string) (Process, []string, error) {
	var p Process
	unknown, err := settings.OverlayEnv(prefix, environ, &p, settings.Origins{})
	return p, slices.DeleteFunc(unknown, func(name string) bool { return slices.Contains(notKeys, name) }), err
}

// overProcess lays flags over environment over base.
func overProcess(base, env Process, flags Flags) Process {
	first := func(texts ...string) string {
		for _, s := range texts {
			if s != "" {
				return s
			}
		}
		return ""
	}
	return Process{
		Config:    first(flags.Config, env.Config, base.Config),
		Insecure:  flags.Insecure || env.Insecure || base.Insecure,
		LogFormat: first(flags.LogFormat, env.LogFormat, base.LogFormat),
		LogLevel:  first(flags.LogLevel, env.LogLevel, base.LogLevel),
	}
}

// overlay lays the flags over their keys.
func (c *Config) overlay(f Flags) {
	for _, o := range []struct {
		text, flag, key string
		field           *string
	}{
		{f.HTTP, "--http", "http.addr", &c.HTTP.Addr},
		{f.MQTT, "--mqtt", "mqtt.addr", &c.MQTT.Addr},
		{f.Data, "--data", "data", &c.Data},
		{f.Redis, "--redis", "redis.url", &c.Redis.URL},
		{f.Node, "--node", "node", &c.Node},
	} {
		if o.text != "" {
			*o.field = o.text
			c.Origins[o.key] = o.flag
		}
	}
}

// fill derives what was not written from what was.
func (c *Config) fill() {
	if host, port, err := net.SplitHostPort(c.HTTP.AdminAddr); err == nil && c.Origins["http.admin_addr"] == "" && portOf(c.HTTP.Addr) == 0 && port != "0" {
		c.HTTP.AdminAddr = net.JoinHostPort(host, "0")
	}
	for i := range c.Areas {
		a := &c.Areas[i]
		if a.Name == "" {
			a.Name = string(a.ID)
		}
		for j := range a.Locations {
			if l := &a.Locations[j]; l.Name == "" {
				l.Name = string(l.ID)
			}
		}
	}
}

// portOf is the port of host:port, -1 where there is none.
func portOf(addr string) int {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return -1
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return -1
	}
	return n
}
