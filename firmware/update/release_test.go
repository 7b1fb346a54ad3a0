package update

import (
	"strings"
	"testing"
	"time"
)

// Keys and releases are read as they are written; what is none is refused with
// words.
func TestKeysAndReleases(t *testing.T) {
	key := newKey(t)
	pem, err := EncodeKey(key)
	must(t, err)
	again, err := ParseKey(pem)
	if err != nil || !again.Equal(key) {
		t.Errorf("the key is read as another one, %v", err)
	}
	for _, bad := range []string{"", "x", strings.Replace(string(pem), "M", "N", 1), "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n"} {
		if _, err := ParseKey([]byte(bad)); err == nil {
			t.Errorf("%q is read as a key", bad)
		}
	}
	for _, bad := range []string{"", "AA==", "not base64", PublicText(key)[1:]} {
		if _, err := ParseKeys([]string{PublicText(key), bad}); err == nil || !strings.Contains(err.Error(), "key 2") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	m := manifestOf("v1.1.0", []byte("x"))
	r, err := ParseRelease(release(t, key, m).Encode())
	must(t, err)
	keys, err := ParseKeys([]string{PublicText(newKey(t)), PublicText(key)})
	must(t, err)
	if got, err := keys.Verify(r); err != nil || got != m {
		t.Errorf("%+v, %v, want %+v", got, err, m)
	}
	if _, err := keys[:1].Verify(r); err != ErrSignature {
		t.Errorf("another key: %v", err)
	}
	if _, err := (Keys)(nil).Verify(r); err != ErrSignature {
		t.Errorf("no key: %v", err)
	}
}

func TestManifestFaults(t *testing.T) {
	good := manifestOf("v1.1.0", []byte("x"))
	cases := []struct {
		name   string
		change func(*Manifest)
		want   string
	}{
		{"version", func(m *Manifest) { m.Version = "1.1" }, "version"},
		{"min version", func(m *Manifest) { m.MinVersion = "first" }, "min_version"},
		{"arch", func(m *Manifest) { m.Arch = "../../etc" }, "arch"},
		{"arch without processor", func(m *Manifest) { m.Arch = "linux-" }, "arch"},
		{"empty", func(m *Manifest) { m.Size = 0 }, "size"},
		{"4 GB", func(m *Manifest) { m.Size = 4 << 30 }, "size"},
		{"short sum", func(m *Manifest) { m.SHA256 = m.SHA256[2:] }, "sha256"},
		{"capital sum", func(m *Manifest) { m.SHA256 = strings.ToUpper(m.SHA256) }, "sha256"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			m := good
			c.change(&m)
			if err := m.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
			if _, err := Sign(newKey(t), m); err == nil {
				t.Error("it is signed all the same")
			}
		})
	}
	if _, err := ParseManifest(good.Encode()); err != nil {
		t.Error(err)
	}
	if _, err := ParseManifest([]byte(`{"version":"v1.1.0","unknown":1}`)); err == nil || strings.Contains(err.Error(), "unknown") {
		t.Error(err)
	}
}

// What is read from the network never panics, and what is believed was signed.
func FuzzRelease(f *testing.F) {
	key, err := NewKey()
	if err != nil {
		f.Fatal(err)
	}
	keys, err := ParseKeys([]string{PublicText(key)})
	if err != nil {
		f.Fatal(err)
	}
	m := Manifest{Version: "v1.1.0", Arch: "linux-arm64", Size: 1, SHA256: strings.Repeat("0", 64), Built: time.Unix(0, 0).UTC()}
	r, err := Sign(key, m)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(r.Encode())
	f.Add([]byte(`{"manifest":"{}","signature":"AA=="}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseRelease(b)
		if err != nil {
			return
		}
		if got, err := keys.Verify(r); err == nil && got != m {
			t.Errorf("%q is believed", b)
		}
	})
}
