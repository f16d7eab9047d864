//! Paths of fields as messages write them, turned into steps.

use super::yaml::Step;

/// Fields that belong to the object itself; all others are those of its Ignition configuration.
const OF_OBJECT: [&str; 4] = ["apiVersion", "kind", "metadata", "spec"];

/// The steps of `storage.files[2].mode` or `spec.kernelArguments[0]` from the object on.
///
/// After an entry by its key, as in `systemd.units[a.service].dropins[0]`, numbers count merged entries; the steps end
/// there, since they would lead to another one.
pub fn steps(field: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let first = field.split(['.', '[']).next().unwrap_or_default();
    if !OF_OBJECT.contains(&first) {
        steps.extend(["spec", "config"].map(|name| Step::Name(name.to_owned())));
    }
    let mut rest = field;
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let Some(end) = end_of_bracket(inner) else { break };
            let (text, after) = (&inner[..end], &inner[end + 1..]);
            let merged = steps.iter().any(|step| matches!(step, Step::Key(_)));
            match text.parse() {
                Ok(_) if merged => break,
                Ok(index) => steps.push(Step::Index(index)),
                Err(_) => steps.push(Step::Key(text.to_owned())),
            }
            rest = after.strip_prefix('.').unwrap_or(after);
        } else {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            steps.push(Step::Name(rest[..end].to_owned()));
            rest = rest[end..].strip_prefix('.').unwrap_or(&rest[end..]);
        }
    }
    steps
}

/// The bracket that ends an entry: the first one that the path can go on after.
fn end_of_bracket(inner: &str) -> Option<usize> {
    let ends = |at: &usize| {
        let after = &inner[at + 1..];
        after.is_empty() || after.starts_with(['.', '['])
    };
    inner.match_indices(']').map(|(at, _)| at).find(ends)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn written(steps: &[Step]) -> String {
        let each = |step: &Step| match step {
            Step::Name(name) => name.clone(),
            Step::Index(index) => format!("#{index}"),
            Step::Key(key) => format!("<{key}>"),
        };
        steps.iter().map(each).collect::<Vec<_>>().join(" ")
    }

    #[rstest]
    #[case::of_the_configuration("storage.files[2].mode", "spec config storage files #2 mode")]
    #[case::of_the_object("spec.kernelArguments[0]", "spec kernelArguments #0")]
    #[case::an_entry_by_path("storage.files[/etc/a.b].path", "spec config storage files </etc/a.b> path")]
    #[case::a_path_with_a_bracket("storage.files[/etc/a]b].path", "spec config storage files </etc/a]b> path")]
    #[case::a_number_after_a_key_counts_something_else(
        "systemd.units[a.service].dropins[1].name",
        "spec config systemd units <a.service> dropins"
    )]
    #[case::the_configuration_itself("spec.config", "spec config")]
    fn a_path_becomes_steps(#[case] field: &str, #[case] expected: &str) {
        assert_eq!(written(&steps(field)), expected);
    }
}
