package conf

import (
	"path/filepath"
	"time"

	"github.com/tacet-hub/tacet/bridge/mapping"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/cmd/internal/settings"
)

// Config is the whole of tacet.yaml, every key of it optional. [Default] has
// the defaults that are named here.
type Config struct {
	Node      string     `yaml:"node"` // name of this hub process, an id; default hub-1
	HTTP      HTTP       `yaml:"http"`
	MQTT      MQTT       `yaml:"mqtt"`
	Data      string     `yaml:"data"` // directory of everything durable; default ./tacet-data
	Redis     Redis      `yaml:"redis"`
	Auth      Auth       `yaml:"auth"`
	Limits    Limits     `yaml:"limits"`
	Hub       Hub        `yaml:"hub"`
	Areas     []Area     `yaml:"areas"`
	Mappings  []Mapping  `yaml:"mappings"`
	Schedules []Schedule `yaml:"schedules"`
	Speech    Speech     `yaml:"speech"`
	Updates   Updates    `yaml:"updates"`

	HomeAssistant HomeAssistant `yaml:"home_assistant"`

	Process          `yaml:"-"` // what no file may say
	settings.Origins `yaml:"-"` // where each key was written
	Warnings         []string   `yaml:"-"` // what to look at though it is no fault
}

// Process is what flags and the environment say of the process alone.
type Process struct {
	Config    string `yaml:"config"`     // TACET_CONFIG: the file that was read; default none
	Insecure  bool   `yaml:"insecure"`   // TACET_INSECURE: open mode may listen beyond loopback; default false
	LogFormat string `yaml:"log_format"` // TACET_LOG_FORMAT: text or json; default text
	LogLevel  string `yaml:"log_level"`  // TACET_LOG_LEVEL: debug, info, warn or error; default info
}

// HTTP is the web listener.
type HTTP struct {
	Addr           string   `yaml:"addr"` // host:port; port 0 picks one; default 127.0.0.1:8080
	TLS            TLS      `yaml:"tls"`
	AllowedOrigins []string `yaml:"allowed_origins"` // origins besides the hub's own that browsers may come from, as https://host[:port]; default none
	AdminAddr      string   `yaml:"admin_addr"`      // metrics, pprof and /readyz, without a sign-in; default 127.0.0.1:8090, port 0 where addr has port 0
}

// TLS is the certificate of a listener; empty: it does not encrypt. Both files
// are PEM and are read again when they change.
type TLS struct {
	CertFile string `yaml:"cert_file"` // the certificate, and what stands between it and its authority
	KeyFile  string `yaml:"key_file"`
}

// MQTT is the embedded broker, or the outside one that stands in for it.
type MQTT struct {
	Addr      string   `yaml:"addr"` // host:port; port 0 picks one; default 127.0.0.1:1883
	TLS       MQTTTLS  `yaml:"tls"`
	WebSocket bool     `yaml:"websocket"` // MQTT over WebSocket at /mqtt of the web listener; default true
	External  External `yaml:"external"`
	Bridges   []Bridge `yaml:"bridges"` // other brokers that topics are carried to and from; default none

	// ProxyProtocol are the networks of load balancers, as 10.0.0.0/8 or a single
	// address: their connections to the MQTT listeners must begin with a PROXY
	// header, whose address counts as the client's. Default none.
	ProxyProtocol []string `yaml:"proxy_protocol"`
}

// MQTTTLS is the broker's second listener, which encrypts. The files are PEM and
// are read again when they change.
type MQTTTLS struct {
	Addr         string `yaml:"addr"` // host:port; port 0 picks one; default none
	CertFile     string `yaml:"cert_file"`
	KeyFile      string `yaml:"key_file"`
	ClientCAFile string `yaml:"client_ca_file"` // authorities of clients; with it every client must show a certificate of theirs
}

// External is an outside broker, which stands in for the embedded one. Several nodes
// (redis.url) may have the same: one of them then acts on what is said there.
type External struct {
	URL          string    `yaml:"url"`      // mqtt://host[:1883] or mqtts://host[:8883]; it must speak MQTT 5; default none: the embedded broker
	Username     string    `yaml:"username"` // default none
	PasswordFile string    `yaml:"password_file"`
	TLS          ClientTLS `yaml:"tls"`
}

