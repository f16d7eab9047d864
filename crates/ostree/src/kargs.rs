//! Kernel arguments as one line of a boot entry and as a list.

/// Prefix of the argument that ostree itself adds to each deployment.
const OSTREE: &str = "ostree=";

/// Splits a boot entry's options at spaces outside double quotes, without the argument that belongs to ostree.
pub fn split(options: &str) -> Vec<String> {
    let mut quoted = false;
    options
        .split(|c: char| {
            quoted ^= c == '"';
            c.is_whitespace() && !quoted
        })
        .filter(|arg| !arg.is_empty() && !arg.starts_with(OSTREE))
        .map(String::from)
        .collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::split;

    #[rstest]
    #[case::no_options_are_no_arguments("", &[])]
    #[case::arguments_keep_their_order("rw root=LABEL=root quiet", &["rw", "root=LABEL=root", "quiet"])]
    #[case::spaces_between_may_be_many("a   b ", &["a", "b"])]
    #[case::quoted_spaces_stay_inside(r#"a dyndbg="file x +p" b"#, &["a", r#"dyndbg="file x +p""#, "b"])]
    #[case::repeated_arguments_stay("console=tty0 console=ttyS0", &["console=tty0", "console=ttyS0"])]
    #[case::the_argument_of_ostree_is_not_the_callers("rw ostree=/ostree/boot.0/debian/ab/0", &["rw"])]
    fn splits(#[case] options: &str, #[case] expected: &[&str]) {
        assert_eq!(split(options), expected);
    }
}
