package area

// OrderState is where an order stands.
type OrderState string

// The states of an order; the last four are ends, and an ended order never
// changes.
const (
	OrderAccepted  OrderState = "accepted"  // stored
	OrderWaiting   OrderState = "waiting"   // for its time, or for a device
	OrderOffered   OrderState = "offered"   // held out to devices
	OrderAssigned  OrderState = "assigned"  // a device has taken it
	OrderPlaying   OrderState = "playing"   // it sounds
	OrderPlayed    OrderState = "played"    // to the end
	OrderExpired   OrderState = "expired"   // its time ran out before it sounded
	OrderCancelled OrderState = "cancelled" // somebody, or if_busy skip, took it back
	OrderFailed    OrderState = "failed"    // see the reason
)

// Ended tells whether s is one of the four ends.
func (s OrderState) Ended() bool {
	switch s {
	case OrderPlayed, OrderExpired, OrderCancelled, OrderFailed:
		return true
	}
	return false
}

// Reasons of ends, and of being waiting again (preempted, cut).
const (
	EndUser        = "user"
	EndStop        = "stop"
	EndBusy        = "busy"
	EndQuietHours  = "quiet_hours"
	EndNoDevice    = "no_device"
	EndDeviceError = "device_error"
	EndClipMissing = "clip_missing"
	EndClipHash    = "clip_hash"
	EndPreempted   = "preempted"
	EndCut         = "cut"
	EndLostContact = "lost_contact"
)

// KindDownload is the kind of an order that brings a clip to devices, and sounds
// nothing.
const KindDownload = "download"

// To is where an order goes: exactly one key is set. Each is for schedules
// alone: "locations" makes one order for each location.
type To struct {
	Area     *string `json:"area,omitempty"`
	Location *string `json:"location,omitempty"`
	Device   *string `json:"device,omitempty"`
	Each     *string `json:"each,omitempty"`
}

// Keys counts the keys that are set.
func (t To) Keys() (n int) {
	for _, p := range []*string{t.Area, t.Location, t.Device, t.Each} {
		if p != nil {
			n++
		}
	}
	return n
}

// OrderRequest is what a caller asks for. A nil or zero field is given its
// default; DESIGN.md §3.6, Order, lists them.
type OrderRequest struct {
	ID        *string   `json:"id,omitempty"`
	To        To        `json:"to"`
	Kind      string    `json:"kind,omitempty"` // announce, play, download, gpio, custom
	Message   *string   `json:"message,omitempty"`
	Clip      *string   `json:"clip,omitempty"` // "sha256:…"
	Chime     string    `json:"chime,omitempty"`
	Languages []string  `json:"languages,omitempty"`
	Priority  *Priority `json:"priority,omitempty"`
	Volume    *int      `json:"volume,omitempty"` // 0–100
	Repeat    *int      `json:"repeat,omitempty"` // 1–10
	NotBefore *Time     `json:"not_before,omitempty"`
	Expires   *Duration `json:"expires,omitempty"`
	IfBusy    IfBusy    `json:"if_busy,omitempty"`
}

// OrderStep is one line of an order's history.
type OrderStep struct {
	State  OrderState `json:"state"`
	At     Time       `json:"at"`
	Device *DeviceID  `json:"device"`
	Reason *string    `json:"reason"`
}

// Order is work that was accepted. It has exactly one visible end.
type Order struct {
	ID             WorkID      `json:"id"`
	To             To          `json:"to"`
	Area           Name        `json:"area"`
	Kind           string      `json:"kind"`
	Message        *string     `json:"message"`
	Clip           *string     `json:"clip"`
	Chime          string      `json:"chime"`
	Languages      []string    `json:"languages"`
	Priority       Priority    `json:"priority"`
	Volume         *int        `json:"volume"`
	Repeat         int         `json:"repeat"`
	NotBefore      *Time       `json:"not_before"`
	Expires        Duration    `json:"expires"`
	IfBusy         IfBusy      `json:"if_busy"`
	Redo           Redo        `json:"redo"`
	State          OrderState  `json:"state"`
	Reason         *string     `json:"reason"`
	Attempt        int         `json:"attempt"`
	Device         *DeviceID   `json:"device"`
	DurationMs     int64       `json:"duration_ms"`
	CreatedAt      Time        `json:"created_at"`
	EstimatedStart *Time       `json:"estimated_start"`
	After          *WorkID     `json:"after"` // the order that it waits for
	StartedAt      *Time       `json:"started_at"`
	EndedAt        *Time       `json:"ended_at"`
	ExpiresAt      Time        `json:"expires_at"`
	Schedule       *string     `json:"schedule"` // the schedule that made it
	History        []OrderStep `json:"history"`
}

// Accepted is the short answer to a new order.
type Accepted struct {
	ID             WorkID     `json:"id"`
	State          OrderState `json:"state"`
	EstimatedStart *Time      `json:"estimated_start"`
	After          *WorkID    `json:"after"`
}

// Accepted is the short answer to an order that is new.
func (o Order) Accepted() Accepted {
	return Accepted{ID: o.ID, State: o.State, EstimatedStart: o.EstimatedStart, After: o.After}
}
