//! Aggregates, events, money, prices and usage: pure, without I/O, clock or randomness
