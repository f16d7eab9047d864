//! What is wrong with one MachineConfig, all of it, so that no correction uncovers the next error.

use super::error::{Fault, Problem};

/// Problems that are kept; people read the first ones.
const MAX_PROBLEMS: usize = 20;

/// Problems in the order in which they were found, one of each field.
#[derive(Debug, Default)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Adds a problem, unless its field has one or there are enough.
    pub fn add(&mut self, problem: Problem) {
        if !self.is_full() && self.0.iter().all(|known| known.field != problem.field) {
            self.0.push(problem);
        }
    }

    /// The value of a result, or its problem added.
    pub fn take<T>(&mut self, result: Result<T, Problem>) -> Option<T> {
        result.map_err(|problem| self.add(problem)).ok()
    }

    /// Whether there is nothing wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether no more are kept.
    pub fn is_full(&self) -> bool {
        self.0.len() >= MAX_PROBLEMS
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether every value could be read: fields that running nodes cannot have are refused, whatever is in them.
    pub fn are_refusals(&self) -> bool {
        self.0.iter().all(|problem| matches!(*problem.fault, Fault::Refused(_)))
    }

    /// Names the entry of `list` that the problems from a number on are in.
    pub fn in_entry(&mut self, from: usize, list: &str, key: &str) {
        let found = self.0.split_off(from);
        self.0.extend(found.into_iter().map(|problem| problem.in_entry(list, key)));
    }

    /// The first problem as an error.
    pub fn first(self) -> Result<(), Problem> {
        self.0.into_iter().next().map_or(Ok(()), Err)
    }

    /// All of them.
    pub fn into_vec(self) -> Vec<Problem> {
        self.0
    }
}
