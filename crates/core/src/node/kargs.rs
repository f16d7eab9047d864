//! Kernel arguments of a new deployment.
//!
//! Arguments belong to a deployment, so the new list is: those of the booted deployment, without those of its configuration,
//! with those of the new one. What people and installers set stays. Configurations come with one argument an entry, as
//! [`Desired`](crate::render::desired::Desired) has them.

/// The arguments of a new deployment, in order. Each argument of `before` is taken away once.
pub fn next(booted: &[String], before: &[String], after: &[String]) -> Vec<String> {
    let mut arguments: Vec<_> = booted.iter().filter(|argument| !argument.starts_with("ostree=")).cloned().collect();
    for argument in before {
        if let Some(place) = arguments.iter().rposition(|known| known == argument) {
            arguments.remove(place);
        }
    }
    arguments.extend(after.iter().cloned());
    arguments
}
