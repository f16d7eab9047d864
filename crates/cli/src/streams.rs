//! Where a command reads and writes.

use std::io::{self, Read, Write};

use crate::error;
use crate::finding::Finding;

/// Standard input, output and errors, as arguments.
pub struct Streams<'a> {
    /// Read where a path is `-`.
    pub input: &'a mut dyn Read,
    /// Takes results.
    pub out: &'a mut dyn Write,
    /// Takes errors and warnings.
    pub err: &'a mut dyn Write,
    /// Columns of the terminal that shows errors.
    pub width: usize,
}

impl Streams<'_> {
    /// Writes findings for people.
    pub fn show(&mut self, findings: &[Finding]) -> io::Result<()> {
        let text = error::draw(findings, self.width).map_err(io::Error::other)?;
        self.err.write_all(text.as_bytes())
    }
}
