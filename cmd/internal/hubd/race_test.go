//go:build race

package hubd

// manyTopics is fewer under the race detector, twice what the hub keeps track of: more of
// them takes a minute, and shows nothing more of races.
const manyTopics = 20_000
