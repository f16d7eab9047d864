//! The API as users meet it: structure against the compatible schemas, and behaviour on a real API server.

#![cfg(test)]

mod cel;
mod deploy;
mod docs;
mod installed;
mod namespace;
mod objects;
mod policies;
mod rights;
mod served;
mod server;
mod structure;
mod types;
