# Each target does its own set-up. The work is in scripts/, which can be called without make.
#
# Settings, as in `make run PG=16`:
#   PG=14..18          the Postgres major to fetch and use (18)
#   PG_CONFIG=FILE     use the server of this pg_config instead
#   PG_PORT, HTTP_PORT the ports of make run (5433 and 8080)
#   ADMIN_PORT         gives make run the admin page on this port
#   TESTFLAGS          what to hand to cargo test
#   QUICK=1            make bench in a minute, to see that it works
#   APIKEY_STATE=DIR   where fetched servers and the cluster of make run live (.state)

.PHONY: help run demo psql test test-majors test-all bench chaos screenshots fuzz mutants lint install clean
.NOTPARALLEL:

# A setting given to make reaches the scripts; one that is not given stays unset.
export

help: ## show this list
	@sed -nE 's/^([a-z-]+):.*## (.*)$$/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 22

run: ## set everything up, make a key with SQL, test it over HTTP, stay up until Ctrl-C
	@scripts/run

demo: ## the same on free ports in a temporary directory, then exit
	@scripts/run --once

psql: ## open psql on the database of make run
	@scripts/psql

test: ## all tests on one Postgres (18, or PG= or PG_CONFIG=)
	@scripts/test all

test-majors: ## the extension's tests on the other majors
	@scripts/test-majors

test-all: test test-majors ## both: the whole on one major, the extension's part on the others

bench: ## what checks cost, into docs/benchmarks.md (half an hour; QUICK=1: a minute, to the terminal)
	@scripts/bench $(if $(QUICK),--quick,--output docs/benchmarks.md)

screenshots: ## pictures of the admin page, into docs/images
	@scripts/screenshots

chaos: ## kill, freeze and starve servers under load (CHAOS_SECONDS=60: for how long the soak test runs)
	@scripts/chaos

fuzz: ## fuzz the parsers, and the shim with any bytes on a connection
	@scripts/fuzz

mutants: ## change the rules of keys and the parsers piece by piece, and see whether the tests notice (an hour or more)
	@scripts/mutants

lint: ## formatting, circles of imports, clippy, rustdoc, shellcheck
	@scripts/lint

install: ## put the extension into the Postgres of PG_CONFIG= (DESTDIR= for packagers)
	@scripts/install

clean: ## stop what runs, and remove all that was fetched or made, the demo's keys with it, but for target/
	@scripts/clean
