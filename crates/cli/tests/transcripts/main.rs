//! Whole transcripts: what people type, and everything that they see.
#![cfg(test)]

mod bad_input;
mod butane;
mod colours;
mod examples;
mod foresee;
mod install;
mod schemas;
mod session;
