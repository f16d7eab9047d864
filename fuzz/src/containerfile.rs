//! Containerfiles.

use onlay_core::build::containerfile::{Containerfile, Instruction, parse};

/// What is read is written as what reads the same, and paths that it names begin at the root.
pub fn target(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(Some(file)) = parse(text) else { return };
    assert!(file.literal_paths().iter().all(|path| path.starts_with('/')), "a path that does not begin at the root");
    if text.contains('\r') {
        // One carriage return before a line's end is part of it, so that each writing takes one away.
        return;
    }
    let written = written(&file);
    let again = parse(&written).ok().flatten();
    let again = again.as_ref().map(said);
    assert_eq!(again, Some(said(&file)), "reads as something else:\n{written}");
}

/// The text that the pieces were read from, but for comments and empty lines between them.
fn written(file: &Containerfile) -> String {
    instructions(file).fold(file.head.clone(), |text, instruction| {
        let heredocs = instruction.heredocs.iter().map(|heredoc| format!("{}{}\n", heredoc.body, heredoc.name));
        text + &instruction.source + &heredocs.collect::<String>()
    })
}

/// What a file says, wherever it says it.
fn said(file: &Containerfile) -> Vec<(String, Vec<String>)> {
    let said = |instruction: &Instruction| {
        let bodies = instruction.heredocs.iter().map(|heredoc| heredoc.body.clone());
        (instruction.text(), bodies.collect())
    };
    instructions(file).map(said).collect()
}

fn instructions(file: &Containerfile) -> impl Iterator<Item = &Instruction> {
    file.arguments.iter().chain(file.stages.iter().flat_map(|stage| &stage.instructions))
}
