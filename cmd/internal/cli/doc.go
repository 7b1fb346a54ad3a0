// Package cli has the operator's commands of tacet: say, stop, queue, area,
// device, schedule, order, token, user, update, backup, restore, config and version.
// All but restore, config, version, and user hash, speak to a running hub over its
// REST API; backup and update may do without one.
//
// # Concepts
//
// [Add] puts the commands below a root command, [Execute] runs it and answers
// the exit code: 0 for done, 1 for failed, 2 for wrong usage, 3 where the hub
// cannot be reached, 4 where it refused. An error is one line "tacet: CODE:
// detail" on standard error.
//
// The hub is that of --url, else of TACET_URL, else the one that wrote
// ready.json into --data, else http://127.0.0.1:8080. The token is in the file
// of --token-file, else in TACET_TOKEN. A hub whose certificate is of a private
// authority is known by --ca-file, else by TACET_CA_FILE.
//
// A list is a table with its header first; --json prints the hub's answer as it
// is. A command that makes a secret (device enrol, token create, user login, user hash)
// prints it alone on standard output, so that a script can take it. A password is
// asked for on the terminal, on standard error and without echo, or comes by
// standard input where --stdin says so.
//
// # What it does not do
//
// It keeps nothing, and starts no hub.
package cli
