package deviced

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const documented = "../../../configs/device.yaml"

// Every key that is known stands in configs/device.yaml, below its section.
func TestEveryKeyIsDocumented(t *testing.T) {
	b, err := os.ReadFile(documented)
	if err != nil {
		t.Fatal(err)
	}
	top := regexp.MustCompile(`(?m)^(# )?([a-z_]+):`)
	found := top.FindAllStringSubmatchIndex(string(b), -1)
	sections := map[string]string{}
	for i, at := range found {
		end := len(b)
		if i+1 < len(found) {
			end = found[i+1][0]
		}
		sections[string(b[at[4]:at[5]])] = string(b[at[1]:end])
	}
	for _, key := range keysOf(reflect.TypeFor[Config]()) {
		section, rest, _ := strings.Cut(key, ".")
		text, ok := sections[section]
		if rest != "" {
			last := rest[strings.LastIndex(rest, ".")+1:]
			ok = ok && regexp.MustCompile(`\b`+last+`:`).MatchString(text)
		}
		if !ok {
			t.Errorf("%s does not say what %s is", filepath.Base(documented), key)
		}
	}
}

// keysOf is the keys of a type's fields and of what is in them, with dots.
func keysOf(t reflect.Type) (keys []string) {
	for f := range t.Fields() {
		key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if key == "" || key == "-" {
			continue
		}
		keys = append(keys, key)
		in := f.Type
		if in.Kind() == reflect.Slice {
			in = in.Elem()
		}
		if in.Kind() == reflect.Struct {
			for _, k := range keysOf(in) {
				keys = append(keys, key+"."+k)
			}
		}
	}
	return keys
}

// The sensors that configs/device.yaml has as examples can be loaded.
func TestDocumentedSensors(t *testing.T) {
	b, err := os.ReadFile(documented)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(strings.Replace(string(b), "sensors: []", "sensors:", 1), "\n#  - {", "\n  - {")
	file := filepath.Join(t.TempDir(), "device.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, _, err := Load(file, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	var drivers []string
	for _, s := range c.Sensors {
		drivers = append(drivers, s.Driver)
	}
	if want := []string{"bme280", "ds18b20", "noise", "cpu", "supply"}; !slices.Equal(drivers, want) {
		t.Errorf("drivers %q, want %q", drivers, want)
	}
}