// ClientTLS is how the hub speaks to an mqtts:// broker. Files are PEM and are read
// at the start.
type ClientTLS struct {
	CAFile   string `yaml:"ca_file"`   // authorities of the broker; default the system's
	CertFile string `yaml:"cert_file"` // our certificate, with key_file; default none
	KeyFile  string `yaml:"key_file"`
}

// Bridge carries topics between the hub and another broker.
type Bridge struct {
	Name         string         `yaml:"name"` // an id; names the bridge in logs, metrics and on disk
	URL          string         `yaml:"url"`  // as that of external
	Username     string         `yaml:"username"`
	PasswordFile string         `yaml:"password_file"`
	TLS          ClientTLS      `yaml:"tls"`
	ClientID     string         `yaml:"client_id"`    // there; default tacet-NODE-NAME
	BufferBytes  int            `yaml:"buffer_bytes"` // of what waits while the link is down, on disk too; 65536 or more; default 16777216
	Topics       []BridgedTopic `yaml:"topics"`
}

// SetDefaults fills a bridge that the file begins to describe.
func (b *Bridge) SetDefaults() { *b = Bridge{BufferBytes: 16 << 20} }

// BridgedTopic is topics that a bridge carries.
type BridgedTopic struct {
	Filter       string `yaml:"filter"`        // topic filter, behind the prefixes
	Direction    string `yaml:"direction"`     // out (hub to broker), in or both; default out
	LocalPrefix  string `yaml:"local_prefix"`  // of the topics at the hub, such as "plant/"; default none
	RemotePrefix string `yaml:"remote_prefix"` // of them there; default none
	QoS          int    `yaml:"qos"`           // 2: each message once; 1: at least once; 0: what cannot go at once is lost; default 2
}

// SetDefaults fills a topic that the file begins to describe.
func (t *BridgedTopic) SetDefaults() { *t = BridgedTopic{Direction: "out", QoS: 2} }

// Redis joins several nodes to one hub.
type Redis struct {
	URL         string        `yaml:"url"`          // redis://, rediss://, valkey://, valkeys:// or unix://, of a Redis-compatible server, a cluster of them or their sentinels; default none: one node
	Prefix      string        `yaml:"prefix"`       // of every key; default tacet
	Heartbeat   time.Duration `yaml:"heartbeat"`    // between two signs of life of a node; default 5s
	NodeTimeout time.Duration `yaml:"node_timeout"` // after which a silent node is gone, its name free, and who was live at it is not; its areas are taken over sooner, by their lease; default 20s
	ProofBytes  int64         `yaml:"proof_bytes"`  // of the record of what sounded that the server has beside the nodes' own disks, of each area and node; 262144 or more; default 2097152
	Advertise   string        `yaml:"advertise"`    // http or https URL at which other nodes reach this one's web listener; default: http.addr, and this machine's address where that names none
}

// Limits bounds what clients may take. A device here is a principal, or in open
// mode an MQTT client id. Each is 1 or more, but where 0 is said to mean
// something.
type Limits struct {
	ConnectionsPerUser int `yaml:"connections_per_user"` // hub connections of one user; default 10
	HubMessageBytes    int `yaml:"hub_message_bytes"`    // longest hub message that is read; default 32768

	MQTTConnections        int `yaml:"mqtt_connections"`             // clients at once; default 0: 50,000, or three quarters of the descriptors
	MQTTConnectionsPerAddr int `yaml:"mqtt_connections_per_address"` // of one address; default 0: half of them
	MQTTHalfOpen           int `yaml:"mqtt_half_open"`               // connections without a session; default 0: 1024, or an eighth of the descriptors
	MQTTHalfOpenPerAddr    int `yaml:"mqtt_half_open_per_address"`   // of one address; default 0: a quarter of them
	MQTTSessions           int `yaml:"mqtt_sessions"`                // those of absent clients included; default 100000
	MQTTConnectBytes       int `yaml:"mqtt_connect_bytes"`           // longest CONNECT; default 16384
	MQTTPacketBytes        int `yaml:"mqtt_packet_bytes"`            // longest MQTT packet that is read; default 262144

	MessagesPerSecond      int   `yaml:"messages_per_second"`       // of one client, which is read more slowly above it; default 10000, 0: no limit
	SubscriptionsPerDevice int   `yaml:"subscriptions_per_device"`  // topic filters of one client; default 100
	RetainedPerDevice      int   `yaml:"retained_per_device"`       // retained topics of one device; default 1000
	RetainedBytesPerDevice int64 `yaml:"retained_bytes_per_device"` // of them; default 4194304
	RetainedBytes          int64 `yaml:"retained_bytes"`            // of all retained messages, and 2 KiB for each beside; default 268435456
	SessionQueue           int   `yaml:"session_queue"`             // messages kept for one client that is away or slow, to 65535; default 1000
	SessionQueueBytes      int64 `yaml:"session_queue_bytes"`       // of them, 65536 or more; default 8388608

	ClipsBytes int64 `yaml:"clips_bytes"` // of all sound files kept in data, 1048576 or more; default 1073741824
}

