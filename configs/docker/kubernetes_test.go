package docker

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/yaml"
	strict "sigs.k8s.io/yaml"
)

// objects are what configs/kubernetes makes.
type objects struct {
	services []core.Service
	sets     []apps.StatefulSet
	budgets  []policy.PodDisruptionBudget
	policies []networking.NetworkPolicy
	secrets  []core.Secret
}

// manifests reads every file as the API server does, and refuses what that would not
// know.
func manifests(t *testing.T) *objects {
	t.Helper()
	files, err := filepath.Glob("../kubernetes/*.yaml")
	if err != nil || len(files) < 3 {
		t.Fatalf("%v, %v", files, err)
	}
	o := &objects{}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		docs := yaml.NewDocumentDecoder(io.NopCloser(bytes.NewReader(b)))
		for buf := make([]byte, 1<<20); ; {
			n, err := docs.Read(buf)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			o.add(t, file, buf[:n])
		}
	}
	return o
}

func (o *objects) add(t *testing.T, file string, doc []byte) {
	t.Helper()
	var kind meta.TypeMeta
	if err := strict.Unmarshal(doc, &kind); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	switch kind.APIVersion + " " + kind.Kind {
	case "v1 Service":
		o.services = append(o.services, read[core.Service](t, file, doc))
	case "v1 Secret":
		o.secrets = append(o.secrets, read[core.Secret](t, file, doc))
	case "apps/v1 StatefulSet":
		o.sets = append(o.sets, read[apps.StatefulSet](t, file, doc))
	case "policy/v1 PodDisruptionBudget":
		o.budgets = append(o.budgets, read[policy.PodDisruptionBudget](t, file, doc))
	case "networking.k8s.io/v1 NetworkPolicy":
		o.policies = append(o.policies, read[networking.NetworkPolicy](t, file, doc))
	default:
		t.Errorf("%s has a %s of %s", file, kind.Kind, kind.APIVersion)
	}
}

func read[T any](t *testing.T, file string, doc []byte) (v T) {
	t.Helper()
	if err := strict.UnmarshalStrict(doc, &v); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return v
}

