# Two commands do everything: `make run` and `make test`. Both set up what they need, and only that.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
DATA ?= data
# The tests run in this many processes; most of them wait most of the time.
WORKERS ?= 4
# A file's tests stay together and share what they set up; the long ones come first, as they are collected.
SIDE_BY_SIDE := -n $(WORKERS) --dist loadfile --no-loadscope-reorder
# Some hundred gateways are started: the first one compiles what has changed, and the others find it compiled.
unexport PYTHONDONTWRITEBYTECODE
WEB_SOURCES := $(shell find api/web -path api/web/node_modules -prune -o -path api/web/dist -prune -o -type f -print 2>/dev/null)

.PHONY: setup run test test-fast bench faults lint style types imports quick lock clean

setup: .venv/.run api/web/dist/index.html  ## everything that running needs, no test servers
	@echo "Ready: $(BIN)/schoolgate and $(BIN)/school-sim"

run: setup  ## the gateway with a simulated school talking to it
	@$(BIN)/python scripts/demo.py --data $(DATA)

test: .venv/.dev .cache/servers api/web/dist/index.html lint  ## every test, against real servers
	$(BIN)/pytest $(SIDE_BY_SIDE)

test-fast: .venv/.dev  ## for the working day: the checks and every test that needs no server, at the same time
	@$(MAKE) --no-print-directory -j2 --output-sync=target quick lint

quick: .venv/.dev
	$(BIN)/pytest $(SIDE_BY_SIDE) -n 2 tests/unit tests/property

lint: style types imports  ## what can be seen without running anything

style: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.dev
	$(BIN)/mypy

imports: .venv/.dev
	$(BIN)/lint-imports

bench: .venv/.dev .cache/servers api/web/dist/index.html  ## figures with their baselines, nothing asserted
	$(BIN)/python -m tests.bench

faults: .venv/.dev .cache/servers api/web/dist/index.html  ## the long form of the fault tests
	FAULT_ROUNDS=500 $(BIN)/pytest tests/faults --timeout 7200
	WRITER_GROUPS=100000 $(BIN)/pytest tests/property/test_writer_groups.py --timeout 7200

lock: .venv/.uv  ## renew the lock files: versions and hashes, no addresses
	$(BIN)/uv pip compile -q --upgrade --generate-hashes --universal --python-version 3.11 --no-header \
	    pyproject.toml requirements/run.in -o requirements/run.txt
	$(BIN)/uv pip compile -q --upgrade --generate-hashes --universal --python-version 3.11 --no-header \
	    -c requirements/run.txt pyproject.toml requirements/dev.in -o requirements/dev.txt

clean:
	rm -rf .venv .cache api/web/node_modules api/web/dist build *.egg-info

.venv/.uv: requirements/bootstrap.txt
	@echo "── Python environment in .venv"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/bootstrap.txt
	@touch $@

.venv/.run: requirements/run.txt pyproject.toml | .venv/.uv
	@echo "── Python packages (locked, with hashes)"
	$(BIN)/uv pip install --python $(BIN)/python --compile-bytecode --require-hashes -r requirements/run.txt
	$(BIN)/uv pip install --python $(BIN)/python --no-deps --no-build-isolation -e .
	$(BIN)/python -m compileall -q foundation gateway devices ledger xr_assets api/*.py api/routes firmware_sim
	@touch $@

.venv/.dev: requirements/dev.txt .venv/.run
	@echo "── Python packages for tests (locked, with hashes)"
	$(BIN)/uv pip install --python $(BIN)/python --compile-bytecode --require-hashes -r requirements/dev.txt
	@touch $@

api/web/node_modules/.stamp: api/web/package.json api/web/package-lock.json | .venv/.run
	@echo "── Packages of the web pages (locked, with hashes)"
	cd api/web && PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --no-audit --no-fund
	@touch $@

api/web/dist/index.html: api/web/node_modules/.stamp $(WEB_SOURCES)
	@echo "── Building the web pages"
	cd api/web && PATH="$(CURDIR)/$(BIN):$$PATH" npm run build

.cache/servers: scripts/test_servers.sh tests/integration/npm/package-lock.json | .venv/.dev
	@echo "── Real servers and browsers for the tests"
	bash scripts/test_servers.sh
	@mkdir -p $(@D) && touch $@
