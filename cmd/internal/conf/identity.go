package conf

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
	"github.com/tacet-hub/tacet/cmd/internal/settings"
)

// Identity is who may come in, as package auth knows it, with the keys of the
// issuers read from their files. Its error is [Faults]. It blocks for the
// files.
func (c *Config) Identity() (auth.Config, error) {
	k := &check{Config: c}
	out := auth.Config{ClientCertificates: c.MQTT.TLS.ClientCAFile != ""}
	for i, j := range c.Auth.JWT {
		out.Issuers = append(out.Issuers, k.issuer(fmt.Sprintf("auth.jwt[%d]", i), j))
	}
	for _, u := range c.Auth.Users {
		out.Users = append(out.Users, auth.User{Name: u.Name, PasswordHash: u.PasswordHash, Roles: u.Roles, Tenant: u.Tenant, Areas: u.Areas})
	}
	for _, p := range c.Auth.Devices {
		out.Devices = append(out.Devices, auth.Device{
			Name: p.Name, PasswordHash: p.PasswordHash, Area: area.Name(p.Area), Tenant: p.Tenant, Publish: p.Publish, Subscribe: p.Subscribe,
		})
	}
	k.told(out.Validate())
	return out, k.faults.Err()
}

// issuer reads the key of an issuer.
func (k *check) issuer(key string, j JWT) auth.Issuer {
	out := auth.Issuer{
		Issuer: j.Issuer, Audience: j.Audience, Algorithms: j.Algorithms, JWKSURL: j.JWKSURL,
		TenantClaim: j.TenantClaim, RoleClaim: j.RoleClaim, UserClaim: j.UserClaim, Attributes: j.Attributes,
	}
	out.PublicKey = k.file(key+".public_key_file", j.PublicKeyFile)
	out.Secret = bytes.TrimRight(k.file(key+".hmac_secret_file", j.HMACSecretFile), "\r\n")
	return out
}

// file reads a file that must not be empty; an empty path is no file.
func (k *check) file(key, path string) []byte {
	if path == "" {
		return nil
	}
	b, err := os.ReadFile(path)
	switch {
	case err != nil:
		k.that(false, key, "%s: %s", path, settings.Reason(err))
	case len(bytes.TrimSpace(b)) == 0:
		k.that(false, key, "%s is empty", path)
	}
	return b
}

// told takes the faults that package auth found: each is "place: what", and the
// place is a path below auth. Of an issuer whose file could not be read that has
// been said already.
func (k *check) told(err error) {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return
	}
	unread := slices.Clone(k.faults)
	for _, e := range joined.Unwrap() {
		place, what, _ := strings.Cut(e.Error(), ": ")
		key := "auth." + place
		if !slices.ContainsFunc(unread, func(f settings.Fault) bool { return strings.HasPrefix(f.Key, key) }) {
			k.that(false, key, "%s", what)
		}
	}
}

// exposed warns of secrets that everybody on this machine can read, and of roles
// that grant nothing.
func (c *Config) exposed() {
	warn := func(key, format string, args ...any) {
		c.Warnings = append(c.Warnings, c.Faultf(key, format, args...).String())
	}
	for i, j := range c.Auth.JWT {
		if everybodyReads(j.HMACSecretFile) {
			warn(fmt.Sprintf("auth.jwt[%d].hmac_secret_file", i), "everybody on this machine can read %s; chmod 600 it", j.HMACSecretFile)
		}
	}
	if len(c.Auth.Users)+len(c.Auth.Devices) > 0 && everybodyReads(c.Process.Config) {
		warn("auth", "everybody on this machine can read the password hashes in %s; chmod 600 it", c.Process.Config)
	}
	granting := []string{auth.RoleViewer, auth.RoleAnnouncer, auth.RoleOperator, auth.RoleAdmin}
	for i, u := range c.Auth.Users {
		for j, r := range u.Roles {
			if !slices.Contains(granting, r) {
				warn(fmt.Sprintf("auth.users[%d].roles[%d]", i, j), "role %q grants nothing; %s do", r, strings.Join(granting, ", "))
			}
		}
	}
}

// strangers warns of areas in which somebody has rights, or a schedule announces, and
// that the configuration does not define: a slip takes the rights away in silence, and
// a schedule shows it when it fires. It is no fault, since an area may also be one that
// devices have shown. Where the configuration defines none, and for other tenants than its
// own, all are. So it is with the locations to which schedules speak.
func (c *Config) strangers() {
	known, mounted := map[string]int{}, map[string]int{}
	for i, a := range c.Areas {
		known[string(a.ID)] = i
		for _, l := range a.Locations {
			mounted[string(l.ID)] = i
		}
	}
	look := func(key, tenant, in string) {
		if _, ok := known[in]; ok || len(known) == 0 || tenant != auth.DefaultTenant || in == "" || in == auth.AllAreas {
			return
		}
		c.Warnings = append(c.Warnings, c.Faultf(key, "no area %q is configured%s", in, settings.Suggest(in, known)).String())
	}
	for i, u := range c.Auth.Users {
		for j, in := range u.Areas {
			look(fmt.Sprintf("auth.users[%d].areas[%d]", i, j), u.Tenant, in)
		}
	}
	for i, p := range c.Auth.Devices {
		look(fmt.Sprintf("auth.devices[%d].area", i), p.Tenant, p.Area)
	}
	for i, p := range c.Schedules {
		if in := p.Work.To.Area; in != nil {
			look(fmt.Sprintf("schedules[%d].work.to.area", i), auth.DefaultTenant, *in)
		}
		if at := p.Work.To.Location; at != nil && len(mounted) > 0 {
			if _, ok := mounted[*at]; !ok {
				c.Warnings = append(c.Warnings, c.Faultf(fmt.Sprintf("schedules[%d].work.to.location", i), "no location %q is configured%s", *at, settings.Suggest(*at, mounted)).String())
			}
		}
	}
}

// everybodyReads tells whether others than the file's owner and group can read
// it.
func everybodyReads(path string) bool {
	if path == "" {
		return false
	}
	info, err := os.Stat(path)
	return err == nil && info.Mode()&fs.ModeType == 0 && info.Mode().Perm()&0o004 != 0
}