// Hub is the WebSocket side.
type Hub struct {
	Keepalive        time.Duration `yaml:"keepalive"`         // a ping after this much silence of ours; default 15s
	ClientTimeout    time.Duration `yaml:"client_timeout"`    // a client silent for so long is gone; default 30s
	HandshakeTimeout time.Duration `yaml:"handshake_timeout"` // for the first message; default 15s
	DetailedErrors   bool          `yaml:"detailed_errors"`   // errors of ours in full to clients; default false
	Rejoin           bool          `yaml:"rejoin"`            // users and registered devices whose connection was lost are in its groups again when they come back; default true
	PublicURL        string        `yaml:"public_url"`        // where clients reach this very node: negotiation sends them there; default none: where they came
}

// Area is an area that the file defines.
type Area struct {
	ID             area.Name     `yaml:"id"`
	Name           string        `yaml:"name"` // what people read; unique; default the id
	Locations      []Location    `yaml:"locations"`
	Mode           string        `yaml:"mode"`            // available or strict; default available
	Topology       string        `yaml:"topology"`        // auto, direct or local; default auto
	Lease          time.Duration `yaml:"lease"`           // 1s to 10m; default 6s
	Policy         string        `yaml:"policy"`          // of a player that loses the hub: stop, or finish (what takes 2 minutes at most); default stop
	ClassicHold    time.Duration `yaml:"classic_hold"`    // longest claim of a classic client whose length is not known; default 120s
	DumbHold       time.Duration `yaml:"dumb_hold"`       // longest claim by busy/set; default 30s
	EmergencyBarge time.Duration `yaml:"emergency_barge"` // an emergency waits no longer than this for a lost holder, 500ms or more; default 0: as long as it must
	OnLedgerLoss   string        `yaml:"on_ledger_loss"`  // stop or per_node: what several nodes do in it while redis.url is away; default stop
	QuietHours     []string      `yaml:"quiet_hours"`     // "23:00-05:30", in the hub's time zone; default none
	Volume         int           `yaml:"volume"`          // 0 to 100; default 70
}

// SetDefaults fills an area that the file begins to describe.
func (a *Area) SetDefaults() {
	*a = Area{Mode: "available", Topology: "auto", Lease: 6 * time.Second, Policy: "stop", ClassicHold: 120 * time.Second,
		DumbHold: 30 * time.Second, OnLedgerLoss: Stop, Volume: 70}
}

// Location is a place in an area.
type Location struct {
	ID   area.LocationID `yaml:"id"`   // unique over all areas
	Name string          `yaml:"name"` // what people read; default the id
}

// Mapping takes messages of foreign topics in, as readings (format) or as
// events of a group (group and event). Captures of the topic may stand in
// device, area, metric, group and event: "hall-{area}".
type Mapping struct {
	Topic  string            `yaml:"topic"`  // topic filter, which may also have captures as levels: {area}, {device}, {metric}, {channel} and any other {name}
	Format string            `yaml:"format"` // raw, json or senml; empty with group and event
	Device string            `yaml:"device"` // name of the sensor; default {device}, of senml the base name
	Area   string            `yaml:"area"`   // default {area} where the topic captures it
	Metric string            `yaml:"metric"` // of raw; default {metric}
	Fields map[string]string `yaml:"fields"` // of JSON: path (a.b, a.0.b) to metric; empty: every field
	Group  area.Group        `yaml:"group"`
	Event  string            `yaml:"event"`
}

