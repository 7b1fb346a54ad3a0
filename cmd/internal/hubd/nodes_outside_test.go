package hubd

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/brokertest"
	"github.com/tacet-hub/tacet/cmd/internal/conf"
)

// mosquitto is somebody else's broker; it answers its address. It listens on a socket of
// the file system: a port that was looked for beforehand may be somebody's by then.
func mosquitto(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "tacet-mosquitto-") // a socket's path has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	file, socket := filepath.Join(dir, "conf"), filepath.Join(dir, "s")
	if err := os.WriteFile(file, []byte("listener 0 "+socket+"\nallow_anonymous true\nuser root\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	path, err := exec.LookPath("mosquitto")
	if err != nil {
		path = "/usr/sbin/mosquitto"
	}
	cmd := exec.Command(path, "-c", file)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v: install the Debian packages of .ci/tools", err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	poll(t, "mosquitto listens", func() bool {
		c, err := net.Dial("unix", socket)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	return wayTo(t, "unix", socket).url
}

// outsiders hears what is said on topics of somebody else's broker.
func outsiders(t *testing.T, url string, filters ...string) (mqtt.Client, *brokertest.Inbox) {
	t.Helper()
	c := mqtt.NewClient(mqtt.NewClientOptions().AddBroker("tcp" + strings.TrimPrefix(url, "mqtt")).SetClientID(fmt.Sprintf("outsider-%d", time.Now().UnixNano())).SetOrderMatters(true))
	wait(t, c.Connect())
	t.Cleanup(func() { c.Disconnect(0) })
	in := brokertest.NewInbox()
	for _, f := range filters {
		wait(t, c.Subscribe(f, 1, func(_ mqtt.Client, m mqtt.Message) {
			in.Put(area.Message{Topic: m.Topic(), Payload: m.Payload()})
		}))
	}
	return c, in
}

func wait(t *testing.T, tok mqtt.Token) {
	t.Helper()
	if !tok.WaitTimeout(time.Minute) || tok.Error() != nil {
		t.Fatalf("client of the outside broker: %v", tok.Error())
	}
}

// way is a way to a broker that can be cut.
type way struct {
	url string
	cut func()
}

func wayTo(t *testing.T, network, addr string) way {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var all []net.Conn
	closed := false
	hold := func(c net.Conn) bool {
		mu.Lock()
		defer mu.Unlock()
		if closed {
			_ = c.Close()
			return false
		}
		all = append(all, c)
		return true
	}
	stop := sync.OnceFunc(func() {
		_ = l.Close()
		mu.Lock()
		defer mu.Unlock()
		closed = true
		for _, c := range all {
			_ = c.Close()
		}
	})
	done := alongside(t, func(ctx context.Context) error {
		defer context.AfterFunc(ctx, stop)()
		var carrying sync.WaitGroup
		defer carrying.Wait()
		for {
			in, err := l.Accept()
			if err != nil {
				return nil
			}
			out, err := net.Dial(network, addr)
			if err != nil || !hold(in) || !hold(out) {
				_ = in.Close()
				continue
			}
			carry := func(to, from net.Conn) { _, _ = io.Copy(to, from); _ = to.Close() }
			carrying.Go(func() { carry(in, out) })
			carrying.Go(func() { carry(out, in) })
		}
	})
	t.Cleanup(done)
	return way{"mqtt://" + l.Addr().String(), stop}
}

// Two nodes have one outside broker: whatever is said there has its consequences once,
// whichever node acts, and for the clients of both; also once the node that had the say,
// and the area, does not reach the broker, and once it is gone.
func TestTwoNodesOfOneOutsideBroker(t *testing.T) {
	url, s := mosquitto(t), startServer(t)
	first := wayTo(t, "tcp", strings.TrimPrefix(url, "mqtt://"))
	out, said := outsiders(t, url, "tacet/group/#", "tacet/response/#", "homeassistant/#")
	with := func(name, url string) func(*conf.Config) {
		return func(c *conf.Config) {
			s.node(name, t.TempDir())(c)
			c.Areas[0].Lease = 3 * time.Second // long enough for one attempt on a busy machine
			c.MQTT.External.URL, c.HomeAssistant.Enabled = url, true
			c.Mappings = []conf.Mapping{{Topic: "plant/{line}/alarm", Group: "alarms", Event: "Alarm"}}
		}
	}
	h1, r1, stop1 := started(t, with("hub-1", first.url))
	idleAt(t, r1)
	h2, r2, _ := started(t, with("hub-2", url))
	idleAt(t, r2)
	poll(t, "hub-1 has the say", func() bool { return h1.speaks() && !h2.speaks() })
	player(t, url, "gate-1")
	for _, r := range []Ready{r1, r2} {
		until(t, r.HTTP+"/api/v1/devices/gate-1", hasAll(`"presence":"online"`))
	}
	say := func(topic, payload string, retain bool) { t.Helper(); wait(t, out.Publish(topic, 1, retain, payload)) }

	played := func(r Ready, id string) {
		t.Helper()
		until(t, r.HTTP+"/api/v1/orders/"+id, hasAll(`"state":"played"`, `"attempt":1`, `"device":"gate-1"`))
	}
	for id, r := range map[string]Ready{"o-1": r1, "o-2": r2} {
		write(t, "POST", r.HTTP+"/api/v1/orders", `{"id":"`+id+`","to":{"area":"north"},"message":"hello","expires":"600s"}`)
		played(r, id) // the player does one at a time
	}
	say(area.SubmitTopic("north"), `{"v":1,"work":"w-1","dur_ms":500}`, false)
	for _, id := range []string{"o-1", "o-2", "w-1"} {
		played(r1, id)
		played(r2, id)
	}

	one, two := memberOf(t, r1, "alarms", "Alarm"), memberOf(t, r2, "alarms", "Alarm")
	mine, theirs := memberOf(t, r1, "g", "Down"), memberOf(t, r2, "g", "Down")
	once := func(from, to int, alarms, group []chan string) {
		t.Helper()
		for i := from; i < to; i++ {
			say("plant/1/alarm", fmt.Sprint(i), false)
			say("tacet/group/g/Down", fmt.Sprint(i), false)
		}
		for i := from; i < to; i++ {
			for n, in := range alarms {
				if got := next(t, in); !strings.Contains(got, fmt.Sprintf(`"payload":%d,`, i)) {
					t.Fatalf("member %d of alarms gets %s, want %d", n, got, i)
				}
			}
			for n, in := range group {
				if got := next(t, in); !strings.Contains(got, fmt.Sprint(i)) {
					t.Fatalf("member %d of g gets %s, want %d", n, got, i)
				}
			}
		}
	}
	once(1000, 1050, []chan string{one, two}, []chan string{mine, theirs})

	say("tacet/request/orders/create", `{"transaction":"t-1","body":{"id":"q-1","to":{"area":"north"},"message":"hello"}}`, false)
	played(r2, "q-1")
	c2, _ := dialHub(t, r2)
	if _, err := c2.Invoke(t.Context(), "SendToGroup", "g", "Up", 7); err != nil {
		t.Fatal(err)
	}
	say("tacet/area/north/cmd/announce", "commanded", false)
	until(t, r2.HTTP+"/api/v1/orders", func(b string) bool { return strings.Contains(b, `"message":"commanded"`) })
	say("home/north/hall/temperature", "21.5", true)
	for _, r := range []Ready{r1, r2} {
		until(t, r.HTTP+"/api/v1/readings?device=hall", hasAll(`"value":21.5`))
		until(t, r.HTTP+"/api/v1/topics?filter=home/%23", hasAll(`"topic":"home/north/hall/temperature"`))
	}
	if _, err := c2.Invoke(t.Context(), "SendToGroup", "g", "End"); err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for count["tacet/group/g/End"] == 0 {
		m := said.Take(t, 1)[0]
		count[m.Topic]++
	}
	if count["tacet/group/g/Up"] != 1 || count["tacet/response/t-1"] != 1 {
		t.Errorf("said %v, want one event and one answer", count)
	}
	if n := count["homeassistant/device/tacet_device_gate-1/config"]; n != 1 {
		t.Errorf("gate-1 is shown to home assistant %d times: %v", n, count)
	}
	if _, list := get(t, r1.HTTP+"/api/v1/orders"); strings.Count(list, `"message":"commanded"`) != 1 {
		t.Errorf("orders of one command: %s", list)
	}

	first.cut()
	poll(t, "hub-2 has the say", func() bool { return h2.speaks() && !h1.speaks() })
	ledBy(t, "hub-2", r1, r2)
	once(2000, 2050, []chan string{one, two}, []chan string{mine, theirs})
	write(t, "POST", r1.HTTP+"/api/v1/orders", `{"id":"o-3","to":{"area":"north"},"message":"hello","expires":"600s"}`)
	played(r1, "o-3")

	if err := stop1(); err != nil {
		t.Fatal(err)
	}
	once(3000, 3050, []chan string{two}, []chan string{theirs})
	say(area.SubmitTopic("north"), `{"v":1,"work":"w-2","dur_ms":500}`, false)
	played(r2, "w-2")
	until(t, r2.HTTP+"/api/v1/areas/north/proof", hasAll(`"overlaps":0`))
}
