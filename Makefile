# Targets for people with a checkout, and for CI: CI runs `make ci` and nothing else.
# What the targets need besides Rust is installed or fetched once, when it is needed first.

# librdkafka is compiled from source, which takes a C and a C++ compiler. Debian's default Java is 17 or newer from
# Debian 12 on.
BUILD_PACKAGES := gcc g++
DEMO_PACKAGES := gcc postgresql
TEST_PACKAGES := $(BUILD_PACKAGES) $(DEMO_PACKAGES) default-jre-headless maven kcat python3 python3-venv tzdata nodejs npm chromium
PEER_PACKAGES := $(BUILD_PACKAGES) $(DEMO_PACKAGES) protobuf-compiler nodejs npm python3 python3-venv

DENY_VERSION := 0.20.2
# Beside the checkouts of this user, since building it takes minutes.
DENY_ROOT := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/apex/cargo-deny-$(DENY_VERSION)

# Packages of the workspace whose unit tests need no services.
UNIT_TEST_PACKAGES := domain streams commands identity ingest projections policies api

GRAPHIQL_OR_GO_ON := scripts/fetch-graphiql.sh || echo "Building without GraphiQL: its page will be missing." >&2

WEB_OR_GO_ON := scripts/web.sh build || echo "Building without the web page: its address says what is missing." >&2

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo build check test focus-validator kafka-tls chaos fuzz fuzz-readers race measure lighthouse bench bench-peers full known-answers fmt lint deny advisories \
	pin-images graphiql web web-check ci

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

# The dev profile, without Kafka and the export of traces: a clean build of everything takes more than twice as long.
demo: ## build Apex without Kafka and run its demo; ARGS= is passed to it
	@scripts/install-packages.sh $(DEMO_PACKAGES)
	@$(GRAPHIQL_OR_GO_ON)
	@$(WEB_OR_GO_ON)
	cargo build --locked --no-default-features --bin apex
	@exec "$${CARGO_TARGET_DIR:-target}/debug/apex" demo $(ARGS)

build: ## build target/debug/apex with everything
	@scripts/install-packages.sh $(BUILD_PACKAGES)
	@$(GRAPHIQL_OR_GO_ON)
	@$(WEB_OR_GO_ON)
	cargo build --locked --bin apex

# The fast loop: under a minute when everything was compiled before.
check: ## check format and clippy, and run every test that needs no PostgreSQL and no Kafka
	@scripts/install-packages.sh $(BUILD_PACKAGES)
	@scripts/fetch-asyncapi-schema.sh
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked --quiet -- -D warnings
	cargo test --locked --quiet $(UNIT_TEST_PACKAGES:%=--package %) --features streams/kafka --lib --tests
	cargo test --locked --quiet --lib --test architecture --test documents

test: graphiql web-check web ## run every test, on a private PostgreSQL and Kafka
	@scripts/install-packages.sh $(TEST_PACKAGES)
	@scripts/python-environment.sh python examples/requirements.txt
	@scripts/python-environment.sh otlp-python tests/otlp/requirements.txt
	@scripts/python-environment.sh smtp-python tests/smtp/requirements.txt
	@scripts/python-environment.sh openapi-python tests/openapi/requirements.txt
	@scripts/python-environment.sh webhooks-python tests/webhooks/requirements.txt
	@scripts/python-environment.sh focus-python tests/focus/requirements.txt
	@scripts/python-environment.sh clients-python tests/clients/requirements.txt
	@scripts/python-for-prices.sh
	@scripts/node-packages.sh oidc tests/oidc
	@scripts/node-packages.sh otlp-node tests/otlp
	@scripts/node-packages.sh clients-node tests/clients
	@scripts/fetch-asyncapi-schema.sh
	@scripts/fetch-promtool.sh
	scripts/with-services.sh --without-sync scripts/test-suites.sh

# Not a part of `test`: librdkafka and every crate that depends on it are compiled a second time, with OpenSSL.
kafka-tls: graphiql ## publish to a Kafka broker over TLS, with the feature kafka-tls
	@scripts/install-packages.sh $(TEST_PACKAGES) libssl-dev pkg-config
	scripts/with-services.sh cargo test --locked --features kafka-tls --test kafka_tls

