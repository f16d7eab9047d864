//! The API as users meet it: structure against the compatible schemas, and behaviour on a real API server.

#![cfg(test)]

mod cel;
mod objects;
mod served;
mod server;
mod structure;
mod types;
