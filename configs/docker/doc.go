// Package docker has no code: its tests read what runs in containers (the Dockerfile
// here, configs/compose, configs/kubernetes) with the parsers of those who will, run the
// Dockerfile's build, and start what it makes in an empty root.
package docker
