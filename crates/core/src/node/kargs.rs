//! Kernel arguments of a new deployment.
//!
//! Arguments belong to a deployment, so the new list is: those of the booted deployment, without those of its configuration,
//! with those of the new one. What people and installers set stays. An entry of a configuration may hold several arguments;
//! double quotes keep spaces together, as the kernel reads them.

use crate::render::kargs::split;

/// The arguments of a new deployment, in order. Each argument of `before` is taken away once.
pub fn next(booted: &[String], before: &[String], after: &[String]) -> Vec<String> {
    let mut arguments: Vec<_> = booted.iter().filter(|argument| !argument.starts_with("ostree=")).cloned().collect();
    for argument in before.iter().flat_map(|entry| split(entry)) {
        if let Some(place) = arguments.iter().rposition(|known| *known == argument) {
            arguments.remove(place);
        }
    }
    arguments.extend(after.iter().flat_map(|entry| split(entry)));
    arguments
}