func (o *objects) set(t *testing.T, name string) apps.StatefulSet {
	t.Helper()
	for _, s := range o.sets {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("no set %s", name)
	return apps.StatefulSet{}
}

func (o *objects) secret(t *testing.T) core.Secret {
	t.Helper()
	if len(o.secrets) != 1 {
		t.Fatalf("%d secrets", len(o.secrets))
	}
	return o.secrets[0]
}

// Every pod runs as nobody with nothing to spare, and has what it says it needs.
func TestPods(t *testing.T) {
	o := manifests(t)
	secret := o.secret(t)
	for _, s := range o.sets {
		pod := s.Spec.Template
		if !labels.SelectorFromSet(s.Spec.Selector.MatchLabels).Matches(labels.Set(pod.Labels)) {
			t.Errorf("%s does not select its pods", s.Name)
		}
		if p := pod.Spec.SecurityContext; p == nil || p.RunAsNonRoot == nil || !*p.RunAsNonRoot || p.SeccompProfile == nil || pod.Spec.AutomountServiceAccountToken == nil || *pod.Spec.AutomountServiceAccountToken {
			t.Errorf("%s: its pods may too much", s.Name)
		}
		if !slices.ContainsFunc(o.services, func(v core.Service) bool {
			return v.Name == s.Spec.ServiceName && v.Spec.ClusterIP == core.ClusterIPNone
		}) {
			t.Errorf("%s: no headless service %s", s.Name, s.Spec.ServiceName)
		}
		volumes := map[string]bool{}
		for _, v := range pod.Spec.Volumes {
			volumes[v.Name] = true
			if v.Secret != nil {
				for _, item := range v.Secret.Items {
					if v.Secret.SecretName != secret.Name || secret.StringData[item.Key] == "" {
						t.Errorf("%s wants %s of secret %s", s.Name, item.Key, v.Secret.SecretName)
					}
				}
			}
		}
		for _, v := range s.Spec.VolumeClaimTemplates {
			volumes[v.Name] = true
		}
		for _, c := range pod.Spec.Containers {
			container(t, s.Name, c, volumes, secret)
		}
	}
}

func container(t *testing.T, set string, c core.Container, volumes map[string]bool, secret core.Secret) {
	t.Helper()
	if p := c.SecurityContext; p == nil || p.AllowPrivilegeEscalation == nil || *p.AllowPrivilegeEscalation || p.ReadOnlyRootFilesystem == nil || !*p.ReadOnlyRootFilesystem || p.Capabilities == nil || !slices.Contains(p.Capabilities.Drop, "ALL") {
		t.Errorf("%s: its container may too much", set)
	}
	if c.Resources.Requests.Memory().IsZero() || c.Resources.Limits.Memory().IsZero() || c.LivenessProbe == nil || c.ReadinessProbe == nil {
		t.Errorf("%s: bounds or probes are missing", set)
	}
	if _, tag, ok := strings.Cut(c.Image, ":"); !ok || tag == "latest" {
		t.Errorf("%s: image %s names no version", set, c.Image)
	}
	for _, m := range c.VolumeMounts {
		if !volumes[m.Name] {
			t.Errorf("%s mounts %s, which is not there", set, m.Name)
		}
	}
	for _, e := range c.Env {
		if from := e.ValueFrom; from != nil && from.SecretKeyRef != nil && (from.SecretKeyRef.Name != secret.Name || secret.StringData[from.SecretKeyRef.Key] == "") {
			t.Errorf("%s wants %s of secret %s", set, from.SecretKeyRef.Key, from.SecretKeyRef.Name)
		}
	}
}

// Two nodes with names for good, more time to end than the hub takes, its own probes,
// and one of them at most away by intent.
func TestNodes(t *testing.T) {
	o := manifests(t)
	s := o.set(t, "tacet")
	if s.Spec.Replicas == nil || *s.Spec.Replicas < 2 || s.Spec.Template.Spec.TerminationGracePeriodSeconds == nil || *s.Spec.Template.Spec.TerminationGracePeriodSeconds < 15 {
		t.Errorf("replicas %v, %v s to end", s.Spec.Replicas, s.Spec.Template.Spec.TerminationGracePeriodSeconds)
	}
	c := s.Spec.Template.Spec.Containers[0]
	if !slices.ContainsFunc(c.Env, func(e core.EnvVar) bool {
		return e.Name == "TACET_NODE" && e.ValueFrom != nil && e.ValueFrom.FieldRef != nil && e.ValueFrom.FieldRef.FieldPath == "metadata.name"
	}) {
		t.Error("a node has no name of its own")
	}
	if p := c.LivenessProbe; p.HTTPGet == nil || p.HTTPGet.Path != "/healthz" {
		t.Errorf("alive is %+v", p)
	}
	if p := c.ReadinessProbe; p.Exec == nil || !slices.Equal(p.Exec.Command, []string{"/tacet", "health", "--ready"}) {
		t.Errorf("ready is %+v", p)
	}
	if len(o.budgets) != 1 || o.budgets[0].Spec.MaxUnavailable == nil || o.budgets[0].Spec.MaxUnavailable.IntValue() != 1 || !labels.SelectorFromSet(o.budgets[0].Spec.Selector.MatchLabels).Matches(labels.Set(s.Spec.Template.Labels)) {
		t.Errorf("budgets %+v", o.budgets)
	}
	r := strings.Join(o.set(t, "tacet-redis").Spec.Template.Spec.Containers[0].Args, " ")
	if !strings.Contains(r, "--appendonly yes") || !strings.Contains(r, "--maxmemory-policy noeviction") {
		t.Errorf("redis is %q", r)
	}
}

// Every service and every policy is about pods that there are, and ports that they have.
func TestNetwork(t *testing.T) {
	o := manifests(t)
	selects := func(match map[string]string) (ports map[int32]string) {
		for _, s := range o.sets {
			if len(match) > 0 && labels.SelectorFromSet(match).Matches(labels.Set(s.Spec.Template.Labels)) {
				ports = map[int32]string{}
				for _, p := range s.Spec.Template.Spec.Containers[0].Ports {
					ports[p.ContainerPort] = p.Name
				}
			}
		}
		return ports
	}
	for _, v := range o.services {
		ports := selects(v.Spec.Selector)
		for _, p := range v.Spec.Ports {
			if !slices.Contains(slicesOf(ports), p.TargetPort.StrVal) {
				t.Errorf("service %s: port %s is nobody's", v.Name, p.TargetPort.StrVal)
			}
		}
	}
	for _, n := range o.policies {
		ports := selects(n.Spec.PodSelector.MatchLabels)
		for _, in := range n.Spec.Ingress {
			for _, p := range in.Ports {
				if ports[p.Port.IntVal] == "" {
					t.Errorf("policy %s lets in to %v", n.Name, p.Port)
				}
			}
		}
		for _, out := range n.Spec.Egress {
			for _, to := range out.To {
				other := selects(to.PodSelector.MatchLabels)
				for _, p := range out.Ports {
					if other[p.Port.IntVal] == "" {
						t.Errorf("policy %s lets out to %v of %v", n.Name, p.Port, to.PodSelector.MatchLabels)
					}
				}
			}
		}
	}
	if len(o.policies) != 2 {
		t.Errorf("%d policies", len(o.policies))
	}
	url, password := o.secret(t).StringData["redis-url"], o.secret(t).StringData["redis-password"]
	if url != "redis://:"+password+"@tacet-redis:6379" {
		t.Errorf("the server's address is %s", url)
	}
}

func slicesOf(m map[int32]string) (list []string) {
	for _, v := range m {
		list = append(list, v)
	}
	return list
}
