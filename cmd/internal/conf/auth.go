package conf

import "github.com/tacet-hub/tacet/broker/auth"

// Auth says who may come in. Where nothing of it is set the hub runs open:
// everybody may do everything, and it listens on loopback alone.
type Auth struct {
	JWT     []JWT       `yaml:"jwt"`     // issuers whose tokens are believed
	OIDC    OIDC        `yaml:"oidc"`    // not supported in this version
	Users   []User      `yaml:"users"`   // people: dashboard, command line, REST
	Devices []Principal `yaml:"devices"` // devices that were not enrolled but written down
}

// JWT is one issuer of tokens. Exactly one of PublicKeyFile, JWKSURL and
// HMACSecretFile is set.
type JWT struct {
	Issuer         string   `yaml:"issuer"`           // its iss, to the letter; needed, and no other's
	Audience       string   `yaml:"audience"`         // that aud must have; default tacet
	Algorithms     []string `yaml:"algorithms"`       // the only ones taken; default RS256, with a secret HS256
	PublicKeyFile  string   `yaml:"public_key_file"`  // PEM
	JWKSURL        string   `yaml:"jwks_url"`         // https, or http on loopback
	HMACSecretFile string   `yaml:"hmac_secret_file"` // the secret: 32 random bytes or more
	TenantClaim    string   `yaml:"tenant_claim"`     // default tenant_id
	RoleClaim      string   `yaml:"role_claim"`       // a text or a list; default roles
	UserClaim      string   `yaml:"user_claim"`       // the name; default sub
	Attributes     []string `yaml:"attributes"`       // claims that become attributes of hub connections; default none
}

// SetDefaults fills an issuer that the file begins to describe.
func (j *JWT) SetDefaults() {
	*j = JWT{Audience: "tacet", TenantClaim: "tenant_id", RoleClaim: "roles", UserClaim: "sub"}
}

// OIDC is the sign-in of the dashboard. Not supported in this version.
type OIDC struct {
	Issuer           string `yaml:"issuer"`
	ClientID         string `yaml:"client_id"`
	ClientSecretFile string `yaml:"client_secret_file"`
	RoleClaim        string `yaml:"role_claim"`
	TenantClaim      string `yaml:"tenant_claim"`
}

// User is a person.
type User struct {
	Name         string   `yaml:"name"`          // 1 to 64 of A-Z a-z 0-9 _ . @ -, the first a letter or digit; unique over users and devices
	PasswordHash string   `yaml:"password_hash"` // argon2id, as "tacet user hash" prints it
	Roles        []string `yaml:"roles"`         // viewer, announcer, operator, admin; others are only names of groups; default none
	Tenant       string   `yaml:"tenant"`        // default "default"
	Areas        []string `yaml:"areas"`         // ids of areas in which the roles count; default "*": all
}

// SetDefaults fills a user whom the file begins to describe.
func (u *User) SetDefaults() { *u = User{Tenant: auth.DefaultTenant, Areas: []string{auth.AllAreas}} }

// Principal is a device that signs in over MQTT. Its client id must be its name,
// or its name, a colon and anything.
type Principal struct {
	Name         string   `yaml:"name"`          // its id; unique over users and devices
	PasswordHash string   `yaml:"password_hash"` // argon2id, as "tacet user hash" prints it; empty: it comes with a certificate
	Area         string   `yaml:"area"`          // id of the area that it is in; empty: it has none, and its own topics alone
	Tenant       string   `yaml:"tenant"`        // default "default"
	Publish      []string `yaml:"publish"`       // topic filters beside its own branch, the first that fits decides; "!" before one denies; default none
	Subscribe    []string `yaml:"subscribe"`     // the same for reading
}

// SetDefaults fills a device that the file begins to describe.
func (p *Principal) SetDefaults() { *p = Principal{Tenant: auth.DefaultTenant} }
