package docker

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

func project(t *testing.T) *types.Project {
	t.Helper()
	opt, err := cli.NewProjectOptions([]string{"../compose/compose.yaml"}, cli.WithResolvedPaths(true))
	if err != nil {
		t.Fatal(err)
	}
	p, err := opt.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Two nodes of different names and data, one server that forgets nothing, one balancer;
// nothing is published beyond the loopback.
func TestCompose(t *testing.T) {
	p := project(t)
	if got := p.ServiceNames(); !slices.Equal(got, []string{"hub-1", "hub-2", "nginx", "redis"}) {
		t.Fatalf("services %v", got)
	}
	for name, s := range p.Services {
		for _, port := range s.Ports {
			if port.HostIP != "127.0.0.1" {
				t.Errorf("%s publishes %s at %q", name, port.Published, port.HostIP)
			}
		}
		if s.Restart != "always" {
			t.Errorf("%s is restarted %q", name, s.Restart)
		}
		for _, v := range s.Volumes {
			if v.Type == types.VolumeTypeBind {
				if _, err := os.Stat(v.Source); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
	}
	for _, name := range []string{"hub-1", "hub-2"} {
		s := p.Services[name]
		if node := s.Environment["TACET_NODE"]; node == nil || *node != name {
			t.Errorf("%s calls itself %v", name, node)
		}
		if s.Volumes[0].Source != name || s.Volumes[0].Target != "/data" {
			t.Errorf("%s has its data in %+v", name, s.Volumes[0])
		}
		if _, err := os.Stat(filepath.Join(s.Build.Context, s.Build.Dockerfile)); err != nil {
			t.Error(err)
		}
		if s.StopGracePeriod == nil || *s.StopGracePeriod < types.Duration(15e9) || !s.ReadOnly || !slices.Contains(s.CapDrop, "ALL") {
			t.Errorf("%s: %v to stop, read only %v, without %v", name, s.StopGracePeriod, s.ReadOnly, s.CapDrop)
		}
	}
	if c := strings.Join(p.Services["redis"].Command, " "); !strings.Contains(c, "--appendonly yes") || !strings.Contains(c, "--maxmemory-policy noeviction") {
		t.Errorf("redis is %q", c)
	}
}

// tacet builds the program once.
func tacet(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "tacet")
	cmd := exec.Command("go", "build", "-o", file, "./cmd/tacet")
	cmd.Dir = top
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	return file
}

// takes tells what serve would say of a configuration.
func takes(program, file string, env ...string) (string, error) {
	cmd := exec.Command(program, "config", "check", "--config", file)
	cmd.Env = append(os.Environ(), env...)
	said, err := cmd.CombinedOutput()
	return string(said), err
}

// What the nodes are told, serve takes.
func TestConfigurations(t *testing.T) {
	program := tacet(t)
	for name, s := range project(t).Services {
		if !strings.HasPrefix(name, "hub-") {
			continue
		}
		env := []string{"TACET_HTTP_ADDR=0.0.0.0:8080", "TACET_MQTT_ADDR=0.0.0.0:1883", "TACET_DATA=" + t.TempDir()}
		for k, v := range s.Environment {
			env = append(env, k+"="+*v)
		}
		if said, err := takes(program, "../compose/tacet.yaml", env...); err != nil {
			t.Errorf("%s: %v: %s", name, err, said)
		}
	}
	text := manifests(t).secret(t).StringData["tacet.yaml"]
	env := []string{"TACET_HTTP_ADDR=0.0.0.0:8080", "TACET_MQTT_ADDR=0.0.0.0:1883", "TACET_DATA=" + t.TempDir(), "TACET_NODE=tacet-0", "TACET_REDIS_URL=redis://:x@tacet-redis:6379"}
	file := filepath.Join(t.TempDir(), "tacet.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if said, err := takes(program, file, env...); err == nil {
		t.Errorf("a secret that nobody has edited is taken: %s", said)
	}
	hash := exec.Command(program, "user", "hash", "--stdin")
	hash.Stdin = strings.NewReader("a long password\n")
	made, err := hash.Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(text, "REPLACE-THIS", strings.TrimSpace(string(made)))), 0o600); err != nil {
		t.Fatal(err)
	}
	if said, err := takes(program, file, env...); err != nil {
		t.Errorf("the secret, edited: %v: %s", err, said)
	}
}