# Not a part of `test`: the validator takes Python 3.12 or newer, which Debian 12 does not have, and 600 MB of packages.
PYTHON_312 ?= python3.12
focus-validator: graphiql ## validate an export of FOCUS 1.2 by the official validator; PYTHON_312= is its interpreter
	@command -v $(PYTHON_312) >/dev/null || { echo "the validator of FOCUS takes Python 3.12: install it, or set PYTHON_312=" >&2; exit 1; }
	@scripts/install-packages.sh $(BUILD_PACKAGES) postgresql python3 python3-venv
	@scripts/python-environment.sh focus-python tests/focus/requirements.txt
	@scripts/python-environment.sh focus-validator tests/focus/requirements-validator.txt $(PYTHON_312)
	scripts/with-services.sh --without-kafka cargo test --locked --test system official_validator -- --ignored --nocapture

chaos: graphiql ## inject every fault into the log for DURATION_S=60 seconds; SEED= repeats the random choices of a run
	@scripts/install-packages.sh $(BUILD_PACKAGES) postgresql
	APEX_TEST_CHAOS_S=$(or $(DURATION_S),60) APEX_TEST_CHAOS_SEED=$(SEED) cargo test --locked --test chaos

# At servers of the release binary, which do several times as many operations a second.
race: graphiql ## race 64 clients for budgets at three servers under faults, OPERATIONS=1000000; SEED= repeats the choices of a run
	@scripts/install-packages.sh $(BUILD_PACKAGES) postgresql
	cargo build --locked --release --bin apex
	APEX_TEST_RACE_OPERATIONS=$(or $(OPERATIONS),1000000) APEX_TEST_RACE_SEED=$(SEED) \
		APEX_TEST_RACE_BINARY="$(abspath $(or $(CARGO_TARGET_DIR),target))/release/apex" \
		cargo test --locked --test system budget_race:: -- --nocapture

# On the release binary, because the requests' durations are measured too.
fuzz: graphiql ## send hostile requests to a release server for DURATION_S=60 seconds; SEED= repeats a run
	@scripts/install-packages.sh $(BUILD_PACKAGES) postgresql
	cargo build --locked --release --bin apex
	APEX_TEST_FUZZ_S=$(or $(DURATION_S),60) APEX_TEST_FUZZ_SEED=$(SEED) \
		APEX_TEST_FUZZ_BINARY="$(abspath $(or $(CARGO_TARGET_DIR),target))/release/apex" \
		scripts/with-services.sh --without-kafka cargo test --locked --test system fuzz:: -- --nocapture

# Its own build with instrumentation takes minutes, so that CI runs the same targets without it, with random changes.
fuzz-readers: ## fuzz the readers of ingest, guided by coverage, for DURATION_S=60 seconds each; TARGETS= for some
	@scripts/install-packages.sh $(BUILD_PACKAGES)
	scripts/fuzz-readers.sh $(or $(DURATION_S),60) $(TARGETS)

# Tests that only measure are ignored in `make test`.
measure: graphiql ## run the measurements among the tests; they print figures and take minutes
	@scripts/install-packages.sh $(BUILD_PACKAGES) postgresql
	scripts/with-services.sh --without-kafka cargo test --locked --test system memory_of_ -- --ignored --nocapture

bench: graphiql ## compare with plain PostgreSQL and Kafka; BENCH=log for one, ROUNDS=, SECONDS_PER_CASE=
	@scripts/install-packages.sh $(TEST_PACKAGES)
	scripts/with-services.sh cargo bench --locked $(if $(BENCH),--bench $(BENCH),--benches)

bench-peers: ## compare with other event stores; PEERS=Emmett,UmaDB for some, ROUNDS=, SECONDS_PER_CASE=
	@scripts/install-packages.sh $(PEER_PACKAGES)
	benches/peers/run.sh

