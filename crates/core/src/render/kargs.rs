//! Kernel arguments: one entry of a list may hold several of them.
//!
//! Source of the rule: the kernel splits its command line at white space that is not between double quotes, and takes
//! the text in quotes as part of the argument.

use super::error::{Fault, excerpt};

/// Splits an entry into arguments, each as it stands on the command line, quotes included.
///
/// `quiet dyndbg="file a +p"` becomes `quiet` and `dyndbg="file a +p"`.
pub fn split(entry: &str) -> Result<Vec<String>, Fault> {
    let refused = |what| Fault::KernelArgument { value: excerpt(entry), what };
    if entry.contains(|c: char| c.is_control() && c != '\t') {
        return Err(refused("has a line break or another control character; write one line"));
    }
    let mut quoted = false;
    let arguments = entry.split(|c: char| {
        quoted ^= c == '"';
        !quoted && matches!(c, ' ' | '\t')
    });
    let arguments: Vec<String> = arguments.filter(|argument| !argument.is_empty()).map(str::to_owned).collect();
    if quoted {
        return Err(refused("has a double quote without its end; add it"));
    }
    if arguments.is_empty() {
        return Err(refused("is empty; remove the entry"));
    }
    if arguments.iter().any(|argument| argument.starts_with('=')) {
        return Err(refused("has a value without a name; write NAME=VALUE"));
    }
    Ok(arguments)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case::one_argument("audit=0", &["audit=0"])]
    #[case::several_in_one_entry("  quiet\tnosmt hugepages=10 ", &["quiet", "nosmt", "hugepages=10"])]
    #[case::quotes_hold_spaces_together(r#"dyndbg="file a +p; file b" x"#, &[r#"dyndbg="file a +p; file b""#, "x"])]
    #[case::quotes_around_all_of_it(r#""a b" c"#, &[r#""a b""#, "c"])]
    fn splits(#[case] entry: &str, #[case] arguments: &[&str]) {
        assert_eq!(split(entry).unwrap(), arguments);
    }

    #[rstest]
    #[case::nothing("  ", "is empty")]
    #[case::open_quote("a=\"b c", "without its end")]
    #[case::second_line("a\nb", "line break")]
    #[case::no_name("=b", "without a name")]
    fn refuses(#[case] entry: &str, #[case] says: &str) {
        let text = split(entry).unwrap_err().to_string();
        assert!(text.contains(says), "{text}");
    }

    proptest! {
        #[test]
        fn splitting_what_was_split_changes_nothing(entry in any::<String>()) {
            if let Ok(arguments) = split(&entry) {
                for argument in &arguments {
                    prop_assert_eq!(split(argument).unwrap(), vec![argument.clone()]);
                }
                prop_assert_eq!(split(&arguments.join(" ")).unwrap(), arguments);
            }
        }
    }
}
