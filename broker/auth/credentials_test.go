package auth_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
)

// What the hub hands to the leader of an area lets its devices in there, and
// nobody else.
func TestCredentialsOfAnArea(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority(t, site(), &table{})
		code, err := a.Enrol(context.Background(), auth.Enrolment{Device: "gate-12", Area: "north"})
		if err != nil {
			t.Fatal(err)
		}
		made, err := a.Redeem(context.Background(), "", code.Text)
		if err != nil {
			t.Fatal(err)
		}
		cfg := auth.Config{}
		for _, c := range a.Credentials("north") {
			cfg.Devices = append(cfg.Devices, auth.DeviceOf(c, "north"))
			if c.Name == "ann" {
				t.Error("a user's password leaves the hub")
			}
		}
		leader := newAuthority(t, cfg, nil)
		for _, c := range []struct {
			name, password string
			want           area.Code
		}{{"gate-12", made.Secret, ""}, {"gate-1", "gate's", ""}, {"gate-12", "gate's", area.CodeUnauthorized}, {"ann", "ann's", area.CodeUnauthorized}} {
			p, err := leader.Password(context.Background(), "", c.name, c.password)
			if err == nil && (c.want != "" || p.Kind != auth.KindDevice || p.Area != "north") || err != nil && area.CodeOf(err) != c.want {
				t.Errorf("%s at the leader: %+v %v, want %q", c.name, p, err, c.want)
			}
		}
		if list := a.Credentials("south"); len(list) != 0 {
			t.Errorf("credentials of another area: %+v", list)
		}
		bad := auth.Config{Devices: []auth.Device{{Name: "d", SecretHash: "12"}}}
		if bad.Validate() == nil {
			t.Error("a hash of two digits is taken")
		}
	})
}
