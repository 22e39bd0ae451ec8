# The commands of the project; CMake does the work. `make help` lists them.
.DEFAULT_GOAL := build
JOBS ?= $(shell nproc)
BIN := build/release/bin

.PHONY: help setup build test demo run check format fuzz bench clean

help:  ## This list
	@sed -n 's/^\([a-z]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 10

setup:  ## Install the packages of tools/packages.txt that are missing
	@tools/setup

build/release/build.ninja: CMakeLists.txt CMakePresets.json
	cmake --preset release

build: setup build/release/build.ninja  ## The programs, in build/release/bin
	cmake --build --preset release -j $(JOBS) --target programs

test: setup build/release/build.ninja  ## Build and run every test
	cmake --build --preset release -j $(JOBS)
	ctest --preset release -j $(JOBS)

demo: build  ## See the product at work, about a minute
	tools/demo

run: build  ## The agent in the foreground with the example configuration
	$(BIN)/apm-keeper --config examples/hello/apm.conf --state-dir build/run --socket @apm-example

check: setup  ## The gates that CI runs: layering, format, sanitizers, fuzzing
	tools/check

format:  ## Format the C++ sources
	git ls-files '*.cc' '*.h' | xargs clang-format-14 -i

fuzz: setup  ## make fuzz T=frame_decoder [S=60]: one fuzz target for S seconds
	tools/fuzz $(T) $(or $(S),60)

bench: build  ## Compare with peers; writes bench/RESULTS.md
	@tools/setup wrk valgrind
	bench/run

clean:  ## Remove build/
	rm -rf build
