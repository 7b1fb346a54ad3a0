package signalr_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"

	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/bridge/signalr/signalrtest"
)

// exampleWeb is where the examples' clients find the hub. A program mounts the
// hub instead: http.Handle("/hub", hub) and http.Handle("/hub/", hub).
type exampleWeb struct{ pipe *signalrtest.Pipe }

// client connects a client that knows some events.
func (w exampleWeb) client(on ...map[string]func([]json.RawMessage)) *signalrtest.Client {
	opts := signalrtest.Options{NetDial: w.pipe.Dial}
	if len(on) > 0 {
		opts.On = on[0]
	}
	return w.dial(opts)
}

func (w exampleWeb) dial(opts signalrtest.Options) *signalrtest.Client {
	opts.NetDial = w.pipe.Dial
	c, err := signalrtest.Dial(context.Background(), "http://example/hub", opts)
	if err != nil {
		panic(err)
	}
	return c
}

// exampleHub makes a hub and runs it; stop ends it.
func exampleHub(cfg ...signalr.Config) (hub *signalr.Server, web exampleWeb, stop func()) {
	hub, err := signalr.New(append(cfg, signalr.Config{})[0], slog.New(slog.DiscardHandler))
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = hub.Run(ctx) })
	web = exampleWeb{signalrtest.NewPipe(hub)}
	return hub, web, func() { cancel(); running.Wait(); _ = web.pipe.Close() }
}

// A typed hub: its methods are Go functions whose arguments are bound, and what
// its clients understand are constants. A wrong type does not compile.
func ExampleEvent2() {
	const Said signalr.Event2[string, int] = "Said" // a client's Said(text, times)

	hub, web, stop := exampleHub()
	hub.Method("Say", signalr.Do2(func(_ context.Context, c *signalr.Call, text string, times int) error {
		Said.Send(c.Caller(), text, times)
		return nil
	}))

	said := make(chan string)
	client := web.client(map[string]func([]json.RawMessage){
		"Said": func(args []json.RawMessage) { said <- fmt.Sprintf("%s %s times", args[0], args[1]) },
	})
	_ = client.Send(context.Background(), "Say", "hello", 3)
	fmt.Println(<-said)
	_, err := client.Invoke(context.Background(), "Say", "hello", "three")
	fmt.Println(err)
	stop()

	// Output:
	// "hello" 3 times
	// Failed to invoke 'Say' due to an error on the server.
}

// Code that is no method of the hub sends through a HubContext.
func ExampleHubContext() {
	const Boarding signalr.Event1[string] = "Boarding"
	announce := func(hub signalr.HubContext, gate string) int {
		return Boarding.Send(hub.Group(gate), gate)
	}

	hub, web, stop := exampleHub()
	hub.Method("Watch", signalr.Do1(func(_ context.Context, c *signalr.Call, gate string) error {
		_, err := c.Conn().Join(gate)
		return err
	}))

	boarding := make(chan string)
	client := web.client(map[string]func([]json.RawMessage){
		"Boarding": func(args []json.RawMessage) { boarding <- string(args[0]) },
	})
	_, _ = client.Invoke(context.Background(), "Watch", "gate 12")
	fmt.Println("sent to", announce(hub, "gate 12"))
	fmt.Println("boarding at", <-boarding)
	stop()

	// Output:
	// sent to 1
	// boarding at "gate 12"
}

// A method that answers with a stream. Send waits when the client is slow, and
// fails when it has cancelled.
func ExampleStream1() {
	hub, web, stop := exampleHub()
	hub.Method("CountDown", signalr.Stream1(func(_ context.Context, _ *signalr.Call, from int, out *signalr.Stream[int]) error {
		for i := from; i > 0; i-- {
			if err := out.Send(i); err != nil {
				return err
			}
		}
		return nil
	}))

	ctx := context.Background()
	stream, err := web.client().Stream(ctx, "CountDown", 3)
	for err == nil {
		var item json.RawMessage
		if item, err = stream.Next(ctx); err == nil {
			fmt.Println(string(item))
		}
	}
	fmt.Println(err == io.EOF)
	stop()

	// Output:
	// 3
	// 2
	// 1
	// true
}

