package signalr

import (
	"fmt"
	"time"
)

// Principal is on whose behalf a client is connected.
type Principal struct {
	// Name of the user or device; empty is anonymous.
	Name string
	// Roles of the user; must not be changed.
	Roles []string
	// Claims as the authentication gave them; must not be changed.
	Claims map[string]any
	// Expires is when what proves it (a token) is too old; zero is never. A
	// connection whose client shows nothing newer by then is closed.
	Expires time.Time
}

func (p Principal) anonymous() bool { return p.Name == "" && len(p.Claims) == 0 }

// claim gives the values of a claim as text.
func (p Principal) claim(name string) []string {
	switch v := p.Claims[name].(type) {
	case nil:
		return nil
	case string:
		return []string{v}
	case []string:
		return v
	case []any:
		list := make([]string, len(v))
		for i, e := range v {
			list[i] = fmt.Sprint(e)
		}
		return list
	default:
		return []string{fmt.Sprint(v)}
	}
}

// user is the id of the user: the chosen claim, or the name.
func (p Principal) user(claim string) string {
	if claim == "" {
		return p.Name
	}
	if has := p.claim(claim); len(has) > 0 {
		return has[0]
	}
	return ""
}
