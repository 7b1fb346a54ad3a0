package share

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// scheme is that of the header Authorization: "Tacet-Area DEVICE NUMBER MAC".
const scheme = "Tacet-Area"

// macOf is what only who has the key of the area can make of a request: who asks
// whom for what, with a number of the asked one.
func macOf(key []byte, in area.Name, from, to area.DeviceID, method, path, number string) string {
	return sign(key, "tacet", "clips", string(in), string(from), string(to), method, path, number)
}

func sign(key []byte, texts ...string) string {
	h := hmac.New(sha256.New, key)
	for _, t := range texts {
		h.Write(binary.BigEndian.AppendUint16(nil, uint16(len(t)))) // a hash has no error
		h.Write([]byte(t))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// authorization is the value of the header.
func authorization(from area.DeviceID, number, mac string) string {
	return strings.Join([]string{scheme, string(from), number, mac}, " ")
}

// numbers makes numbers that are good for a minute or two, and keeps none of
// them: each is its minute with what only the maker can make of it.
type numbers struct {
	secret []byte
	began  time.Time
}

func newNumbers() numbers {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // it never fails
	return numbers{secret: secret, began: time.Now()}
}

func (n numbers) minute() int64 { return int64(time.Since(n.began) / time.Minute) }

func (n numbers) of(minute int64) string {
	m := strconv.FormatInt(minute, 10)
	return m + "-" + sign(n.secret, m)[:32]
}

// next is a number to be asked with.
func (n numbers) next() string { return n.of(n.minute()) }

// good tells whether it is one of ours, and fresh.
func (n numbers) good(number string) bool {
	now := n.minute()
	return hmac.Equal([]byte(number), []byte(n.of(now))) || hmac.Equal([]byte(number), []byte(n.of(now-1)))
}
