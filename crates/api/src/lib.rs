//! Shapes and names of the API: one file per kind.
