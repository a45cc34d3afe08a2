//! The event log on PostgreSQL, its tail, and the Kafka relay
