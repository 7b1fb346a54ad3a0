package signalr

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Access is what a client wants to do: to connect when neither Method nor Group
// is set, to call a method, or to become a member of a group.
type Access struct {
	// Who wants it.
	Who Principal
	// Conn is the connection; nil when it does not exist yet.
	Conn *Conn
	// Method is the name of the method as the client wrote it.
	Method string
	// Group is the name of the group.
	Group string

	policies map[string]Requirement
}

// Requirement says whether somebody may do something: nil when he may. It must
// be quick and safe for concurrent use. The error is logged, not shown.
type Requirement func(Access) error

var (
	errUnknown   = errors.New("nobody knows who it is") // 401: a token may help
	errAnonymous = fmt.Errorf("%w: nobody knows who it is", ErrForbidden)
	errRole      = fmt.Errorf("%w: role missing", ErrForbidden)
	errClaim     = fmt.Errorf("%w: claim missing", ErrForbidden)
)

// RequireUser is met by everybody who is not anonymous.
func RequireUser() Requirement {
	return func(a Access) error {
		if a.Who.anonymous() {
			return errAnonymous
		}
		return nil
	}
}

// RequireRole is met by who has at least one of the roles.
func RequireRole(roles ...string) Requirement {
	return func(a Access) error {
		for _, role := range roles {
			if slices.Contains(a.Who.Roles, role) {
				return nil
			}
		}
		return errRole
	}
}

// RequireClaim is met by who has the claim: with one of the values, if any are
// given. A claim that is a list needs one of them.
func RequireClaim(name string, values ...string) Requirement {
	return func(a Access) error {
		has := a.Who.claim(name)
		if len(has) > 0 && (len(values) == 0 || slices.ContainsFunc(has, func(v string) bool { return slices.Contains(values, v) })) {
			return nil
		}
		return errClaim
	}
}

// RequireAll is a policy: it is met by who meets each of the requirements.
func RequireAll(all ...Requirement) Requirement {
	return func(a Access) error {
		for _, r := range all {
			if err := r(a); err != nil {
				return err
			}
		}
		return nil
	}
}

// RequireAny is met by who meets at least one of the requirements.
func RequireAny(some ...Requirement) Requirement {
	return func(a Access) error {
		errs := []error{ErrForbidden}
		for _, r := range some {
			err := r(a)
			if err == nil {
				return nil
			}
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	}
}

// RequirePolicy is met by who meets the policy that [Config.Policies] has under
// that name; by nobody when it has none.
func RequirePolicy(name string) Requirement {
	return func(a Access) error {
		policy := a.policies[name]
		if policy == nil {
			return fmt.Errorf("%w: no policy %s", ErrForbidden, name)
		}
		return policy(a)
	}
}

// admits says whether somebody may connect at all.
func (s *Server) admits(who Principal) error {
	err := RequireAll(s.cfg.Require...)(Access{Who: who, policies: s.cfg.Policies})
	if err == nil {
		return nil
	}
	s.count.denied.Add(1)
	if who.anonymous() {
		return errUnknown
	}
	return fmt.Errorf("%w: %w", ErrForbidden, err)
}

// permit says whether the client meets all requirements.
func (c *Conn) permit(require []Requirement, a Access) error {
	if len(require) == 0 {
		return nil
	}
	a.Conn, a.Who, a.policies = c, c.Principal(), c.s.cfg.Policies
	err := RequireAll(require...)(a)
	if err != nil {
		c.s.count.denied.Add(1)
		c.s.log.Info("access denied", "conn", c.id, "group", a.Group, "err", fmt.Errorf("%s: %w", a.Method, err))
	}
	return err
}

// groupRule is what members of certain groups must meet.
type groupRule struct {
	prefix  string
	require []Requirement
}

// RequireForGroups sets what a connection must meet to become a member of a
// group whose name begins with prefix: otherwise [Conn.Join] fails with
// [ErrForbidden]. Rules of several prefixes add up. Before serving only.
func (s *Server) RequireForGroups(prefix string, require ...Requirement) {
	s.groupRules = append(s.groupRules, groupRule{prefix, require})
}

// permitGroup says whether the client may become a member of a group.
func (c *Conn) permitGroup(name string) error {
	for _, rule := range c.s.groupRules {
		if !strings.HasPrefix(name, rule.prefix) {
			continue
		}
		if c.permit(rule.require, Access{Group: name}) != nil {
			return ErrForbidden
		}
	}
	return nil
}
