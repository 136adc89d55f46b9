# What people and CI run. `make` alone lists the targets.

PREFIX ?= /usr/local
target := $(or $(CARGO_TARGET_DIR),target)
binary := $(target)/release/credimg

.PHONY: help demo build setup quick test bless test-long test-leaks test-faults test-races test-fleets fuzz check advisories docs bench install uninstall dist test-packages clean cargo
.DEFAULT_GOAL := help

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' Makefile

# Root takes no manifest that is another user's. Who runs this file as root trusts the checkout,
# though, and may say so where it, or a directory above it, belongs to somebody else.
trust := $(shell [ "$$(id -u)" = 0 ] && d=$$PWD && \
	while [ -n "$$d" ]; do stat -c %u "$$d"; d=$${d%/*}; done | grep -qvx 0 && echo " --trust")

demo: build ## Build a sample disk and print the QEMU arguments that attach it
	@mkdir -p $(target)/demo
	$(binary) build$(trust) testdata/demo/secrets.yaml -o $(target)/demo/chimera.erofs

build: cargo ## Build the program: target/release/credimg
	cargo build --release --locked

setup: ## Install the tools that the tests need (Debian; as root or through sudo)
	scripts/setup-tools

# What needs no root, no guest and no other tool, of those tests that are quick.
quick_tests := readers::goldens audit::corpus manifest::bad_ manifest::good_ manifest::every_key \
	pseudo::bad targets::every_target manual::reference tidy tree::

quick: cargo ## Run the unit tests and those of goldens: half a minute, no root, no QEMU
	cargo test --workspace --locked --lib
	cargo test --workspace --locked --test it -- $(quick_tests)

# Mounts, owners and devices need root: who is not runs the tests through sudo. With TIMES=yes
# each test's line has its seconds; the flag for it is none of stable Rust's without the variable.
runner := $(strip $(if $(filter-out 0,$(shell id -u)),sudo -E) $(if $(TIMES),env RUSTC_BOOTSTRAP=1))
as_root := $(if $(runner),--config 'target."cfg(unix)".runner="$(runner)"')
times := $(if $(TIMES),-- -Zunstable-options --report-time)

# Documentation tests come first: the closing lines are those of real tests. Many of these wait
# for other programs: two for each processor leave none idle.
test: cargo setup ## Run all tests, with reference tools and a real guest
	cargo test --workspace --locked --doc
	RUST_TEST_THREADS=$$((2 * $$(nproc))) \
		cargo test --workspace --locked $(as_root) --lib --tests $(times)

# Whoever changes what is written reads the difference: `git diff formats/tests/goldens docs/src`.
bless: cargo ## Write anew the listings of some images' bytes, and the tables of the manual
	CREDIMG_BLESS=1 cargo test --workspace --locked --test it -- readers::goldens manual::reference

# What `test` leaves out, because each takes over a minute.
test-long: cargo ## Run the campaigns and the boots that take long
	scripts/setup-tools long
	cargo test --workspace --locked --features long $(as_root) --test it -- long::

test-leaks: cargo ## Look for secrets in what comes of some 40,000 builds and other runs
	CREDIMG_LEAK_CASES=$${CREDIMG_LEAK_CASES:-1000000} cargo test --locked $(as_root) --test it -- \
		leaks:: --nocapture

test-fleets: cargo ## Build 500 machines full of canaries, ask the oracle 10,000 times, kill 500 runs
	CREDIMG_FLEET_MACHINES=$${CREDIMG_FLEET_MACHINES:-500} \
		CREDIMG_FLEET_CASES=$${CREDIMG_FLEET_CASES:-10000} \
		CREDIMG_FLEET_KILLS=$${CREDIMG_FLEET_KILLS:-500} cargo test --locked $(as_root) --test it -- \
		fleet::canaries fleet::oracle fleet::kills --nocapture

test-races: cargo ## Build against writers, swapped links, other builders and lost directories
	CREDIMG_RACES=$${CREDIMG_RACES:-100} cargo test --locked $(as_root) --test it -- races:: \
		--nocapture --test-threads=8

# Some 100,000 runs: 20 minutes on two cores. CREDIMG_FAULT_RUNS=5000 makes fewer,
# CREDIMG_FAULT_SECONDS=600 as many as come in that time.
test-faults: cargo ## Run every kind of command with a fault at every system call
	CREDIMG_FAULT_RUNS=$${CREDIMG_FAULT_RUNS:-all} cargo test --release --locked $(as_root) \
		--test faults campaign -- --nocapture

# CREDIMG_FUZZ_RUNS says how often each target is run; scripts/fuzz tells the rest.
fuzz: cargo ## Fuzz every parser, reader and writer, and the arguments' round trip
	scripts/setup-tools fuzz
	scripts/fuzz

# Each compiles alone, and so does what is left without any.
formats_features := erofs iso9660 luks squashfs verity gzip lz4 xz zstd

cargo_deny := scripts/cargo-tool cargo-deny 0.20.2 --locked

check: cargo ## Check the format, the lints, the documentation, the crates and the scripts
	cargo fmt --all --check
	rustfmt --check init/main.rs
	cargo fmt --check --manifest-path tests/fuzz/Cargo.toml
	cargo metadata --locked --format-version 1 --manifest-path tests/fuzz/Cargo.toml >/dev/null
	cargo fmt --check --manifest-path scripts/bench/peers/Cargo.toml
	cargo clippy --workspace --all-targets --all-features --locked -- -D warnings
	for feature in '' $(formats_features); do \
		cargo clippy -p credimg-formats --lib --no-default-features --features "$$feature" \
			--locked --quiet -- -D warnings || exit 1; \
	done
	clippy-driver @init/rustc-flags init/main.rs --emit=metadata -o $(target)/init.rmeta \
		-Dwarnings -Wclippy::pedantic -Wclippy::undocumented_unsafe_blocks
	cargo clippy --lib --bins --no-default-features --locked --quiet -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked
	scripts/check-rust-version
	$(cargo_deny) check --hide-inclusion-graph -D warnings bans licenses sources
	@command -v shellcheck >/dev/null || { echo 'shellcheck is missing: run `make setup`' >&2; exit 1; }
	shellcheck $$(grep -rlE '^#(!/.*sh| shellcheck shell)' .ci docs/examples docs/tests/bin \
		formats/tests scripts tests)

# Not part of `check`: it needs the network, and its answer changes while the sources stay.
advisories: cargo ## Ask whether a dependency has a known vulnerability
	$(cargo_deny) check advisories
	$(cargo_deny) --manifest-path tests/fuzz/Cargo.toml check advisories

docs: ## Build the manual as a book: target/book
	scripts/book $(target)/book

# The program that packages have, and one for measurements alone, which keeps no promise and says so
# at each run.
musl := x86_64-unknown-linux-musl
static := $(target)/$(musl)/packaged/credimg
without := $(target)/without-promises
bench_results := $(target)/bench.json

bench: build ## Compare speed, memory and size with other programs and a floor: BENCHMARKS.md
	scripts/setup-tools bench
	scripts/build-static
	RUSTFLAGS='$(RUSTFLAGS) --cfg credimg_without_promises' CARGO_TARGET_DIR=$(without) \
		scripts/build-static
	scripts/bench/run $(static) --glibc $(binary) --without $(without)/$(musl)/packaged/credimg \
		--json $(bench_results)
	scripts/bench/report $(bench_results) BENCHMARKS.md

# Builds only what is not there, so that `make build && sudo make install` needs no cargo for root.
install: $(binary) ## Install the program, its manual, completions and hooks (PREFIX, DESTDIR)
	@! $(binary) --version 2>&1 | grep 'keeps no promise'
	scripts/install "$(binary)" "$(PREFIX)" "$(DESTDIR)"

uninstall: ## Remove what `make install` put in place, and nothing else (PREFIX, DESTDIR)
	scripts/install --remove "$(PREFIX)" "$(DESTDIR)"

dist: cargo ## Make the packages: target/dist (a .deb, a static program, checksums, an SBOM)
	scripts/dist

test-packages: dist ## Install the packages into roots of Debian and Ubuntu, and boot a guest
	scripts/test-packages

clean: cargo ## Remove what was built; .cache, with the tests' guest kernel, stays
	cargo clean

$(binary):
	$(MAKE) build

cargo:
	@command -v cargo >/dev/null || { \
		echo 'cargo is missing: https://www.rust-lang.org/tools/install tells how to get it' >&2; \
		exit 1; \
	}
