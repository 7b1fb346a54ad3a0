# `make` prints what there is.

.DEFAULT_GOAL := help
commands := $(wildcard cmd/tacet*)

.PHONY: help
help: ## print this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: test
test: ## install what the tests need and run all of them (under 20 minutes)
	@.ci/test

RUNG ?=
.PHONY: test-hardware
test-hardware: ## climb the hardware ladder without hardware, or RUNG=3 alone
	@go run ./cmd/internal/rungs/climb $(RUNG)

.PHONY: test-networks
test-networks: ## one voice on real networks, with faults as long as in the field (10 minutes, root)
	go test ./cmd/internal/e2e/nets -count=5 -timeout 60m -v -nets.long

.PHONY: test-outage
test-outage: ## two nodes while the server between them is away for 30 s, three times (3 minutes)
	go test ./cmd/internal/e2e -run TestServerAway -count=1 -timeout 10m -v -outage 30s

.PHONY: test-kills
test-kills: ## kill the node that has an area 100 times, with devices that play (30 minutes)
	go test ./cmd/internal/e2e -run TestTheOwnerIsKilled -count=1 -timeout 90m -v -kills 100

.PHONY: quick
quick: ## format, vet and the tests of Go, with what is installed
	@test -z "$$(go list -f '{{.Dir}}' ./... | xargs gofmt -l | tee /dev/stderr)"
	go vet ./...
	go test ./...

VERSION ?=
stamp = $(if $(VERSION),-X github.com/tacet-hub/tacet/cmd/internal/release.stamp=tacet-release:v$(patsubst v%,%,$(VERSION)):)
.PHONY: build
build: ## build the programs into bin/: make build, or make build VERSION=1.2.3
	@mkdir -p bin
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w $(stamp)' -o bin/ $(addprefix ./,$(commands))

SEED ?= 1
.PHONY: simulate
simulate: ## simulate 10^7 hand-overs (an hour), for a night; SEED=1000000 begins at other seeds
	go test ./broker/arbiter -run '^TestSimulation$$' -v -timeout 6h -sim.handovers 6000000 -sim.first $(SEED)
	go test ./broker/arbiter -run TestSimulationOfNodes -v -timeout 2h -nodes.handovers 200000 -nodes.first $(SEED)
	go test ./cmd/internal/simulation -run TestSimulation -v -timeout 6h -sim.handovers 4000000 -sim.first $(SEED)

ARGS ?=
.PHONY: image
image: ## write the image of an SD card: make image VERSION=1.2.3 ARGS="--hub http://hub:8080 --code CODE -o sd.img"
	@mkdir -p bin
	cd configs/image && go build -trimpath -o ../../bin/tacet-image .
	bin/tacet-image $(if $(VERSION),--version $(VERSION)) $(ARGS)

.PHONY: deb
deb: ## build the Debian packages into bin/: make deb VERSION=1.2.3
	cd configs/deb && go run . $(if $(VERSION),--version $(VERSION)) --out ../../bin

.PHONY: demo
demo: ## run the simulated site; prints the dashboard's address
	go run ./cmd/tacet demo

.PHONY: demo-cluster
demo-cluster: ## run the simulated site on two nodes, with redis-server and nginx; kill one and look
	go run ./cmd/tacet demo --nodes 2

.PHONY: dashboard
dashboard: ## build the dashboard into bridge/dashboard/dist
	cd bridge/dashboard && npm ci --no-audit --no-fund && npm run build

FUZZTIME ?= 5m
.PHONY: fuzz
fuzz: ## fuzz each target for 5 minutes, or FUZZTIME
	@.ci/fuzz $(FUZZTIME)

.PHONY: clean
clean: ## remove what was built
	rm -rf bin
