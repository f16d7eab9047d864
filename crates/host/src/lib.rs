//! One machine: files, units, commands, journal, operating system backends.
//!
//! It knows nothing of Kubernetes and decides nothing: it reads a machine, and makes it what a record says.

#![warn(missing_docs)]

pub mod command;
pub mod content;
pub mod converge;
pub mod disk;
pub mod guard_unit;
pub mod os;
pub mod record;
pub mod root;
pub mod state;
pub mod systemd;
pub mod units;
pub mod users;
