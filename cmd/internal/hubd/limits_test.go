package hubd

import (
	"reflect"
	"strings"
	"testing"

	"github.com/tacet-hub/tacet/cmd/internal/conf"
)

// TestEveryLimitReachesTheBroker: each key, and none by two fields.
func TestEveryLimitReachesTheBroker(t *testing.T) {
	cfg := conf.Default()
	cfg.MQTT.ProxyProtocol = []string{"10.0.0.0/8", "192.0.2.7", "::1"}
	seen, next := map[int64]string{}, int64(70_000)
	limits := reflect.ValueOf(&cfg.Limits).Elem()
	for f, v := range limits.Fields() {
		switch f.Name {
		case "ConnectionsPerUser", "HubMessageBytes", "ClipsBytes": // the hub's, and the clips'
		case "SessionQueue":
			v.SetInt(7)
			seen[7] = f.Name
		case "MQTTConnectBytes":
			v.SetInt(1024)
			seen[1024] = f.Name
		default:
			next++
			v.SetInt(next)
			seen[next] = f.Name
		}
	}
	h := &Hub{cfg: cfg}
	got := h.brokerConfig()
	if err := got.Validate(); err != nil {
		t.Fatal(err)
	}
	for _, v := range reflect.ValueOf(got).Fields() {
		if v.CanInt() {
			delete(seen, v.Int())
		}
	}
	if len(seen) > 0 {
		t.Errorf("these limits reach nothing: %v", seen)
	}
	var nets []string
	for _, p := range got.ProxyFrom {
		nets = append(nets, p.String())
	}
	if text := strings.Join(nets, " "); text != "10.0.0.0/8 192.0.2.7/32 ::1/128" {
		t.Errorf("believed: %s", text)
	}
}
