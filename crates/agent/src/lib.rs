//! The node's own reconciler.
