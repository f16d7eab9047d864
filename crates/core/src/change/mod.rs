//! What differs between two states of a pool's nodes.

pub mod diff;

#[cfg(test)]
mod tests;
