package conf

import (
	"slices"
	"testing"
	"time"
)

func TestNeedStart(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Config)
		want   []string
	}{
		"nothing":     {func(*Config) {}, nil},
		"taken":       {func(c *Config) { c.Areas, c.Mappings, c.Schedules = []Area{{}}, []Mapping{{}}, []Schedule{{}} }, nil},
		"identity":    {func(c *Config) { c.Auth.Users = []User{{Name: "ann"}} }, nil},
		"empty list":  {func(c *Config) { c.HTTP.AllowedOrigins = []string{} }, nil},
		"list":        {func(c *Config) { c.HTTP.AllowedOrigins = []string{"https://a"} }, []string{"http.allowed_origins"}},
		"file's name": {func(c *Config) { c.MQTT.TLS.CertFile = "b.pem" }, []string{"mqtt.tls.cert_file"}},
		"several": {func(c *Config) { c.Node, c.HTTP.Addr, c.Hub.Keepalive, c.Speech.Voice = "b", ":1", time.Hour, "de" },
			[]string{"http.addr", "hub.keepalive", "node", "speech.voice"}},
		"process": {func(c *Config) { c.LogLevel, c.Warnings = "debug", []string{"x"} }, nil},
	} {
		next := Default()
		c.change(&next)
		if got := Default().NeedStart(next); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}
