//! Executes commands: load, decide, append
