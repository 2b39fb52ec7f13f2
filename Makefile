# make demo | test | lint | smoke | wheel-test | clean
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
export PYTHON
# Tests start many processes of ncd, each of which would compile it anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test lint smoke wheel-test clean

demo: $(VENV)/.complete  ## discover the novel digits and print the scored table
	scripts/demo $(BIN)/ncd

test: $(VENV)/.complete  ## run the tests, file by file in as many processes as there are processors, but at most 4
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

lint: $(VENV)/.complete  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

smoke: $(VENV)/.complete  ## run one recipe of every family, with a bound on the score
	scripts/smoke $(BIN)/ncd

wheel-test: $(VENV)/.complete  ## build the wheel, install it into an empty environment, use it outside the checkout
	scripts/wheel-test $(BIN)/python

$(VENV)/.complete: pyproject.toml constraints.txt scripts/bootstrap $(wildcard ncdcli/clustering/_loops.*[xh])
	scripts/bootstrap $(VENV)

clean:  ## remove what make built
	rm -rf $(VENV) build dist *.egg-info ncdcli/clustering/_loops.c ncdcli/clustering/_loops.*.so
