package api

import (
	"context"
	"encoding/json"
	"io"
	"time"

	"github.com/tacet-hub/tacet/bridge/mapping"
	"github.com/tacet-hub/tacet/bridge/registry"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
	"github.com/tacet-hub/tacet/broker/clip"
	"github.com/tacet-hub/tacet/broker/order"
	"github.com/tacet-hub/tacet/broker/proof"
)

// Areas knows and keeps areas. Its lists may have any order.
type Areas interface {
	Areas() []area.Area
	Area(a area.Name) (area.Area, bool)
	// CreateArea makes an area: exists, location_conflict, invalid.
	CreateArea(ctx context.Context, a NewArea) (area.Area, error)
	// UpdateArea makes an area what it is given as a whole: not_found, exists,
	// location_conflict, configured, invalid.
	UpdateArea(ctx context.Context, a NewArea) (area.Area, error)
	// RemoveArea deletes an area: not_found, configured, conflict.
	RemoveArea(ctx context.Context, a area.Name) error
}

// Keys knows the keys of the areas, by which the devices that may lead one know
// each other: not_found.
type Keys interface {
	Key(ctx context.Context, a area.Name) ([]byte, error)
	// Rotate makes another key.
	Rotate(ctx context.Context, a area.Name) ([]byte, error)
}

// NewArea is an area to make, or what one becomes; a zero field means its default.
type NewArea struct {
	ID         area.Name
	Name       string
	Mode       string        // available or strict
	Topology   string        // auto, direct or local
	Policy     string        // stop or finish
	Lease      time.Duration // 1 s to 10 min
	Volume     *int          // 0 to 100
	QuietHours []string      // "23:00-05:30"
	Locations  []NewLocation
}

// NewLocation is a location of an area to make.
type NewLocation struct {
	ID   area.LocationID
	Name string // empty: the id
}

// Devices knows players and sensors.
type Devices interface {
	Devices() []area.Device
	Device(d area.DeviceID) (area.Device, bool)
	// Assign keeps an operator's word on a device, known or not (a sensor's id
	// may come before it): unknown_area, unknown_location, location_conflict,
	// unknown_device. A nil field takes the word back.
	Assign(ctx context.Context, d area.DeviceID, as registry.Assignment) (area.Device, error)
	// Remove forgets a device and what of it is retained: not_found, conflict for a
	// player that is online. It is known again when it says something.
	Remove(ctx context.Context, d area.DeviceID) error
}

// Orders is what of [order.Service] REST needs.
type Orders interface {
	AcceptOnce(ctx context.Context, r area.OrderRequest, by order.By) (o area.Order, replayed bool, err error)
	DryRun(ctx context.Context, r area.OrderRequest, by order.By) (area.Order, error)
	// Where is the area that a target is in: unknown_area, unknown_location,
	// unknown_device.
	Where(to area.To) (area.Name, error)
	Find(ctx context.Context, id area.WorkID) (area.Order, error)
	List(f order.Filter) (items []area.Order, next string, err error)
	Cancel(ctx context.Context, id area.WorkID) (area.Order, error)
	StopArea(ctx context.Context, a area.Name, waiting bool) (order.Stopped, error)
	StopAll(ctx context.Context, waiting bool) (order.Stopped, error)
}

// Schedules keeps schedules. Its errors are [area.Error]s: not_found, exists,
// configured, invalid with the fields.
type Schedules interface {
	List() []area.Schedule
	Get(id string) (area.Schedule, error)
	Create(ctx context.Context, s area.Schedule) (area.Schedule, error)
	Put(ctx context.Context, s area.Schedule) (area.Schedule, error)
	Delete(ctx context.Context, id string) error
	// Next is the next n firings, fewer where the rule ends.
	Next(id string, n int) ([]area.Time, error)
}

// Readings knows what sensors measured.
type Readings interface {
	Readings(f registry.Filter) []area.Reading
	Courses(ctx context.Context, c registry.Course) (list []registry.Series, missing []string)
}

