// Package conf reads the configuration of tacet and tacet-device: a YAML file,
// the environment and flags, in that rising order of rank. No other package
// reads them.
//
// # Concepts
//
// A configuration is a plain struct whose fields carry yaml (or json) tags; it
// is filled with its defaults first. [LoadYAML] lays a file over it,
// [OverlayEnv] the environment: the variable of a key is a prefix and the key's
// path in capitals, joined by "_" (http.admin_addr is TACET_HTTP_ADMIN_ADDR).
// Lists replace, they never merge. A key that the struct does not know is
// refused with its file, its line and the nearest known key.
//
// [Faults] is the error of all of them: everything that is wrong at once, each
// with where it was written, which [Origins] remembers for later checks.
//
// [Config] is the whole of tacet.yaml. [Load] reads it and [Config.Validate]
// checks it; [Check] reads the certificates too, as a start would. What a running
// hub does not take of another one [Config.NeedStart] tells. What this version
// cannot do is refused by name, never ignored.
//
// Secrets are not in a configuration: it names the files that hold them, and
// [Secret] reads one.
//
// # What it does not do
//
// It starts nothing, keeps nothing and watches nothing; reading again is the
// caller's decision.
package conf
