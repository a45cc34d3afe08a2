#!/usr/bin/env bash
# Fuzzes the readers of ingest with libFuzzer, guided by coverage, for some seconds each:
# fuzz-readers.sh SECONDS [TARGET…]
#
# The stable compiler instruments the code itself (the pass of LLVM that cargo-fuzz uses too), so that no nightly is needed.
# The corpus grows in target/fuzz/corpus from one run to the next; an input that fails is kept in target/fuzz/artifacts, and
# is repeated by giving its file to the program of the target.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
seconds=$1
shift
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(otlp_protobuf otlp_json records lines langfuse_batch price_table invoice)

host=$(rustc -vV | sed -n 's/^host: //p')
root=${CARGO_TARGET_DIR:-target}/fuzz
flags=(--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4
	-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table
	-Cllvm-args=-sanitizer-coverage-trace-compares)
# A target is named, so that build scripts and macros are not instrumented.
CARGO_TARGET_DIR=$root/build RUSTFLAGS="${flags[*]}" \
	cargo build --manifest-path fuzz/Cargo.toml --locked --release --target "$host"
programs=$root/build/$host/release

failed=()
for target in "${targets[@]}"; do
	mkdir -p "$root/corpus/$target" "$root/artifacts/$target" "$root/seeds/$target"
	echo "fuzzing $target for $seconds s" >&2
	# Half a GiB and ten seconds are far more than any of these inputs needs.
	APEX_FUZZ_SEEDS=$root/seeds "$programs/$target" -max_total_time="$seconds" -rss_limit_mb=512 -timeout=10 -max_len=65536 -print_final_stats=1 \
		-dict="$root/seeds/dictionary" -artifact_prefix="$root/artifacts/$target/" \
		"$root/corpus/$target" "$root/seeds/$target" 2>"$root/$target.log" || failed+=("$target")
	grep -E '^(stat::|Done|SUMMARY|==.*ERROR)|panicked' "$root/$target.log" >&2 || true
done
[ ${#failed[@]} -eq 0 ] || { echo "failed: ${failed[*]}; see $root/artifacts and $root/*.log" >&2; exit 1; }
