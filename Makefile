# Everything runs in a virtual environment of its own; PYTHON chooses the interpreter that makes it.
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --constraint constraints.txt
SAMPLE := examples/sample_dialogue/conversation
# What the tests need and pip has not.
PROGRAMS := chromium chromedriver espeak-ng

.PHONY: demo test lint programs clean

demo: $(VENV)/core
	$(BIN)/m2fnet predict $(SAMPLE).mp4 --transcript $(SAMPLE).srt --output runs/demo --report all

test: lint programs
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses logical --dist loadfile

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(VENV)/core: setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(PIP) torch
	$(PIP) --editable '.[reports]'
	touch $@

$(VENV)/dev: $(VENV)/core
	$(PIP) --editable '.[dev]'
	printf '%s\nimport torchvision_operators\n' '$(CURDIR)/tests/site' > $$($(BIN)/python -c \
	    'import sysconfig; print(sysconfig.get_path("purelib"))')/torchvision_operators.pth
	touch $@

# Tests that need a program say so and are skipped where it can be neither found nor installed.
programs:
	@for program in $(PROGRAMS); do command -v $$program > /dev/null || missing=1; done; \
	if [ -n "$$missing" ] && command -v apt-get > /dev/null && [ "$$(id -u)" = 0 ]; then \
	    apt-get update -qq && apt-get install -y -qq --no-install-recommends \
	        chromium chromium-driver espeak-ng > /dev/null; \
	fi || true

clean:
	rm -rf $(VENV) build *.egg-info