// Rule is the mapping as the bridge reads it.
func (m Mapping) Rule() mapping.Rule {
	return mapping.Rule{Topic: m.Topic, Format: mapping.Format(m.Format), Device: m.Device, Area: m.Area, Metric: m.Metric, Fields: m.Fields, Group: m.Group, Event: m.Event}
}

// Schedule is a rule and the order that it makes. Exactly one of Cron, Every
// and Once is set.
type Schedule struct {
	ID       string            `yaml:"id"`
	Cron     *string           `yaml:"cron"`
	Every    *area.Duration    `yaml:"every"`
	Once     *area.Time        `yaml:"once"`
	TimeZone string            `yaml:"time_zone"` // IANA name; default UTC
	Work     area.OrderRequest `yaml:"work"`
	Enabled  bool              `yaml:"enabled"` // default true
}

// SetDefaults fills a schedule that the file begins to describe.
func (s *Schedule) SetDefaults() { *s = Schedule{TimeZone: "UTC", Enabled: true} }

// Words is the schedule as the scheduler knows it.
func (s Schedule) Words() area.Schedule {
	return area.Schedule{ID: s.ID, Cron: s.Cron, Every: s.Every, Once: s.Once, TimeZone: s.TimeZone, Work: s.Work, Enabled: s.Enabled, Source: area.SourceConfig}
}

// Speech makes sound out of text.
type Speech struct {
	Engine string `yaml:"engine"` // auto (piper, else espeak-ng), piper, espeak-ng or tone; default espeak-ng; devices speak where it is not installed
	Voice  string `yaml:"voice"`  // of the engine; default en
	Models string `yaml:"models"` // directory of piper's voices; default none
}

// HomeAssistant shows areas and players to Home Assistant by its MQTT discovery.
type HomeAssistant struct {
	Enabled bool   `yaml:"enabled"` // default true
	Prefix  string `yaml:"prefix"`  // of its discovery topics; default homeassistant
}

// Updates is where the hub has the programs that its devices are updated to.
type Updates struct {
	Dir string `yaml:"dir"` // directory that `tacet update publish` fills; empty: updates below data
}

// In is the directory, for a hub with its data there.
func (u Updates) In(data string) string {
	if u.Dir != "" {
		return u.Dir
	}
	return filepath.Join(data, "updates")
}

// Default is the configuration where nothing is configured.
func Default() Config {
	return Config{
		Node:  "hub-1",
		HTTP:  HTTP{Addr: "127.0.0.1:8080", AdminAddr: "127.0.0.1:8090"},
		MQTT:  MQTT{Addr: "127.0.0.1:1883", WebSocket: true},
		Data:  "./tacet-data",
		Redis: Redis{Prefix: "tacet", Heartbeat: 5 * time.Second, NodeTimeout: 20 * time.Second, ProofBytes: 2 << 20},
		Limits: Limits{ConnectionsPerUser: 10, HubMessageBytes: 32768, MQTTSessions: 100_000, MQTTConnectBytes: 16384, MQTTPacketBytes: 262144,
			MessagesPerSecond: 10_000, SubscriptionsPerDevice: 100, RetainedPerDevice: 1000, RetainedBytesPerDevice: 4 << 20, RetainedBytes: 256 << 20,
			SessionQueue: 1000, SessionQueueBytes: 8 << 20, ClipsBytes: 1 << 30},
		Hub:           Hub{Keepalive: 15 * time.Second, ClientTimeout: 30 * time.Second, HandshakeTimeout: 15 * time.Second, Rejoin: true},
		Speech:        Speech{Engine: "espeak-ng", Voice: "en"},
		HomeAssistant: HomeAssistant{Enabled: true, Prefix: "homeassistant"},
		Process:       Process{LogFormat: "text", LogLevel: "info"},
		Origins:       settings.Origins{},
	}
}
