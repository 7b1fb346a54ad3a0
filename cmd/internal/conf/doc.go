// Package conf is the configuration of tacet: a YAML file, the environment and
// flags, in that rising order of rank. How they are read is package settings'.
//
// # Concepts
//
// [Config] is the whole of tacet.yaml. [Load] reads it and [Config.Validate]
// checks it; [Check] reads the certificates too, as a start would. What a running
// hub does not take of another one [Config.NeedStart] tells. What this version
// cannot do is refused by name, never ignored.
//
// Secrets are not in a configuration: it names the files that hold them.
//
// # What it does not do
//
// It starts nothing, keeps nothing and watches nothing; reading again is the
// caller's decision.
package conf