# On the release binary: answers that take long cost points.
lighthouse: graphiql web ## measure the web page with Lighthouse, on the data of the demo
	@scripts/install-packages.sh $(TEST_PACKAGES)
	@scripts/node-packages.sh lighthouse tests/lighthouse
	cargo build --locked --release --bin apex
	scripts/lighthouse.sh "$(abspath $(or $(CARGO_TARGET_DIR),target))/release/apex"

# An hour and more, so not a part of `ci`. DURATION_S= is the duration of chaos, of fuzz, and of each target of fuzz-readers.
full: DURATION_S ?= 600
full: ## run what takes long: kafka-tls, focus-validator, chaos, fuzz and fuzz-readers for DURATION_S=600 seconds each, race, measure, lighthouse, bench
	$(MAKE) --no-print-directory kafka-tls
	$(MAKE) --no-print-directory focus-validator
	$(MAKE) --no-print-directory chaos DURATION_S=$(DURATION_S)
	$(MAKE) --no-print-directory fuzz DURATION_S=$(DURATION_S)
	$(MAKE) --no-print-directory fuzz-readers DURATION_S=$(DURATION_S)
	$(MAKE) --no-print-directory race
	$(MAKE) --no-print-directory measure
	$(MAKE) --no-print-directory lighthouse
	$(MAKE) --no-print-directory bench

# Public traces that are not in the repository, in folders named as in tests/known_answers.
APEX_DATA ?= ../shared/data
known-answers: graphiql ## check the totals of public traces in the folder APEX_DATA=
	@scripts/install-packages.sh $(TEST_PACKAGES)
	@test -d "$(APEX_DATA)" || { echo "APEX_DATA=$(APEX_DATA) is not a folder: set it to the folder with the traces" >&2; exit 1; }
	@scripts/python-environment.sh python-totals tests/known_answers/requirements.txt
	APEX_DATA="$(abspath $(APEX_DATA))" scripts/with-services.sh --without-sync cargo test --locked --test known_answers --test prices -- --ignored --nocapture

fmt: ## format the code
	cargo fmt --all
	cargo fmt --manifest-path benches/peers/Cargo.toml
	cargo fmt --manifest-path fuzz/Cargo.toml

lint: ## check the format, and clippy with warnings denied
	@scripts/install-packages.sh $(BUILD_PACKAGES)
	cargo fmt --all --check
	cargo fmt --manifest-path benches/peers/Cargo.toml --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	@for folder in benches/peers fuzz; do cargo update --quiet --workspace --locked --manifest-path $$folder/Cargo.toml \
		|| { echo "$$folder/Cargo.lock is out of date: run cargo metadata in $$folder" >&2; exit 1; }; done
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo clippy --no-default-features --bin apex --locked -- -D warnings

# Dependencies of all platforms are fetched first, so that the check itself runs offline.
deny: $(DENY_ROOT)/bin/cargo-deny ## check licenses, bans and sources of all dependencies
	cargo fetch --locked
	$< --locked --offline check bans licenses sources

# Not a part of `ci`: the advisory database changes daily, and a new advisory must not fail an unrelated commit.
advisories: ## check all dependencies for known vulnerabilities, if the advisory database can be fetched
	@scripts/check-advisories.sh $(DENY_ROOT)/bin/cargo-deny

pin-images: ## write the digests of the images in deploy/ beside their tags
	scripts/pin-images.sh

# Built without optimization, which takes a quarter of the time; a check takes a few seconds.
$(DENY_ROOT)/bin/cargo-deny:
	@scripts/install-packages.sh $(BUILD_PACKAGES)
	cargo install --quiet --locked --debug cargo-deny --version $(DENY_VERSION) --root $(DENY_ROOT)

graphiql: ## fetch GraphiQL, which the build embeds
	@scripts/fetch-graphiql.sh

# Nothing is done when nothing has changed.
web: ## build the web page, which the build embeds
	@scripts/web.sh build

# A part of `test`, whose browser is one of the packages that this installs.
web-check: ## check the web page: generated types, eslint, vue-tsc, vitest and licences
	scripts/web.sh check

ci: lint deny test ## what CI runs: lint, deny, test
