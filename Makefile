# The commands for people and CI. The first one installs requirements.lock in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
PEERS := .venv-bench
PEERS_READY := $(PEERS)/ready
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# Run benchmarks on a machine that does nothing else.
.PHONY: demo test coverage bench bench-batch bench-quality bench-training bench-report bench-serving bench-long-history bench-shadow bench-points bench-monitoring bench-gates fuzz check serve docs lock help
.DEFAULT_GOAL := demo

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "leadscore needs Python 3.11 or newer. Name one: make PYTHON=python3.12"; exit 1; }
	@echo "Setting up $(VENV) from requirements.lock (a minute or two) …"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --require-hashes --no-deps -r requirements.lock
	@$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@$(BIN)/pip check
	@touch $(READY)

demo: $(READY)  ## train, report, pack and serve on a simulated CRM
	@$(BIN)/leadscore demo

# Many tests wait for servers and browsers, so three workers keep two cores busy.
WORKERS ?= 3
TESTS := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q --numprocesses $(WORKERS) \
  --dist loadfile --no-loadscope-reorder

test: $(READY)  ## the tests, with doctests
	$(TESTS)

coverage: $(READY)  ## the lines that the tests do not run; takes twice as long
	$(TESTS) --cov --cov-report=term:skip-covered

bench: $(READY)  ## speed and memory, compared with other packages
	$(BIN)/python benchmarks/bench_reading.py
	$(BIN)/python benchmarks/bench_features.py
	$(BIN)/python benchmarks/bench_reasons.py

$(PEERS_READY): benchmarks/requirements-peers.txt
	@echo "Setting up $(PEERS) for the benchmark of quality …"
	@$(PYTHON) -m venv $(PEERS)
	@$(PEERS)/bin/pip install --quiet --requirement $<
	@touch $@

bench-quality: $(READY) $(PEERS_READY)  ## quality of the scores, compared with other packages, on public data
	$(BIN)/python benchmarks/bench_quality.py

fuzz: $(READY)  ## 10,000 generated requests against the contract, 100,000 malformed ones
	CONTRACT_CASES=10000 $(BIN)/python -m pytest tests/test_serving_contract.py -q -k breaks
	$(BIN)/python benchmarks/fault_malformed.py

bench-batch: $(READY)  ## scoring a file of a million leads, compared with LightGBM alone
	$(BIN)/python benchmarks/bench_batch.py

bench-training: $(READY)  ## training on a million leads, compared with LightGBM alone
	$(BIN)/python benchmarks/bench_training.py

bench-report: $(READY)  ## a report of a million leads: time, memory and size within their limits
	$(BIN)/python benchmarks/bench_report.py

bench-serving: $(READY)  ## the service under load, compared with other servers; needs wrk
	$(BIN)/python benchmarks/bench_serving.py

bench-long-history: $(READY)  ## other requests beside one lead with very many events
	$(BIN)/python benchmarks/bench_long_history.py

bench-shadow: $(READY)  ## what a shadow model costs the answers, in pairs
	$(BIN)/python benchmarks/bench_shadow.py

bench-points: $(READY)  ## what stored points cost answers without reasons, in pairs
	$(BIN)/python benchmarks/bench_points.py

bench-gates: $(READY)  ## how often the gates refuse a better version, or pass a worse one
	$(BIN)/python benchmarks/bench_gates.py

bench-monitoring: $(READY)  ## how soon drift is found, false alarms, and the worth of retraining
	$(BIN)/python benchmarks/bench_monitoring.py

check: $(READY)  ## lint, format, types, import rules, and the installed packages
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pip check
	@if command -v npm > /dev/null; then $(MAKE) --no-print-directory check-web; \
	  else echo "CSS and JavaScript are not checked, because npm is not installed."; fi

NODE := tests/browser
NODE_READY := $(NODE)/node_modules/.package-lock.json

$(NODE_READY): $(NODE)/package-lock.json
	@cd $(NODE) && npm ci --ignore-scripts --no-audit --no-fund --silent
	@touch $@

CLIENTS := tests/clients
CLIENT_VENV := .venv-clients
CLIENT_NODE := $(CLIENTS)/node_modules/.package-lock.json

$(CLIENT_VENV)/ready: $(CLIENTS)/requirements.txt
	@$(PYTHON) -m venv $(CLIENT_VENV)
	@$(CLIENT_VENV)/bin/pip install --quiet --requirement $<
	@touch $@

$(CLIENT_NODE): $(CLIENTS)/package-lock.json
	@cd $(CLIENTS) && npm ci --ignore-scripts --no-audit --no-fund --silent
	@touch $@

.PHONY: client-tools clients
client-tools: $(CLIENT_VENV)/ready $(CLIENT_NODE)  ## what the tests of the contract and of generated clients need

clients: $(READY) client-tools  ## clients in six languages, generated, compiled and run against a service
	@home=$$(mktemp -d) && trap 'rm -rf "$$home"' EXIT && \
	BENTOML_HOME="$$home" $(BIN)/python -m tests.clients.check

.PHONY: check-web
check-web: $(NODE_READY)  ## lint and format of CSS and JavaScript
	cd $(NODE) && npm run --silent lint

serve: $(READY)  ## the demo's service, until you stop it
	BENTOML_HOME=demo/bentoml $(BIN)/leadscore serve --project demo/crm

PALETTE := import sys; from PIL import Image; Image.open(sys.argv[1]).convert("RGB").quantize( \
  64, dither=Image.Dither.NONE).save(sys.argv[2], optimize=True)

.PHONY: picture
picture: $(READY)  ## docs/report.png: the top of the report of a new demo; needs chromium
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && \
	$(BIN)/leadscore demo --folder "$$folder/demo" && \
	chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --virtual-time-budget=15000 \
	  --window-size=1280,1000 --screenshot="$$folder/report.png" \
	  "file://$$folder/demo/report/index.html" && \
	$(BIN)/python -c '$(PALETTE)' "$$folder/report.png" docs/report.png

docs: $(READY)  ## the pages that are generated from the code
	$(BIN)/typer leadscore.command utils docs --name leadscore --title Commands --output docs/commands.md
	$(BIN)/python -c 'from crm.dictionary import tables_page; print(tables_page(), end="")' > docs/tables.md
	$(BIN)/python -c 'from features.dictionary import data_dictionary; print(data_dictionary(), end="")' \
	  > docs/data-dictionary.md
	$(BIN)/python -c 'from reports.metrics import metrics_page; print(metrics_page(), end="")' > docs/metrics.md

help:  ## the targets
	@sed -n 's/^\([a-z-]*\):.*  ## /\1\t/p' $(MAKEFILE_LIST)

lock: $(READY)  ## the newest versions that work together, with hashes, without host names
	$(BIN)/uv pip compile pyproject.toml --group dev --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-annotate --no-header --no-strip-extras \
	  --upgrade --quiet --output-file requirements.lock
