package audio

import (
	"errors"
	"strings"
	"testing"
	"testing/fstest"
)

// pi is what a Raspberry Pi 4 with a USB card has.
var pi = fstest.MapFS{
	"cards": {Data: []byte(` 0 [vc4hdmi0       ]: vc4-hdmi - vc4-hdmi-0
                      vc4-hdmi-0
 1 [Headphones     ]: bcm2835_headpho - bcm2835 Headphones
                      bcm2835 Headphones
 2 [Device         ]: USB-Audio - USB Audio Device
                      C-Media Electronics Inc. USB Audio Device at usb-0000:01:00.0-1.3, full speed
 3 [sndrpihifiberry]: RPi-simple - snd_rpi_hifiberry_dac
                      snd_rpi_hifiberry_dac
 4 [Mic            ]: USB-Audio - USB Mic
                      Some Mic at usb-0000:01:00.0-1.4, full speed
`)},
	"pcm": {Data: []byte(`00-00: MAI PCM i2s-hifi-0 : MAI PCM i2s-hifi-0 : playback 1
01-00: bcm2835 Headphones : bcm2835 Headphones : playback 8
02-00: USB Audio : USB Audio : playback 1 : capture 1
02-01: USB Audio : USB Audio #1 : playback 1
03-00: HifiBerry DAC HiFi pcm5102a-hifi-0 : HifiBerry DAC HiFi pcm5102a-hifi-0 : playback 1
04-00: USB Audio : USB Audio : capture 1
`)},
}

func TestFindCards(t *testing.T) {
	cards, err := Cards(pi)
	if err != nil || len(cards) != 5 {
		t.Fatalf("%d cards, %v", len(cards), err)
	}
	cases := []struct {
		name    string
		capture bool
		want    string // paths, or part of the error
	}{
		{"", false, "/dev/snd/pcmC2D0p /dev/snd/pcmC3D0p /dev/snd/pcmC1D0p /dev/snd/pcmC0D0p"},
		{"", true, "/dev/snd/pcmC2D0c /dev/snd/pcmC4D0c"},
		{"Headphones", false, "/dev/snd/pcmC1D0p"},
		{"2", false, "/dev/snd/pcmC2D0p"},
		{"hw:2,1", false, "/dev/snd/pcmC2D1p"},
		{"plughw:CARD=sndrpihifiberry,DEV=0", false, "/dev/snd/pcmC3D0p"},
		{"hw:Device", true, "/dev/snd/pcmC2D0c"},
		{"/dev/snd/pcmC2D1p", false, "/dev/snd/pcmC2D1p"},
		{"Mic", false, "no such device"},
		{"hw:2,7", false, "no such device"},
		{"Nothere", false, `no card "Nothere", but vc4hdmi0, Headphones, Device`},
		{"default", false, "for output aplay"},
		{"dmix:CARD=x", false, "for output aplay"},
		{"../../etc/passwd", false, "for output aplay"},
	}
	for _, c := range cases {
		list, err := find(cards, c.name, c.capture)
		var paths []string
		for _, a := range list {
			paths = append(paths, a.path())
		}
		if got := strings.Join(paths, " "); err == nil && got != c.want || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %q, %v, want %q", c.name, got, err, c.want)
		}
	}
	if _, err := find(cards, "default", false); !errors.Is(err, errForeign) {
		t.Errorf("default: %v", err)
	}
	if _, err := find(nil, "", false); err == nil || !strings.Contains(err.Error(), "no sound card") {
		t.Errorf("no card: %v", err)
	}
}
