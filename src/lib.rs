//! Apex.
