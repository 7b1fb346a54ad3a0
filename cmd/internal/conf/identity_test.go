package conf

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tacet-hub/tacet/broker/auth"
)

// hash is the password hash of "secret", at the least cost.
const hash = "$argon2id$v=19$m=8,t=1,p=1$gotFsdHNhbHQ$HOOYAOJvyIOyb1xeJaTXdOqv5+AwjIMxbI1KDDFzOS8"

// write writes a file of a test and answers its path.
func write(t *testing.T, name, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestIdentity(t *testing.T) {
	secret := write(t, "secret", strings.Repeat("s", 32)+"\n", 0o600)
	c, err := load(t, `
http: {addr: "0.0.0.0:8080"}
mqtt: {addr: ":1883"}
auth:
  jwt: [{issuer: "https://id.example", hmac_secret_file: `+secret+`, algorithms: [HS256], attributes: [hall]}]
  users: [{name: ann, password_hash: "`+hash+`", roles: [operator]}, {name: bob, roles: [viewer], areas: [north], tenant: acme}]
  devices: [{name: gate-1, password_hash: "`+hash+`", area: north, publish: ["!x/y", "x/#"]}]
`, Flags{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Identity()
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Issuers) != 1 || string(got.Issuers[0].Secret) != strings.Repeat("s", 32) || got.Issuers[0].Audience != "tacet" || got.Issuers[0].Attributes[0] != "hall" {
		t.Errorf("issuers %+v", got.Issuers)
	}
	if ann, bob := got.Users[0], got.Users[1]; ann.Tenant != auth.DefaultTenant || ann.Areas[0] != "*" || bob.Tenant != "acme" || bob.Areas[0] != "north" {
		t.Errorf("users %+v", got.Users)
	}
	if d := got.Devices[0]; d.Name != "gate-1" || d.Area != "north" || d.Tenant != auth.DefaultTenant || len(d.Publish) != 2 {
		t.Errorf("devices %+v", got.Devices)
	}
}

func TestIdentityFaults(t *testing.T) {
	empty := write(t, "empty", "\n", 0o600)
	cases := map[string]struct{ text, want string }{
		"key":             {"auth: {userss: []}", `t.yaml:1: auth.userss: unknown key; did you mean "users"?`},
		"key of a user":   {"auth:\n  users:\n  - {name: ann, pasword_hash: x}\n", `t.yaml:3: auth.users[0].pasword_hash: unknown key; did you mean "password_hash"?`},
		"password":        {"auth:\n  users:\n  - {name: ann, password_hash: hunter2}\n", `t.yaml:3: auth.users[0].password_hash: is not an argon2id hash in PHC form ($argon2id$v=19$m=…,t=…,p=…$salt$hash)`},
		"name":            {"auth: {users: [{name: a b}]}", `t.yaml:1: auth.users[0].name: "a b" is not 1 to 64 of A-Z a-z 0-9 _ . @ - with a letter or digit first, or is the hub's own`},
		"name twice":      {"auth:\n  users: [{name: a}]\n  devices: [{name: a}]\n", `t.yaml:3: auth.devices[0].name: "a" is defined at users[0].name already`},
		"area":            {"auth: {users: [{name: a, areas: [North Wing]}]}", `t.yaml:1: auth.users[0].areas[0]: "North Wing" is not the id of an area`},
		"rule":            {"auth: {devices: [{name: a, publish: [a/#/b]}]}", `t.yaml:1: auth.devices[0].publish[0]: is not a topic filter, nor "!" and a topic filter`},
		"issuer":          {"auth: {jwt: [{audience: x}]}", "t.yaml:1: auth.jwt[0].issuer: is missing\nt.yaml:1: auth.jwt[0]: needs exactly one of public_key_file, jwks_url and hmac_secret_file"},
		"no such file":    {"auth: {jwt: [{issuer: i, public_key_file: /nowhere}]}", `t.yaml:1: auth.jwt[0].public_key_file: /nowhere: no such file or directory`},
		"empty file":      {"auth: {jwt: [{issuer: i, hmac_secret_file: " + empty + "}]}", `t.yaml:1: auth.jwt[0].hmac_secret_file: ` + empty + ` is empty`},
		"algorithm":       {"auth: {jwt: [{issuer: i, jwks_url: \"https://i/keys\", algorithms: [HS256]}]}", `t.yaml:1: auth.jwt[0].algorithms: "HS256" is not an algorithm for that kind of key`},
		"keys in clear":   {"auth: {jwt: [{issuer: i, jwks_url: \"http://i.example/keys\"}]}", `t.yaml:1: auth.jwt[0].jwks_url: http is for loopback addresses alone: use https`},
		"OIDC":            {"auth: {oidc: {issuer: x}}", `t.yaml:1: auth.oidc: not supported in this version`},
		"admin elsewhere": {"http: {admin_addr: \":8090\"}\nauth: {users: [{name: a}]}", `t.yaml:1: http.admin_addr: :8090 is not loopback; with nobody to sign in that needs --insecure`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if _, err := load(t, c.text, Flags{}); err == nil || err.Error() != c.want {
				t.Errorf("of %s\ngot  %v\nwant %s", c.text, err, c.want)
			}
		})
	}
}

func TestExposedSecretsAreWarnings(t *testing.T) {
	secret := write(t, "secret", strings.Repeat("s", 32), 0o644)
	file := write(t, "t.yaml", "auth: {users: [{name: ann, roles: [opperator]}], jwt: [{issuer: i, hmac_secret_file: "+secret+"}]}", 0o644)
	c, err := Load(Default(), Flags{Config: file}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"everybody on this machine can read " + secret, "everybody on this machine can read the password hashes in " + file, `role "opperator" grants nothing`} {
		if i >= len(c.Warnings) || !strings.Contains(c.Warnings[i], want) {
			t.Errorf("warning %d is not %q: %q", i, want, c.Warnings)
		}
	}
}

// TestUnknownAreasAreWarnings: a slip in an area takes rights away in silence, and one in
// the place of a schedule shows when it fires.
func TestUnknownAreasAreWarnings(t *testing.T) {
	const areas = "areas: [{id: north}, {id: south}]\n"
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"user":         {areas + "auth: {users: [{name: a, areas: [north, nroth]}]}", []string{`:2: auth.users[0].areas[1]: no area "nroth" is configured; did you mean "north"?`}},
		"device":       {areas + "auth: {devices: [{name: a, area: soth}]}", []string{`:2: auth.devices[0].area: no area "soth" is configured; did you mean "south"?`}},
		"not near":     {areas + "auth: {devices: [{name: a, area: x}]}", []string{`:2: auth.devices[0].area: no area "x" is configured; known are ["north" "south"]`}},
		"schedule":     {areas + "schedules: [{id: s, every: 5m, work: {to: {area: nort}, message: hello}}]", []string{`:2: schedules[0].work.to.area: no area "nort" is configured; did you mean "north"?`}},
		"location":     {"areas: [{id: north, locations: [{id: \"1\"}]}]\nschedules: [{id: s, every: 5m, work: {to: {location: \"77\"}, message: hello}}]", []string{`:2: schedules[0].work.to.location: no location "77" is configured; known are ["1"]`}},
		"its device's": {areas + "schedules: [{id: s, every: 5m, work: {to: {location: \"77\"}, message: hello}}]", nil},
		"known":        {areas + "auth: {users: [{name: a, areas: [south]}, {name: b}], devices: [{name: c, area: north}, {name: d}]}", nil},
		"other tenant": {areas + "auth: {users: [{name: a, areas: [x], tenant: acme}]}", nil},
		"all are seen": {"auth: {users: [{name: a, areas: [x]}]}", nil},
	} {
		got, err := load(t, c.text, Flags{})
		if err != nil || len(got.Warnings) != len(c.want) {
			t.Errorf("%s: got %q, %v, want %q", name, got.Warnings, err, c.want)
			continue
		}
		for i, want := range c.want {
			if !strings.HasSuffix(got.Warnings[i], want) {
				t.Errorf("%s: got %q, want %q", name, got.Warnings[i], want)
			}
		}
	}
}
