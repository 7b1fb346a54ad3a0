package hubd

import (
	"context"
	"encoding/json"

	"github.com/tacet-hub/tacet/bridge/api"
	"github.com/tacet-hub/tacet/bridge/devicehub"
	"github.com/tacet-hub/tacet/broker/auth"
)

func (m members) Send(_ context.Context, who auth.Principal, to api.Receiver, event string, args []json.RawMessage) (int, error) {
	return m.h.devices.Send(who, devicehub.Receiver(to), event, anys(args))
}

func (m members) InvokeAll(ctx context.Context, who auth.Principal, to api.Receiver, method string, args []json.RawMessage) ([]api.Reply, error) {
	list, err := m.h.devices.InvokeAll(ctx, who, devicehub.Receiver(to), method, anys(args))
	out := make([]api.Reply, 0, len(list))
	for _, r := range list {
		out = append(out, api.Reply(r))
	}
	return out, err
}

func (m members) InvokeOne(ctx context.Context, who auth.Principal, to api.Receiver, method string, args []json.RawMessage) (api.Reply, error) {
	r, err := m.h.devices.InvokeOne(ctx, who, devicehub.Receiver(to), method, anys(args))
	return api.Reply(r), err
}

func anys(args []json.RawMessage) []any {
	list := make([]any, len(args))
	for i, a := range args {
		list[i] = a
	}
	return list
}
