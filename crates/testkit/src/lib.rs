//! The lab: a real cluster on one machine, as a library.
