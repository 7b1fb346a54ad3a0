package api

import (
	"net/http"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
)

var tokenRoutes = []route{
	{http.MethodGet, "/tokens", auth.Admin, (*API).listTokens},
	{http.MethodPost, "/tokens", auth.Admin, (*API).createToken},
	{http.MethodDelete, "/tokens/{token}", auth.Admin, (*API).deleteToken},
}

// token is a token as it is shown.
type token struct {
	Name      string     `json:"name"`
	Tenant    string     `json:"tenant"`
	Roles     []string   `json:"roles"`
	Areas     []string   `json:"areas"`
	CreatedAt area.Time  `json:"created_at"`
	CreatedBy string     `json:"created_by"`
	ExpiresAt *area.Time `json:"expires_at"`
}

// newToken is a token with what it is shown by, this once.
type newToken struct {
	token
	Token string `json:"token"`
}

func tokenOf(t auth.Token) token {
	out := token{Name: t.Name, Tenant: t.Tenant, Roles: append([]string{}, t.Roles...), Areas: append([]string{}, t.Areas...), CreatedAt: area.At(t.Created), CreatedBy: t.By}
	if !t.Expires.IsZero() {
		at := area.At(t.Expires)
		out.ExpiresAt = &at
	}
	return out
}

func (a *API) listTokens(c *call) (answer, error) {
	var all []token
	for _, t := range a.Credentials.Tokens(c.who.Tenant) {
		all = append(all, tokenOf(t))
	}
	return page(c, all, func(t *token) string { return t.Name })
}

// maxTokenLife is the longest that a token may be asked to live.
const maxTokenLife = 10 * 366 * 24 * time.Hour

// createToken makes a token of the caller's tenant.
func (a *API) createToken(c *call) (answer, error) {
	var b struct {
		Name    string         `json:"name"`
		Roles   []string       `json:"roles"`
		Areas   []string       `json:"areas"`
		Expires *area.Duration `json:"expires"`
	}
	if err := c.decode(&b); err != nil {
		return answer{}, err
	}
	t := auth.Token{Name: b.Name, Tenant: c.who.Tenant, Roles: b.Roles, Areas: b.Areas, Created: a.cfg.Now(), By: c.caller()}
	if b.Areas == nil {
		t.Areas = []string{auth.AllAreas}
	}
	if b.Expires != nil {
		life := time.Duration(*b.Expires)
		if life < time.Second || life > maxTokenLife {
			return answer{}, area.InvalidField("expires", "not 1s to %s", area.Duration(maxTokenLife))
		}
		t.Expires = t.Created.Add(life)
	}
	secret, err := a.Credentials.CreateToken(c.Context(), t)
	if err != nil {
		return answer{}, err
	}
	a.count.tokensMade.Add(1)
	a.log.Info("token made", "conn", c.RemoteAddr, "rule", t.Name, "who", c.caller())
	return answer{status: http.StatusCreated, body: newToken{tokenOf(t), secret}, location: "/tokens/" + t.Name}, nil
}

func (a *API) deleteToken(c *call) (answer, error) {
	name := c.PathValue("token")
	if err := a.Credentials.DeleteToken(c.Context(), c.who.Tenant, name); err != nil {
		return answer{}, err
	}
	a.count.tokensDeleted.Add(1)
	a.log.Info("token taken back", "conn", c.RemoteAddr, "rule", name, "who", c.caller())
	return nothing()
}
