# Every target is a thin call: the work is in `emdata` (runtime/cli.py) and in scripts/.
# Arguments go through ARGS: make logs ARGS="manager --follow"

SHELL := /bin/bash
.DEFAULT_GOAL := help

# With what is installed; fails with one line where nothing is.
EMDATA := scripts/with-tools --installed emdata
# Installs first what is missing.
DEV := scripts/with-tools --dev
# Without compiled files every worker would compile every module again.
PYTEST := env -u PYTHONDONTWRITEBYTECODE $(DEV) python -m pytest

.PHONY: help start stop restart status health troubleshoot logs logs-dagster logs-flink \
	logs-starrocks dev-setup check test test-fast test-long test-system-deps check-live format \
	db-connect shell-kafka emergency-stop clean bench-footprint conformance bench-latency \
	bench-starrocks bench-stream bench-stream-long test-containers bench-api load-test

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

start: ## Install what is missing and start the platform
	@./start.sh $(ARGS)

stop: ## Stop the platform; leaves no process
	@$(EMDATA) stop $(ARGS)

restart: ## Stop, then start
	@$(EMDATA) stop
	@./start.sh $(ARGS)

status: ## Sources, ledger, queues, jobs and tables (ARGS="--follow", "--json")
	@$(EMDATA) status $(ARGS)

health: ## One line a service; exit code 1 when one is not healthy
	@$(EMDATA) health $(ARGS)

troubleshoot: ## Find what is wrong and say what to do
	@./troubleshoot.sh $(ARGS)

logs: ## Logs of all services (ARGS="manager --follow")
	@$(EMDATA) logs $(ARGS)

logs-dagster: ## Logs of Dagster
	@$(EMDATA) logs dagster $(ARGS)

logs-flink: ## Logs of Flink
	@$(EMDATA) logs flink $(ARGS)

logs-starrocks: ## Logs of StarRocks
	@$(EMDATA) logs starrocks $(ARGS)

dev-setup: ## Install the platform and the development tools
	@$(DEV) python -V
	@echo "To check every commit: scripts/with-tools --dev pre-commit install"

check: ## Format, lint, types, layers, SQL, locks, generated pages
	@$(DEV) bash scripts/check $(ARGS)

test: test-fast ## All tests but the long ones
	@$(PYTEST) -n 2 --dist loadfile -m "(integration or system) and not long" $(ARGS)

test-fast: ## Tests without servers
	@$(PYTEST) -n 2 --dist loadfile -m "not integration and not system and not long" $(ARGS)

test-long: ## All tests, with all rounds, seeds and fuzzing
	@HYPOTHESIS_PROFILE=long $(PYTEST) $(ARGS)

test-system-deps: ## Install the programs that system tests need (from the distribution)
	@scripts/install-system-programs

check-live: ## Try the live sources (needs a connection)
	@$(EMDATA) check-live $(ARGS)

format: ## Format the code
	@$(DEV) ruff check --fix-only --quiet .
	@$(DEV) ruff format .

db-connect: ## A SQL prompt on StarRocks
	@$(EMDATA) db-connect $(ARGS)

shell-kafka: ## A shell with kafka-topics and its siblings on the PATH
	@$(EMDATA) shell-kafka $(ARGS)

emergency-stop: ## Kill the platform's processes, when nothing else works
	@$(EMDATA) emergency-stop $(ARGS)

clean: ## Remove all run-time files; asks first
	@$(EMDATA) clean $(ARGS)

bench-footprint: ## Measure the start and the memory of all processes
	@$(DEV) emdata bench footprint $(ARGS)

conformance: ## All conformance cases; URL=mysql://user:pw@host:9030?http=8030 for a StarRocks of yours
	@CONFORMANCE_URL='$(URL)' $(PYTEST) tests/conformance $(ARGS)

bench-latency: ## Measure a record's way from the source's answer to a SELECT
	@$(DEV) emdata bench latency $(ARGS)

bench-starrocks: ## Measure the embedded StarRocks against bare DuckDB (ARGS="--only points")
	@$(DEV) emdata bench starrocks $(ARGS)

bench-stream: ## Measure the stream manager against a plain producer (ARGS="--only rate")
	@$(DEV) emdata bench stream $(ARGS)

bench-stream-long: ## The same with all rounds; goes on where it stopped
	@$(DEV) emdata bench stream --long $(ARGS)

test-containers: ## Test the containers on an engine; exit code 3 where none answers
	@$(DEV) bash scripts/test-containers $(ARGS)

bench-api: ## Measure the open API against bare handlers and the driver alone (ARGS="--only cached")
	@$(DEV) emdata bench api $(ARGS)

load-test: ## Readers of every kind on the running API for a minute (ARGS="--users 50 --run-time 2m")
	@$(DEV) python -m tests.load $(ARGS)
