//! Decisions: pure functions without clocks, files, processes or clients.
