# Everything a developer or a user of a checkout needs. `make` alone prints this list.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMPS := .make
CARGO := cargo
FUZZ_SECONDS ?= 60
MUTANTS ?= 2000
NATIVE := $(shell find native/core native/py -name '*.rs' -o -name '*.toml' | grep -v /target/) \
	native/Cargo.toml native/Cargo.lock pyproject.toml

# Debian packages, by the command that each is needed for.
NO_VENV := $(shell $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv=python3-venv)
NO_HIVEX := $(shell /usr/bin/python3 -c 'import hivex' 2>/dev/null || echo python3-hivex=python3-hivex)
DEMO_TOOLS := cc=gcc $(NO_VENV) mkfs.ext4=e2fsprogs sfdisk=fdisk
TEST_TOOLS := $(DEMO_TOOLS) qemu-img=qemu-utils sgdisk=gdisk xz=xz-utils zstd=zstd mkfs.vfat=dosfstools \
	mcopy=mtools lvm=lvm2 mkfs.xfs=xfsprogs mkfs.btrfs=btrfs-progs mkntfs=ntfs-3g cpio=cpio \
	lz4=lz4 bzip2=bzip2 debootstrap=debootstrap $(NO_HIVEX)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo test test-rust test-python lint fmt soak fuzz bench rules clean demo-tools test-tools

help: ## print this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: demo-tools $(STAMPS)/native ## make .venv with vhdtool and its native core in it

demo: demo-tools $(STAMPS)/native ## make a small disk, check it, convert it, check the result
	@fixtures/demo $(CURDIR)/$(BIN)/vhdtool

test: test-rust test-python ## install what the tests need and run them

test-rust: test-tools $(STAMPS)/tools
	$(CARGO) test --quiet --locked --manifest-path native/Cargo.toml -p vhdtool-core

test-python: test-tools $(STAMPS)/native $(STAMPS)/dev
	$(BIN)/python -m pytest -q -n auto $(PYTEST_ARGS)

lint: $(STAMPS)/native $(STAMPS)/dev ## formatters, linters, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest vhdtool._native --allowlist native/stubtest-allowlist.txt
	$(BIN)/lint-imports
	$(CARGO) fmt --manifest-path native/Cargo.toml --all --check
	$(CARGO) clippy --quiet --locked --manifest-path native/Cargo.toml --workspace --all-targets -- -D warnings

fmt: $(STAMPS)/dev ## format Python and Rust
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(CARGO) fmt --manifest-path native/Cargo.toml --all

soak: test-tools $(STAMPS)/native $(STAMPS)/dev ## thousands of damaged images, kills at random points
	VHDTOOL_MUTANTS=$(MUTANTS) $(BIN)/python -m pytest -q -n auto -m soak --timeout 3600 tests/soak

fuzz: $(STAMPS)/cargo-fuzz ## every fuzz target for FUZZ_SECONDS=60
	fixtures/fuzz $(STAMPS)/tools-bin/bin $(FUZZ_SECONDS)

bench: test-tools $(STAMPS)/native $(STAMPS)/dev ## time vhdtool beside qemu-img and print ratios
	$(BIN)/python -m pytest -q -o testpaths=benchmarks --benchmark-columns=min,median,rounds benchmarks
	$(BIN)/python -m benchmarks.ratios $(BENCH_ARGS)

rules: $(STAMPS)/native ## write RULES.md, the table of all rules
	@fixtures/rules-table $(CURDIR)/$(BIN)/vhdtool >RULES.md

demo-tools:
	@fixtures/need-tools $(DEMO_TOOLS)

test-tools:
	@fixtures/need-tools $(TEST_TOOLS)

clean: ## remove what was built
	rm -rf $(VENV) $(STAMPS) native/target native/fuzz/target vhdtool/_native*.so

$(STAMPS)/tools:
	@mkdir -p $(STAMPS)
	@fixtures/need-rust $(CARGO)
	@touch $@

$(STAMPS)/venv: $(STAMPS)/tools requirements/base.txt
	@fixtures/need-python $(PYTHON)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements/base.txt
	@touch $@

$(STAMPS)/native: $(STAMPS)/venv $(NATIVE)
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/maturin develop --release --quiet --locked
	@touch $@

$(STAMPS)/dev: $(STAMPS)/venv requirements/dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements/dev.txt
	@touch $@

$(STAMPS)/cargo-fuzz: $(STAMPS)/tools
	$(CARGO) install --quiet --locked --root $(STAMPS)/tools-bin cargo-fuzz
	@touch $@
