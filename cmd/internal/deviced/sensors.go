package deviced

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/drivers/audio"
	"github.com/tacet-hub/tacet/drivers/sensor"
	"github.com/tacet-hub/tacet/firmware"
)

// config is the sensor's own configuration.
func (s Sensor) config() sensor.Config {
	return sensor.Config{Driver: s.Driver, Name: s.Name, Bus: s.Bus, Address: s.Address, ID: s.ID, Card: s.Card, Calibration: s.Calibration, Every: time.Duration(s.Every)}
}

func (c Config) sensors() (list []sensor.Config) {
	for _, s := range c.Sensors {
		list = append(list, s.config())
	}
	return list
}

func (f FollowNoise) curve() firmware.NoiseCurve {
	return firmware.NoiseCurve{Quiet: f.Quiet, Loud: f.Loud, Boost: f.Boost}
}

// sensorFaults tells everything that is wrong with sensors, by key.
func (c Config) sensorFaults() (faults []sensor.Fault) {
	for _, f := range sensor.Faults(c.sensors()) {
		faults = append(faults, sensor.Fault{Key: "sensors" + f.Key, Text: f.Text})
	}
	if err := c.Audio.FollowNoise.curve().Validate(); err != nil {
		faults = append(faults, sensor.Fault{Key: "audio.follow_noise", Text: err.Error()})
	}
	listens := false
	for _, s := range c.Sensors {
		listens = listens || s.Driver == "noise"
	}
	if c.Audio.FollowNoise.Boost > 0 && !listens {
		faults = append(faults, sensor.Fault{Key: "audio.follow_noise", Text: "there is no sensor of driver noise"})
	}
	return faults
}

// microphone opens one by the kernel's interface.
func microphone(card string, rate int) (sensor.Microphone, error) {
	return audio.NewCapture(card, rate)
}

// senses is the sensors of a device, and what it makes of them.
type senses struct {
	all   *sensor.Sensors
	agent *firmware.Agent
	log   *slog.Logger
}

// newSenses makes the sensors, for agent; a simulated device has none, nor one in
// safe mode.
func newSenses(cfg Config, safe bool, agent *firmware.Agent, log *slog.Logger) (*senses, error) {
	s := &senses{agent: agent, log: log}
	list := cfg.sensors()
	if cfg.Sim || safe {
		list = nil
	}
	return s, s.take(list, sensor.Parts{Microphone: microphone})
}

func (s *senses) take(list []sensor.Config, parts sensor.Parts) (err error) {
	s.all, err = sensor.New(list, parts, s.heard)
	return err
}

// heard is called by the goroutines of the sensors; it only enqueues.
func (s *senses) heard(r sensor.Report) {
	topic := func(metric string) string {
		if r.Name == "" {
			return metric
		}
		return r.Name + "/" + metric
	}
	if r.Err != nil {
		if !r.Again {
			s.log.Error("sensor cannot be used", "who", r.Sensor, "err", r.Err)
		}
		for _, m := range r.Metrics {
			s.agent.Measured(topic(m), firmware.Unmeasured)
		}
		return
	}
	for _, v := range r.Values {
		if v.Metric == sensor.MetricNoise {
			s.agent.Noise(v.Number, firmware.Boottime{}.Now()-sensor.NoiseTime)
		}
		s.agent.Measured(topic(v.Metric), v.String())
	}
}

// gaugeSenses tells of the machine, and of the sensors that do not work. The
// machine of a simulated device is not its own.
func (d *Device) gaugeSenses(h *area.Health) {
	if d.board != nil {
		return
	}
	if t, ok := sensor.CPUTemperature(""); ok {
		h.TemperatureC = &t
	}
	if weak, ok := sensor.UnderVoltage(""); ok {
		h.UnderVoltage = &weak
	}
	if d.senses == nil {
		return
	}
	for name, text := range d.senses.all.Faults() {
		h.Faults["sensor "+name] = text
	}
}

// beside runs the sensors while run runs.
func (s *senses) beside(ctx context.Context, run func(context.Context) error) error {
	own, stop := context.WithCancel(ctx)
	var work sync.WaitGroup
	var err error
	work.Go(func() { err = s.all.Run(own) })
	failed := run(ctx)
	stop()
	work.Wait()
	return errors.Join(failed, err)
}

// checkSensors measures once by each sensor.
func checkSensors(ctx context.Context, cfg Config) (found []Finding) {
	if cfg.Sim {
		return nil
	}
	for i, c := range cfg.sensors() {
		f := Finding{Part: "sensor", Text: fmt.Sprintf("sensors[%d] %s: ", i, c.Driver)}
		values, err := sensor.Measure(ctx, c, sensor.Parts{Microphone: microphone})
		if f.OK = err == nil; !f.OK {
			f.Text += err.Error()
		}
		for n, v := range values {
			if n > 0 {
				f.Text += ", "
			}
			f.Text += v.Metric + " " + v.String()
		}
		found = append(found, f)
	}
	return found
}
