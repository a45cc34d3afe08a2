# What a person does with a checkout, and what CI does: CI runs `make ci` and nothing else.
# Everything that is needed beside Rust is installed or fetched on the way, once.

# Compiling librdkafka takes a C and a C++ compiler. Debian's default Java is 17 or newer from 12 on.
BUILD_PACKAGES := gcc g++
DEMO_PACKAGES := $(BUILD_PACKAGES) postgresql
TEST_PACKAGES := $(DEMO_PACKAGES) default-jre-headless maven kcat python3 python3-venv
PEER_PACKAGES := $(DEMO_PACKAGES) protobuf-compiler nodejs npm python3 python3-venv

DENY_VERSION := 0.20.2
DENY_ROOT := target/tools/cargo-deny-$(DENY_VERSION)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo build test chaos fuzz bench bench-peers known-answers fmt lint deny advisories pin-images ci graphiql

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

# The dev profile: a clean release build takes more than twice as long to wait for.
demo: ## build Apex and run its demo (ARGS=… are handed on)
	@scripts/install-packages.sh $(DEMO_PACKAGES)
	@$(MAKE) --no-print-directory build
	@exec "$${CARGO_TARGET_DIR:-target}/debug/apex" demo $(ARGS)

build: ## build target/debug/apex
	@scripts/install-packages.sh $(BUILD_PACKAGES)
	@scripts/fetch-graphiql.sh || echo "Going on without GraphiQL: its page will be missing." >&2
	cargo build --locked --bin apex

test: graphiql ## run every test, against a PostgreSQL and a Kafka of its own
	@scripts/install-packages.sh $(TEST_PACKAGES)
	@scripts/python-for-examples.sh
	@scripts/fetch-asyncapi-schema.sh
	@scripts/fetch-promtool.sh
	scripts/with-services.sh cargo test --workspace --locked --no-fail-fast

chaos: graphiql ## strike the log with every fault for DURATION_S=60 seconds; SEED= repeats the dice of a run
	@scripts/install-packages.sh $(DEMO_PACKAGES)
	APEX_TEST_CHAOS_S=$(or $(DURATION_S),60) APEX_TEST_CHAOS_SEED=$(SEED) cargo test --locked --test chaos

# The release binary: what is measured meanwhile is what a server takes.
fuzz: graphiql ## send hostile requests to a release server for DURATION_S=60 seconds; SEED= repeats the choices of a run
	@scripts/install-packages.sh $(DEMO_PACKAGES)
	cargo build --locked --release --bin apex
	APEX_TEST_FUZZ_S=$(or $(DURATION_S),60) APEX_TEST_FUZZ_SEED=$(SEED) \
		APEX_TEST_FUZZ_BINARY="$(abspath $(or $(CARGO_TARGET_DIR),target))/release/apex" \
		scripts/with-services.sh --without-kafka cargo test --locked --test system fuzz:: -- --nocapture

bench: graphiql ## measure against PostgreSQL itself; BENCH=log for one, ROUNDS=, SECONDS_PER_CASE=
	@scripts/install-packages.sh $(TEST_PACKAGES)
	scripts/with-services.sh cargo bench --locked $(if $(BENCH),--bench $(BENCH),--benches)

bench-peers: ## measure peer libraries beside Apex; PEERS=Emmett,UmaDB for some, ROUNDS=, SECONDS_PER_CASE=
	@scripts/install-packages.sh $(PEER_PACKAGES)
	benches/peers/run.sh

# Public traces that are not part of the project, in folders as tests/known_answers names them.
APEX_DATA ?= ../shared/data
known-answers: graphiql ## check the totals of public traces in APEX_DATA=FOLDER
	@scripts/install-packages.sh $(TEST_PACKAGES)
	@test -d "$(APEX_DATA)" || { echo "APEX_DATA=$(APEX_DATA) is no folder: name the one that holds the traces" >&2; exit 1; }
	APEX_DATA="$(abspath $(APEX_DATA))" scripts/with-services.sh cargo test --locked --test known_answers -- --ignored --nocapture

fmt: ## format the code
	cargo fmt --all
	cargo fmt --manifest-path benches/peers/Cargo.toml

lint: ## check the format, and clippy with warnings denied
	@scripts/install-packages.sh $(BUILD_PACKAGES)
	cargo fmt --all --check
	cargo fmt --manifest-path benches/peers/Cargo.toml --check
	@cargo update --quiet --workspace --locked --manifest-path benches/peers/Cargo.toml \
		|| { echo "benches/peers/Cargo.lock is stale: run cargo metadata there" >&2; exit 1; }
	cargo clippy --workspace --all-targets --locked -- -D warnings

# Fetching first, for all platforms, is what lets the check itself go without network.
deny: $(DENY_ROOT)/bin/cargo-deny ## check licenses, bans and sources of all dependencies
	cargo fetch --locked
	$< --locked --offline check bans licenses sources

# Not a part of `ci`: the database changes by the day, and an advisory of today is no fault of the commit it meets.
advisories: ## check all dependencies for known vulnerabilities, where their database can be fetched
	@scripts/check-advisories.sh $(DENY_ROOT)/bin/cargo-deny

pin-images: ## write the digests of the images that deploy/ uses beside their tags
	scripts/pin-images.sh

$(DENY_ROOT)/bin/cargo-deny:
	@scripts/install-packages.sh $(BUILD_PACKAGES)
	cargo install --quiet --locked cargo-deny --version $(DENY_VERSION) --root $(DENY_ROOT)

graphiql: ## fetch GraphiQL, which the build embeds
	@scripts/fetch-graphiql.sh

ci: lint deny test ## what CI runs: lint, deny, test
