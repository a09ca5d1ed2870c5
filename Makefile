# Two commands do everything: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
CONFIG ?= mini
OUT ?= build/verilog/$(CONFIG)
TEXT ?= a gripping , beautifully acted film that never loses its nerve
SKY130 ?=
ASAP7 ?=
MEASURED := a warm , funny and quietly moving film
BIN := $(VENV)/bin
ACCELTRAN := $(BIN)/acceltran
PYTEST := $(BIN)/python -m pytest

.PHONY: help demo check test test-slow prove mutants coverage verilog run soc bench area silicon fpga train lint types clean tools

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 22

demo: $(VENV)/ready ## a sentence through BERT-Tiny on the simulated RTL, every intermediate tensor checked
	$(ACCELTRAN) run --config $(CONFIG) --text "$(TEXT)" --length 128

check: lint types ## lint, types, the tests in pure Python, and one small block simulated; three minutes
	$(PYTEST) -n auto -m "not slow and not builds" tests/sw tests/cli tests/test_*.py tests/hw/test_round_robin.py

test: $(VENV)/ready ## the tests (builds and runs a model of every block)
	$(PYTEST) -n auto --dist worksteal -m "not slow and not prove"

test-slow: $(VENV)/ready ## the tests that take longer
	$(PYTEST) -m slow

prove: $(VENV)/ready ## all proofs about components, also those that take longer (docs/verification.md)
	$(PYTEST) -n auto --dist worksteal --durations=0 tests/formal tests/hw/test_bank_arbiter.py

mutants: $(VENV)/ready ## plant faults one at a time, and see that the tests that are named for each fail; hours
	PYTHONPATH=tests $(BIN)/python -m support.mutants
	PYTHONPATH=tests $(BIN)/python -m support.netlist_mutants

coverage: $(VENV)/ready ## lines, branches, toggles and cover points of the RTL that the system tests reach (docs/coverage.md)
	PYTHONPATH=tests:tests/sim $(BIN)/python -m rtl_coverage --json build/coverage/coverage.json

verilog: $(VENV)/ready ## Verilog, manifest, documents and C header of CONFIG into OUT
	$(ACCELTRAN) generate --config $(CONFIG) -o $(OUT)

run: $(VENV)/ready ## run TEXT on CONFIG
	$(ACCELTRAN) run --config $(CONFIG) --text "$(TEXT)"

soc: $(VENV)/ready ## a RISC-V system on chip as RTL: its firmware runs three sentences on the accelerator through the C driver
	$(ACCELTRAN) soc

bench: $(VENV)/ready ## measure what changed of the table and the plots in docs/benchmarks.md
	$(ACCELTRAN) bench table

area: $(VENV)/ready ## gate equivalents of the main blocks of mini, and what changed
	$(ACCELTRAN) synth --config mini --golden tests/silicon/areas.json

silicon: $(VENV)/ready ## docs/silicon.md: areas, ablations, FPGA; with SKY130= and ASAP7= (.lib.gz) timing and power; hours
	$(ACCELTRAN) synth --config mini --golden tests/silicon/areas.json
	$(ACCELTRAN) synth --config mini --top pe --skip none
	$(ACCELTRAN) synth --config int8 --top pe --skip none
	$(ACCELTRAN) synth --config int8 --top pe
	$(ACCELTRAN) ablate --output docs/silicon.md
	$(ACCELTRAN) synth --config edge
	$(if $(SKY130),$(ACCELTRAN) synth --top softmax --liberty '$(SKY130)')
	$(if $(SKY130),$(ACCELTRAN) synth --top layernorm --liberty '$(SKY130)')
	$(if $(SKY130),$(ACCELTRAN) synth --top accelerator --liberty '$(SKY130)' --clock 100 --timing)
	$(if $(ASAP7),$(ACCELTRAN) synth --top accelerator --liberty '$(ASAP7)' --clock 700 --timing)
	$(if $(SKY130),$(ACCELTRAN) power --text "$(MEASURED)" --liberty '$(SKY130)' --clock 100)
	$(if $(ASAP7),$(ACCELTRAN) power --text "$(MEASURED)" --liberty '$(ASAP7)' --clock 700 --plot docs/plots/silicon_energy.svg)
	$(if $(ASAP7),$(ACCELTRAN) power --config mini_w8 --text "$(MEASURED)" --liberty '$(ASAP7)' --clock 700)
	$(if $(ASAP7),$(ACCELTRAN) synth --config edge --liberty '$(ASAP7)' --clock 700)
	$(MAKE) fpga

fpga: $(VENV)/ready ## place and route preset fpga on an ECP5; an hour
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[fpga]"
	$(ACCELTRAN) fpga --config fpga --speed 8

train: $(VENV)/ready ## train the packaged models again
	$(ACCELTRAN) train --variant dense
	$(ACCELTRAN) train --variant sparse
	$(ACCELTRAN) train --variant relu
	$(ACCELTRAN) train --variant nm

lint: $(VENV)/ready ## style, and which package may import which
	$(BIN)/ruff check hw sw sim silicon cli tests
	$(BIN)/lint-imports --no-logo --no-cache

types: $(VENV)/ready ## type checks of specification, graphs, models, compiler and host
	mkdir -p build/types/acceltran
	ln -sfn $(addprefix $(CURDIR)/,hw sw sim silicon cli) build/types/acceltran/
	cd build/types && $(abspath $(BIN))/mypy --config-file $(CURDIR)/pyproject.toml

clean: ## remove everything that was built here; simulators stay with the user's caches (acceltran cache --clear)
	rm -rf build $(VENV) *.egg-info
	@echo "what all checkouts share stays in $${ACCELTRAN_BUILD:-$${XDG_CACHE_HOME:-$$HOME/.cache}/acceltran}:" \
		"remove that folder, or say acceltran cache --clear before make clean"

tools:
	@command -v $(PYTHON) >/dev/null || { echo "python3 is missing: apt-get install python3"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is older than 3.11: install python3.11 or newer and run make PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "venv is missing: apt-get install python3-venv"; exit 1; }
	@command -v g++ >/dev/null || { echo "g++ is missing: apt-get install g++"; exit 1; }

$(VENV)/ready: pyproject.toml | tools
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[test]"
	touch $@
