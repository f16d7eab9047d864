//! Reconcilers: render, build, rollout.
