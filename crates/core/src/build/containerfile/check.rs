//! What must be true of the stages.

use std::collections::BTreeSet;

use super::{CONFIGS, Containerfile, ContainerfileError, Fault, Instruction, Keyword, Outside, Stage};

/// Begins a stage with its FROM.
pub(super) fn stage(
    file: &Containerfile,
    from: Instruction,
    outside: &Outside<'_>,
) -> Result<Stage, ContainerfileError> {
    let words: Vec<&str> = from.arguments.split_whitespace().filter(|word| !word.starts_with("--")).collect();
    let (image, name) = match words.as_slice() {
        [image] => (*image, None),
        [image, keyword, name] if keyword.eq_ignore_ascii_case("as") => (*image, Some(name.to_ascii_lowercase())),
        _ => return Err(Fault::From.at(&from)),
    };
    if name.as_deref() == Some(CONFIGS) {
        return Err(Fault::NameTaken.at(&from));
    }
    if let Some(name) = name.as_ref().filter(|name| outside.images.contains(name.as_str())) {
        return Err(Fault::ImageAndStage(name.clone()).at(&from));
    }
    let base = substitute(image, &file.arguments, outside).map_err(|fault| fault.at(&from))?;
    Ok(Stage { name, base, instructions: vec![from] })
}

/// Replaces variables by the values of the build arguments above the first stage; those whose value is not known stay.
fn substitute(text: &str, arguments: &[Instruction], outside: &Outside<'_>) -> Result<String, Fault> {
    let mut pieces = text.split('$');
    let mut result = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (name, rest) = match piece.strip_prefix('{') {
            Some(braced) => braced.split_once('}').ok_or(Fault::Substitution)?,
            None => {
                let end = piece.find(|c: char| !is_name(c)).unwrap_or(piece.len());
                piece.split_at_checked(end).ok_or(Fault::Substitution)?
            }
        };
        if name.is_empty() || !name.chars().all(is_name) {
            return Err(Fault::Substitution);
        }
        match value_of(name, arguments, outside) {
            Value::Known(value) => result.push_str(value),
            Value::Unknown => result.push_str(&format!("${{{name}}}")),
            Value::None => return Err(Fault::NoDefault(name.to_owned())),
        }
        result.push_str(rest);
    }
    Ok(result)
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The value of a build argument.
enum Value<'a> {
    Known(&'a str),
    /// A policy may give it one.
    Unknown,
    None,
}

fn value_of<'a>(name: &str, arguments: &'a [Instruction], outside: &Outside<'a>) -> Value<'a> {
    let words = arguments.iter().rev().flat_map(|instruction| instruction.arguments.split_whitespace());
    let mut declared = words.map(|word| word.split_once('=').map_or((word, None), |(key, value)| (key, Some(value))));
    let Some((_, default)) = declared.find(|(key, _)| *key == name) else { return Value::None };
    let given = outside.arguments.and_then(|arguments| arguments.get(name)).map(String::as_str);
    match given.or(default.map(|value| value.trim_matches(['"', '\'']))) {
        Some(value) => Value::Known(value),
        None if outside.arguments.is_none() => Value::Unknown,
        None => Value::None,
    }
}

/// Checks what can only be said of the whole.
pub(super) fn check(file: &Containerfile, outside: &Outside<'_>) -> Result<(), ContainerfileError> {
    for (index, stage) in file.stages.iter().enumerate() {
        for instruction in &stage.instructions {
            sources(instruction, &outside.files).map_err(|fault| fault.at(instruction))?;
        }
        let last = index + 1 == file.stages.len();
        if let (true, Some(from)) = (last, stage.instructions.first())
            && root_of(file, index) != CONFIGS
            && !root_of(file, index).contains('$')
        {
            return Err(Fault::NotConfigs(root_of(file, index).to_owned()).at(from));
        }
    }
    Ok(())
}

/// The image that a stage goes back to, through the stages before it.
fn root_of(file: &Containerfile, mut index: usize) -> &str {
    loop {
        let Some((stage, earlier)) = file.stages.get(..=index).and_then(|stages| stages.split_last()) else {
            return "";
        };
        let is_parent = |each: &Stage| each.name.as_deref().is_some_and(|name| name.eq_ignore_ascii_case(&stage.base));
        match earlier.iter().rposition(is_parent) {
            Some(parent) => index = parent,
            None if stage.base.eq_ignore_ascii_case(CONFIGS) => return CONFIGS,
            None => return &stage.base,
        }
    }
}

/// Checks that everything that is copied comes from somewhere.
fn sources(instruction: &Instruction, files: &BTreeSet<&str>) -> Result<(), Fault> {
    if !matches!(instruction.keyword, Keyword::Copy | Keyword::Add) {
        return Ok(());
    }
    if let Some(heredoc) = instruction.heredocs.iter().find(|each| !each.quoted && each.body.contains('$')) {
        return Err(Fault::Expands(heredoc.name.clone()));
    }
    let flags: Vec<&str> = instruction.arguments.split_whitespace().take_while(|word| word.starts_with("--")).collect();
    let mut operands = operands(instruction);
    if operands.pop().is_none() || operands.is_empty() {
        return Err(Fault::Operands(instruction.keyword.as_str()));
    }
    if flags.iter().any(|word| word.starts_with("--from=")) {
        return Ok(());
    }
    for operand in operands.iter().map(String::as_str) {
        let fetched = ["https://", "http://", "git://", "git@"].iter().any(|scheme| operand.starts_with(scheme));
        if operand.starts_with("<<") || (fetched && instruction.keyword == Keyword::Add) {
            continue;
        }
        if files.is_empty() {
            return Err(Fault::NoContext);
        }
        if !files.contains(operand.trim_start_matches("./")) {
            let files = files.iter().copied().collect::<Vec<_>>().join(", ");
            return Err(Fault::NoFile { name: operand.to_owned(), files });
        }
    }
    Ok(())
}

/// Sources and, last, destination of what is copied: words, or a list of JSON.
fn operands(instruction: &Instruction) -> Vec<String> {
    let mut text = instruction.arguments.trim_start();
    while text.starts_with("--") {
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        text = text.split_at(end).1.trim_start();
    }
    match serde_json::from_str(text) {
        Ok(list) => list,
        Err(_) => text.split_whitespace().map(|word| word.trim_matches('"').to_owned()).collect(),
    }
}
