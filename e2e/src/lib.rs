//! Tests that need the lab.