// Mappings keeps what operators say of foreign topics: what of
// [registry.Rulebook] REST needs.
type Mappings interface {
	Mappings() []mapping.Entry
	Mapping(id string) (mapping.Entry, error)
	CreateMapping(ctx context.Context, e mapping.Entry) (mapping.Entry, error)
	ReplaceMapping(ctx context.Context, e mapping.Entry) (mapping.Entry, error)
	DeleteMapping(ctx context.Context, id string) error
}

// Topics reads and writes MQTT topics.
type Topics interface {
	// Topics is the newest message of each topic that matches, in any order, and the
	// nodes whose part is missing, by name.
	Topics(ctx context.Context, filter string) (list []area.TopicValue, missing []string, err error)
	// Retained is at most so many of the retained messages that match.
	Retained(filter string, most int) []area.Message
	Publish(ctx context.Context, batch ...area.Message) error
}

// Groups reaches the connections of the hub, of the caller's tenant. It looks
// after the rights to a group itself: forbidden.
type Groups interface {
	Members(who auth.Principal, g area.Group) ([]Member, error)
	// Send answers how many connections the event goes to: not_found.
	Send(ctx context.Context, who auth.Principal, to Receiver, event string, args []json.RawMessage) (connections int, err error)
	// InvokeAll calls a method of each connection, and answers what came of it when all
	// have answered, or ctx ends: not_found, invalid where there are too many.
	InvokeAll(ctx context.Context, who auth.Principal, to Receiver, method string, args []json.RawMessage) ([]Reply, error)
	// InvokeOne is InvokeAll that takes the first good answer: no_answer.
	InvokeOne(ctx context.Context, who auth.Principal, to Receiver, method string, args []json.RawMessage) (Reply, error)
	// Presence lists who is there in a scope: tenant, area:A, group:G, user:U or
	// attr:K=V.
	Presence(who auth.Principal, scope string) ([]Member, error)
	// LastSeen lists when users and devices were last there, those whom somebody may see.
	LastSeen(ctx context.Context, who auth.Principal) ([]Sighting, error)
	// Close ends a connection; its client is told not to come back: not_found.
	Close(ctx context.Context, who auth.Principal, connection string) error
	// SetMember makes a connection a member of a group, or ends that: not_found,
	// conflict where it is in as many groups as it may.
	SetMember(ctx context.Context, who auth.Principal, g area.Group, connection string, member bool) error
}

// Clips keeps sound files: what of [clip.Store] REST needs.
type Clips interface {
	Put(ctx context.Context, r io.Reader, about clip.About) (info clip.Info, known bool, err error)
	Get(sum clip.Sum) (clip.Info, bool)
	List() []clip.Info
	Remove(sum clip.Sum) error
}

// Proofs judges the record of what sounded: what of [proof.Book] REST needs.
type Proofs interface {
	// Check reads the record of an area since then: not_found where there is none.
	Check(a area.Name, since time.Time) (proof.Verdict, error)
}

// Credentials are those of devices and programs: what of [auth.Authority] REST
// needs.
type Credentials interface {
	Enrol(ctx context.Context, e auth.Enrolment) (auth.Code, error)
	Redeem(ctx context.Context, source, code string) (auth.Credential, error)
	Revoke(ctx context.Context, tenant string, d area.DeviceID) error
	Devices(tenant string) []auth.Enrolled
	Waiting(tenant string) []auth.Waiting
	Tokens(tenant string) []auth.Token
	CreateToken(ctx context.Context, t auth.Token) (secret string, err error)
	DeleteToken(ctx context.Context, tenant, name string) error
}

// Receiver is whom an event or a question is for. One of its fields is set.
type Receiver struct {
	Group      string
	User       string // of the caller's tenant
	Connection string // its id
	Tenant     string
}

// Reply is what a connection has answered, or why it has not.
type Reply struct {
	ConnectionID *string         `json:"connection_id"` // nil: a whole node, which did not answer
	Result       json.RawMessage `json:"result,omitempty"`
	Error        string          `json:"error,omitempty"` // in place of a result
}

// Member is a connection that is there.
type Member struct {
	User         *string           `json:"user"`
	Device       *area.DeviceID    `json:"device"`
	ConnectionID string            `json:"connection_id"`
	Node         string            `json:"node"`
	Since        area.Time         `json:"since"`
	Attributes   map[string]string `json:"attributes"`
}
