package auth_test

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/tacet-hub/tacet/broker/auth"
)

func ExampleNew() {
	a, err := auth.New(auth.Config{
		Users: []auth.User{{
			Name: "ann", Roles: []string{auth.RoleAnnouncer}, Areas: []string{"north"},
			PasswordHash: "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$+RsCrdHrAKGEJIDLM0Esow", // of "secret"; HashPassword makes dearer ones
		}},
	}, nil, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		panic(err)
	}
	ann, err := a.Password(context.Background(), "192.0.2.1", "ann", "secret")
	fmt.Println(ann.Name, err)
	fmt.Println(ann.May(auth.Announce, "north"))
	fmt.Println(ann.May(auth.Announce, "south"))
	fmt.Println(ann.Access().MayPublish("tacet/area/north/submit"), ann.Access().MaySubscribe("#"))
	_, err = a.Password(context.Background(), "192.0.2.1", "ann", "guess")
	fmt.Println(err)
	// Output:
	// ann <nil>
	// <nil>
	// forbidden: ann may not announce in area south
	// true false
	// unauthorized: name or password is wrong
}

func ExampleAuthority_Enrol() {
	a, _ := auth.New(auth.Config{ClientCertificates: true}, nil, nil, slog.New(slog.DiscardHandler))
	ctx := context.Background()
	code, err := a.Enrol(ctx, auth.Enrolment{Device: "gate-12", Area: "north", By: "ann"})
	fmt.Println(len(code.Text), err)
	own, err := a.Redeem(ctx, "192.0.2.7", code.Text) // what the device does with it
	fmt.Println(own.Device, own.Area, err)
	_, err = a.Redeem(ctx, "192.0.2.7", code.Text)
	fmt.Println(err)
	gate, err := a.Password(ctx, "192.0.2.7", string(own.Device), own.Secret)
	fmt.Println(gate.Kind, gate.Area, err)
	// Output:
	// 34 <nil>
	// gate-12 north <nil>
	// not_found: the code is unknown, used or expired
	// device north <nil>
}
