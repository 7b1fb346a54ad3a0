package api

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
)

var topicRoutes = []route{
	{http.MethodGet, "/topics", auth.Read, (*API).listTopics},
	{http.MethodPost, "/topics", auth.Operate, (*API).publishTopic},
	{http.MethodDelete, "/topics", auth.Operate, (*API).clearTopics},
}

const (
	mostTopics = 100_000 // that one request looks at
	mostBatch  = 100     // that are cleared at once
	maxTopic   = 65535   // bytes [MQTT-4.7.3-3]
)

func (q *query) filter(unset string) string {
	f := q.text("filter")
	if f == "" {
		f = unset
	}
	if !area.ValidFilter(f) {
		q.fault("filter", "not a topic filter")
	}
	return f
}

func (a *API) listTopics(c *call) (answer, error) {
	q := c.query()
	filter := q.filter("#")
	if err := q.err(); err != nil {
		return answer{}, err
	}
	all, missing, err := a.Topics.Topics(c.Context(), filter)
	if err != nil {
		return answer{}, err
	}
	may := c.topics()
	all = slices.DeleteFunc(slices.Clone(all), func(t area.TopicValue) bool { return !may.read(t.Topic) })
	out, err := listOf(c, all, func(t *area.TopicValue) string { return t.Topic })
	if err != nil {
		return answer{}, err
	}
	return ok(parted[area.TopicValue]{out, missing})
}

// topicBody is the body of a publish. A text is sent as it is, {"base64":"…"}
// as its bytes, null as nothing, other JSON as JSON.
type topicBody struct {
	Topic   string          `json:"topic"`
	Payload json.RawMessage `json:"payload"`
	QoS     int             `json:"qos"`
	Retain  bool            `json:"retain"`
}

func (a *API) publishTopic(c *call) (answer, error) {
	var b topicBody
	if err := c.decode(&b); err != nil {
		return answer{}, err
	}
	m, err := b.message()
	if err != nil {
		return answer{}, err
	}
	if !c.topics().write(m.Topic) {
		return answer{}, area.Errorf(area.CodeForbidden, "%s may not write %.200s", c.who.Name, m.Topic)
	}
	if err := a.Topics.Publish(c.Context(), m); err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusAccepted, body: struct {
		Topic string `json:"topic"`
	}{m.Topic}}, nil
}

func (b topicBody) message() (area.Message, error) {
	var bad []area.FieldError
	fault := func(field, message string) { bad = append(bad, area.FieldError{Field: field, Message: message}) }
	if b.Topic == "" || len(b.Topic) > maxTopic || strings.ContainsAny(b.Topic, "+#\x00") || !utf8.ValidString(b.Topic) {
		fault("topic", "not 1 to 65535 bytes of UTF-8 without +, # and zero")
	}
	if b.QoS < 0 || b.QoS > 2 {
		fault("qos", "not 0 to 2")
	}
	m := area.Message{Topic: b.Topic, QoS: byte(b.QoS), Retain: b.Retain, From: area.FromHub}
	var err error
	if m.Payload, err = payloadOf(b.Payload); err != nil {
		fault("payload", err.Error())
	}
	if area.ParseTopic(b.Topic).Kind == area.KindSubmit {
		fault("topic", "orders are posted to "+Prefix+"/orders")
	}
	if err := invalid(bad); err != nil {
		return m, err
	}
	if area.HubOnly(b.Topic) {
		return m, area.Errorf(area.CodeForbidden, "the hub alone writes %s", b.Topic)
	}
	return m, nil
}

type payloadFault string

func (f payloadFault) Error() string { return string(f) }

func payloadOf(raw json.RawMessage) ([]byte, error) {
	if raw == nil {
		return nil, payloadFault("needed; null sends nothing")
	}
	switch raw[0] {
	case 'n':
		return nil, nil
	case '"':
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return nil, payloadFault("not a text")
		}
		return []byte(s), nil
	case '{':
		var keys map[string]json.RawMessage
		if err := json.Unmarshal(raw, &keys); err != nil || len(keys) != 1 || keys["base64"] == nil {
			return raw, nil
		}
		var b []byte
		if err := json.Unmarshal(keys["base64"], &b); err != nil {
			return nil, payloadFault("base64 cannot be read")
		}
		return b, nil
	}
	return raw, nil
}

// cleared is the answer to a clear.
type cleared struct {
	Cleared int      `json:"cleared"`
	Topics  []string `json:"topics"`
}

// clearTopics removes retained messages; those that the caller may not write
// stay.
func (a *API) clearTopics(c *call) (answer, error) {
	q := c.query()
	filter, dry := q.filter(""), q.flag("dry_run", false)
	if err := q.err(); err != nil {
		return answer{}, err
	}
	out := cleared{Topics: []string{}}
	var batch []area.Message
	may := c.topics()
	for _, m := range a.Topics.Retained(filter, mostTopics) {
		if area.HubOnly(m.Topic) || !may.write(m.Topic) {
			continue
		}
		out.Topics = append(out.Topics, m.Topic)
		batch = append(batch, area.Message{Topic: m.Topic, QoS: 1, Retain: true, From: area.FromHub})
	}
	out.Cleared = len(out.Topics)
	for len(batch) > 0 && !dry {
		n := min(len(batch), mostBatch)
		if err := a.Topics.Publish(c.Context(), batch[:n]...); err != nil {
			return answer{}, err
		}
		batch = batch[n:]
	}
	return ok(out)
}
