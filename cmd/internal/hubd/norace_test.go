//go:build !race

package hubd

// manyTopics is how many one sensor makes up.
const manyTopics = 100_000
