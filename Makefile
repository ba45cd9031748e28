# Everything runs in .venv, which these rules make: only python3, make and a package index are needed.
#   make demo    train a small network on real digits and explain it
#   make test    the tests, against the installed package
#   make coverage  the same with lines and branches counted: htmlcov/index.html
#   make lint    ruff, mypy and the directions of imports
#   make bench   speed beside the peers, hours; tables become pages of the documentation
#   make docs    the documentation, build/site/index.html
#   make examples  run the notebooks again, SCIEXPLAIN_DATA names their data
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
EXTRAS := images,molecules,molecules-3d,chemprop,genomics,distributed,report,dev
# Directories are listed too: their time changes when a file is deleted.
SOURCES := $(shell find sciexplain domains datasets -not -path '*__pycache__*')

.PHONY: demo test coverage lint bench docs examples clean
.DELETE_ON_ERROR:

demo: $(VENV)/.package
	$(BIN)/sciexplain demo --out demo

test: $(VENV)/.package
	$(BIN)/pytest -n 2 --dist loadgroup $(PYTEST_ARGS)

coverage: $(VENV)/.package
	$(BIN)/pytest -n 2 --dist loadgroup --cov --cov-report=html --cov-report=term:skip-covered $(PYTEST_ARGS)

# mypy runs on the installed package, away from the tree, where sciexplain.domains has its imported name.
lint: $(VENV)/.package
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	cd $(VENV) && bin/mypy --config-file ../pyproject.toml -p sciexplain
	cd $(VENV) && bin/lint-imports ../pyproject.toml --no-cache

bench: $(VENV)/.package
	$(BIN)/pip install --quiet --no-deps -c constraints.txt $(BENCH_PEERS)
	$(BIN)/pip install --quiet -c constraints.txt cosmic-ray
	$(BIN)/python docs/benchmarks.py --all

docs: $(VENV)/.package
	$(BIN)/python docs/attribution.py
	$(BIN)/python docs/public_api.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# Each notebook is its script with outputs.
examples: $(VENV)/.package
	cd examples && for file in [0-9]*.py; do PATH="$(CURDIR)/$(BIN):$$PATH" jupytext --quiet --to ipynb --set-kernel python3 --execute $$file || exit 1; done

$(VENV)/.created:
	$(PYTHON) -c 'import sys; sys.exit("sciexplain needs Python 3.11 or newer (make PYTHON=...)" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv --clear $(VENV)
	touch $@

# Peers to compare with, and libraries of architectures; what they state to require would replace torch.
PEERS := quantus tangermeme timm torchvision zennit
BENCH_PEERS := atheris lxt
$(VENV)/.dependencies: $(VENV)/.created constraints.txt pyproject.toml
	$(BIN)/pip install --quiet -c constraints.txt '.[$(EXTRAS)]'
	$(BIN)/pip install --quiet --no-deps -c constraints.txt $(PEERS)
	touch $@

# build/ would carry deleted modules into the wheel.
$(VENV)/.package: $(VENV)/.dependencies $(SOURCES)
	rm -rf build sciexplain.egg-info
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --force-reinstall .
	rm -rf build sciexplain.egg-info
	touch $@

clean:
	rm -rf $(VENV) build dist demo htmlcov *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
