//! The webhook as a real API server asks it: two versions, refusals, warnings, and certificates that change.

#![cfg(test)]

mod admission;
mod certificates;
mod conversion;
mod rules;
mod world;
