//! touched below
