//! The lab: a real cluster on one machine, as a library.
//!
//! [`layout`] says where things lie, [`process`] and [`network`] change the machine and undo exactly that, and
//! [`wait`] is the one way to wait.

pub mod command;
pub mod layout;
pub mod network;
pub mod pki;
pub mod process;
pub mod wait;

pub use layout::Layout;
pub use pki::Pki;
