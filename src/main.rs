//! Apex: the system of record for fleets of AI agents.

/// Recording a call takes a few hundred short-lived allocations on several threads, for which the allocator of the C library
/// is slow: with it, a server that records as many calls as it can spends a quarter of its time in it (`make bench BENCH=ingest`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    apex::cli::main()
}
