# Toposcope. "make help" lists what can be made; "make run" and "make test" are all that most people need.

# slicelabels: Thanos and Prometheus share label values without copies only under this tag; see ARCHITECTURE.md.
# nomsgpack: gin without a codec that nothing here speaks; 6 MB of the program, and the pages of it that would be resident.
TAGS := slicelabels,nomsgpack
export GOFLAGS := -tags=$(TAGS) -buildvcs=false
export CGO_ENABLED := 0

VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
REVISION := $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
LDFLAGS  := -s -w \
	-X github.com/prometheus/common/version.Version=$(VERSION) \
	-X github.com/prometheus/common/version.Revision=$(REVISION)

# The modules of this repository: the program, the demo, and what only tests need.
MODULES := . demo test

# Packages tested with -race: ours, without those that link the Prometheus server. What captures on this host is tested apart and alone:
# it waits for what happens, and that takes its time on a busy machine.
RACE := ./collector/event/... ./collector/packet/... ./collector/replay/... ./collector/ring/... ./protocol/... ./labeler/... ./topology/...
CAPTURE := ./collector/probe/...

# How long each fuzz target runs in "make test".
FUZZTIME ?= 4s

STEP := .ci/step

.DEFAULT_GOAL := help
.PHONY: help build ui run test lint unit race fuzz test-bpf test-e2e test-kernel test-kernels test-ui test-browser screenshot sample-capture generate check-generated bench soak demo clean packages

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ui ## build the UI and all commands into bin/
	go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/...
	cd demo && go build -trimpath -ldflags '-s -w' -o ../bin/toposcope-demo .

run: build ## build, then run Toposcope and the demo shop until Ctrl-C (as root)
	@deploy/run.sh

demo: build ## run the demo shop alone
	bin/toposcope-demo

generate: ## rebuild what is generated: BPF objects and their Go, reference pages, API types
	@.ci/packages clang llvm libbpf-dev protobuf-compiler
	go generate ./...
	cd demo && go generate ./...
	npm --prefix ui run --if-present generate

lint: ui ## gofumpt, go vet and staticcheck on all modules; the UI's linter and type check
	@$(STEP) "lint: Go" .ci/lint $(TAGS) $(MODULES)
	@$(STEP) "lint: UI" sh -c 'npm --prefix ui run --if-present lint && npm --prefix ui run --if-present typecheck'

# In the order of what a failure costs to find: quick ones first, the ones that need the machine for themselves last.
test: ## run every test, from a clean clone (as root; installs the Debian packages it needs)
	@.ci/test

unit: build ## unit and acceptance tests of all modules
	@$(STEP) "unit tests: toposcope" sh -c 'go test -count=1 $$(go list ./... | grep -v /collector/probe)'
	@$(STEP) "unit tests: capture" go test -count=1 -timeout=30m $(CAPTURE)
	@$(STEP) "unit tests: demo" sh -c 'cd demo && go test -count=1 ./...'
	@$(STEP) "unit tests: load generator, house rules" sh -c 'cd test && go test -count=1 ./load/... ./house/... ./bench/... ./soak/... ./subject/... ./golden/...'

# -short leaves out what there is no race in: the transcripts' thousands of splits and losses. So are the demo's own tests left out, which
# start whole shops of processes.
race: ## unit tests under the race detector, without those that link the Prometheus server
	@$(STEP) "race detector" env CGO_ENABLED=1 go test -race -short -count=1 $(RACE)
	@$(STEP) "race detector: demo" sh -c 'cd demo && CGO_ENABLED=1 go test -race -count=1 $$(go list ./... | grep /demo/)'

fuzz: ## run each fuzz target for FUZZTIME (4s)
	@$(STEP) "fuzz, $(FUZZTIME) each" .ci/fuzz $(FUZZTIME)

test-bpf: build test-kernel ## the BPF programs: layout, crafted input, and the kernels' guest
	@$(STEP) "BPF" go test -count=1 ./bpf/... ./collector/probe/... ./collector/ring/...

test/node/node_modules/.package-lock.json: test/node/package-lock.json
	npm --prefix test/node ci --no-audit --no-fund --loglevel=error
	@touch $@

test-e2e: build test/node/node_modules/.package-lock.json ## exact counts against real servers and clients on this host (as root; E2EFLAGS=-long for the nightly load)
	@$(STEP) "end to end" sh -c 'cd test && go test -count=1 -timeout=60m ./e2e/ $(E2EFLAGS)'

test-kernel: build ## the same programs on another kernel, in a QEMU guest: Debian's 6.1
	@$(STEP) "kernel guest" sh -c 'cd test && go test -count=1 -short -timeout=25m ./kernels/...'

test-kernels: build ## the kernel matrix: every kernel, and what hosts lack or forbid, into docs/kernels.md (about 20 minutes)
	@.ci/packages qemu-system-x86 qemu-system-arm busybox-static
	GOARCH=arm64 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/arm64/ ./cmd/toposcope
	@$(STEP) "kernel matrix" sh -c 'cd test && go test -count=1 -timeout=130m ./kernels -write'

test-ui: ui ## the UI's unit tests
	@$(STEP) "unit tests: UI" npm --prefix ui run --if-present test

test-browser: build ## the UI in headless Chromium
	@$(STEP) "browser" .ci/browser

screenshot: build ## docs/map.png anew, from a run with the demo shop (close what else talks on this host first)
	@.ci/browser
	cp test/browser/out/real-map.png docs/map.png

sample-capture: build ## record demo/sample.pcap.gz and demo/sample.json anew, from the demo shop (as root)
	@.ci/packages tcpdump iproute2
	@demo/sample.sh

check-generated: ## fail if "make generate" changes a file
	@$(STEP) "generated files" .ci/unchanged $(MAKE) --no-print-directory generate

bench: build ## cost of Toposcope: alternated pairs of a closed loop with and without it, beside its peers' (as root, about 5 minutes)
	cd test && go run ./bench $(BENCHFLAGS)
	go test -run '^$$' -bench . -benchmem ./protocol/... ./collector/ring/... ./topology/

soak: build ## an hour of mixed protocols, churn, reloads and kill -9: counts exact, and nothing grows (as root; SOAKFLAGS="-duration 20m")
	@.ci/packages bpftool mariadb-server redis-server dnsmasq bind9-dnsutils
	cd test && go run ./soak $(SOAKFLAGS)

# npm's own lock tells whether what is installed is what is asked for; the page is rebuilt when a source is newer.
UI_SOURCES := $(shell find ui -path ui/node_modules -prune -o -path ui/dist -prune -o -type f -print 2>/dev/null)

ui: ui/dist/index.html

ui/node_modules/.package-lock.json: ui/package-lock.json
	npm --prefix ui ci --no-audit --no-fund --loglevel=error
	@touch $@

ui/dist/index.html: ui/node_modules/.package-lock.json $(UI_SOURCES)
	npm --prefix ui run build
	@touch $@

packages: # the Debian packages that tests need, where they are missing
	@.ci/packages clang llvm libbpf-dev bpftool gcc libc6-dev qemu-system-x86 busybox-static cpio zstd \
		nginx-light wrk curl iproute2 iptables python3 chromium prometheus protobuf-compiler tcpdump tshark \
		dnsmasq unbound bind9-dnsutils nghttp2-server nghttp2-client \
		mariadb-server mariadb-client postgresql redis-server

clean: ## remove what was built
	rm -rf bin ui/dist/assets ui/dist/index.html
