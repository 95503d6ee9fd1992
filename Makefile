# The front door. `make demo` and `make test` work from a fresh clone on Debian 12, as root or with sudo.
.PHONY: all build deps demo test test-slow test-env lint format bench bench-peers web clean help

BUILD := build/release
WATRA := $(BUILD)/bin/watra
JOBS  := $(shell nproc)
TEST_HOME := $(CURDIR)/build/test-home
export WATRA_TEST_HOME := $(TEST_HOME)

help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)

## make demo         install what is missing, build, get the default model, ask it something; where there is a screen, its page opens
demo:
	@tools/demo $(WATRA)

## make build        the programs, in build/release/bin
build: deps
	@cmake --preset release > build/configure.log 2>&1 || { cat build/configure.log; exit 1; }
	@cmake --build --preset release -j $(JOBS) --target watra

## make deps         what a build needs: Debian packages, XGrammar (built once, build/deps); quiet when nothing is missing
deps:
	@mkdir -p build
	@tools/deps build

## make test         everything that must pass
test: test-env
	@tools/run_tests

## make test-slow    the long suites
test-slow: test-env
	@tools/deps page bench
	@tools/test_env --slow
	@tools/run_tests --slow

test-env:
	@mkdir -p build
	@tools/deps build test
	@tools/test_env

## make lint         formatting and layers; clang-tidy's short list on what differs from main (everything: tools/lint --all)
lint:
	@tools/deps build lint
	@tools/lint

format:
	@git ls-files '*.h' '*.cpp' | xargs clang-format -i

## make bench        this machine and the default model
bench: build
	@$(WATRA) doctor --measure
	@$(WATRA) pull smollm2 > /dev/null
	@$(WATRA) bench smollm2

## make bench-peers  beside llama.cpp (built from its source package) and, where IK_LLAMA_DIR names it, ik_llama.cpp: same files, same run
bench-peers: build test-env
	@bench/peers/run

## make web          the page into web/dist, from the lock file; the next `make build` puts it into the program
web:
	@tools/web build
	@echo "web/dist; make build puts it into the program" >&2

clean:
	find build -mindepth 1 -maxdepth 1 ! -name deps -exec rm -rf {} +
