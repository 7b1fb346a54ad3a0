package signalr

import (
	"encoding/json"

	"github.com/tacet-hub/tacet/bridge/signalr/protocol"
)

// value is an argument, an item or a result as it came.
type value = protocol.Value

// sizeOf is how many bytes a value takes.
func sizeOf(v value) int { return v.Size() }

// asJSON gives a value as JSON; nil when there is none.
func asJSON(v value) json.RawMessage { return v.JSON() }

// bind decodes one value.
func bind(v value, into any) error { return v.Decode(into) }
