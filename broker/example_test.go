package broker_test

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/broker/area"
)

func ExampleNew() {
	b, err := broker.New(broker.Config{Addr: "127.0.0.1:0"}, slog.New(slog.DiscardHandler))
	if err != nil {
		fmt.Println(err)
		return
	}
	cancel, err := b.Subscribe("tacet/area/+/busy", func(m area.Message) {
		fmt.Println(m.Topic, string(m.Payload), m.From)
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer cancel()
	_ = b.Publish(context.Background(), area.Message{Topic: area.BusyTopic("north"), Payload: []byte("{}"), Retain: true, From: area.FromArbiter})
	// Output: tacet/area/north/busy {} tacet-arbiter
}
