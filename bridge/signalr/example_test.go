package signalr_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"

	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/bridge/signalr/signalrtest"
)

// A hub with a chat room, and one client that talks to itself.
func ExampleNew() {
	hub, err := signalr.New(signalr.Config{}, slog.New(slog.DiscardHandler))
	if err != nil {
		panic(err)
	}
	hub.Handle("Enter", func(_ context.Context, c *signalr.Call) (any, error) {
		var room string
		if err := c.Bind(&room); err != nil {
			return nil, err
		}
		_, err := c.Conn().Join(room)
		return nil, err
	})
	hub.Handle("Say", func(_ context.Context, c *signalr.Call) (any, error) {
		var room, text string
		if err := c.Bind(&room, &text); err != nil {
			return nil, err
		}
		if text == "" {
			return nil, signalr.Error("say something")
		}
		return hub.Group(room).Send("Said", text), nil
	})

	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = hub.Run(ctx) })
	web := signalrtest.NewPipe(hub) // else: http.Handle("/chat", hub) and "/chat/"

	heard := make(chan string)
	client, err := signalrtest.Dial(ctx, "http://example/chat", signalrtest.Options{
		NetDial: web.Dial,
		On: map[string]func([]json.RawMessage){
			"Said": func(args []json.RawMessage) { heard <- string(args[0]) },
		},
	})
	if err != nil {
		panic(err)
	}
	_, _ = client.Invoke(ctx, "Enter", "kitchen")
	members, _ := client.Invoke(ctx, "Say", "kitchen", "hello")
	fmt.Println("heard", <-heard, "by", string(members))
	_, err = client.Invoke(ctx, "Say", "kitchen", "")
	fmt.Println(err)

	stop()
	running.Wait()
	<-client.Closed()
	fmt.Println(client.Err())
	_ = web.Close()

	// Output:
	// heard "hello" by 1
	// An unexpected error occurred invoking 'Say' on the server. HubException: say something
	// closed by the server: "" (may reconnect: true)
}