// A method that takes a stream from the client.
func ExampleUpload() {
	hub, web, stop := exampleHub()
	hub.Method("Join", signalr.Func2(func(ctx context.Context, _ *signalr.Call, sep string, words signalr.Upload[string]) (string, error) {
		var list []string
		for word, err := range words.All(ctx) {
			if err != nil {
				return "", err
			}
			list = append(list, word)
		}
		return strings.Join(list, sep), nil
	}))

	ctx := context.Background()
	upload, err := web.client().Upload(ctx, "Join", 1, "-")
	if err != nil {
		panic(err)
	}
	_ = upload.Send(0, "a")
	_ = upload.Send(0, "b")
	_ = upload.End(0, "")
	result, err := upload.Result(ctx)
	fmt.Println(string(result), err)
	stop()

	// Output: "a-b" <nil>
}

// A client result: the hub asks a client and waits for its answer.
func ExampleQuestion0() {
	const Where signalr.Question0[string] = "Where" // a client's Where() string

	hub, web, stop := exampleHub()
	hub.Method("Locate", signalr.Func0(func(ctx context.Context, c *signalr.Call) (string, error) {
		return Where.Ask(ctx, c.Conn())
	}))

	ctx := context.Background()
	client := web.client()
	client.Answer("Where", func([]json.RawMessage) (any, error) { return "kitchen", nil })
	result, err := client.Invoke(ctx, "Locate")
	fmt.Println(string(result), err)
	_, err = web.client().Invoke(ctx, "Locate") // it has no Where
	fmt.Println(err)

	// Of several clients, the first good answer.
	who, room, err := Where.AskOne(ctx, hub.All())
	fmt.Println(who == client.ID(), room, err)
	stop()

	// Output:
	// "kitchen" <nil>
	// An unexpected error occurred invoking 'Locate' on the server. HubException: Client didn't provide a result.
	// true kitchen <nil>
}

// Who may what: the host says who somebody is, and hub, methods and groups say
// what they require.
func ExampleRequireRole() {
	hub, web, stop := exampleHub(signalr.Config{
		Authenticate: func(r *http.Request) (signalr.Principal, error) {
			switch r.Header.Get("Authorization") {
			case "Bearer ann's":
				return signalr.Principal{Name: "ann", Roles: []string{"guest"}}, nil
			case "Bearer bob's":
				return signalr.Principal{Name: "bob", Roles: []string{"operator"}}, nil
			}
			return signalr.Principal{}, errors.New("unknown token")
		},
		Require: []signalr.Requirement{signalr.RequireUser()},
		Policies: map[string]signalr.Requirement{
			"may stop": signalr.RequireAny(signalr.RequireRole("operator"), signalr.RequireClaim("shift", "night")),
		},
	})
	hub.Method("Stop", signalr.Do0(func(context.Context, *signalr.Call) error { return nil }).Requiring(signalr.RequirePolicy("may stop")))
	hub.RequireForGroups("staff", signalr.RequireRole("operator"))

	for _, token := range []string{"ann's", "bob's"} {
		client := web.dial(signalrtest.Options{AccessToken: token})
		_, err := client.Invoke(context.Background(), "Stop")
		fmt.Println(err)
		fmt.Println(hub.AddToGroup(context.Background(), client.ID(), "staff")) // as Conn.Join
	}
	stop()

	// Output:
	// Failed to invoke 'Stop' because user is unauthorized
	// forbidden
	// <nil>
	// <nil>
}

// A filter stands around every call.
func ExampleFilter() {
	hub, web, stop := exampleHub()
	hub.Use(signalr.Filter{Invoke: func(ctx context.Context, c *signalr.Call, next signalr.Handler) (any, error) {
		result, err := next(ctx, c)
		fmt.Println(c.Name(), "failed:", err != nil)
		return result, err
	}})
	hub.Handle("Break", func(context.Context, *signalr.Call) (any, error) { return nil, signalr.Error("broken") })
	_, _ = web.client().Invoke(context.Background(), "Break")
	stop()

	// Output: Break failed: true
}
