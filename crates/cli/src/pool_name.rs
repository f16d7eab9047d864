//! The names that an API server takes for a pool.

/// Longest name of an object, in characters.
const LONGEST_NAME: usize = 253;

/// A name that the API server takes for a pool: that of a DNS subdomain.
///
/// # Errors
/// Says what such a name is made of.
pub fn pool_name(text: &str) -> Result<String, String> {
    let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_part =
        |part: &str| !part.is_empty() && !part.starts_with('-') && !part.ends_with('-') && part.chars().all(is_inner);
    if text.len() <= LONGEST_NAME && text.split('.').all(is_part) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "the API server takes no such name; write lower-case letters, digits, - and ., {LONGEST_NAME} at most, with a \
         letter or digit at both ends and beside each ., such as worker-gpu"
    ))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    #[rstest]
    #[case::a_word("worker", true)]
    #[case::with_everything("0.worker-gpu.x1", true)]
    #[case::the_longest(&"a".repeat(253), true)]
    #[case::one_more(&"a".repeat(254), false)]
    #[case::nothing("", false)]
    #[case::capitals("Foo", false)]
    #[case::an_underscore("foo_bar", false)]
    #[case::a_dash_at_the_end("foo-", false)]
    #[case::a_dash_beside_a_dot("foo-.bar", false)]
    #[case::two_dots("foo..bar", false)]
    #[case::a_path("../foo", false)]
    #[case::another_alphabet("pööl", false)]
    fn a_pool_has_a_name_that_the_api_server_takes(#[case] name: &str, #[case] is_taken: bool) {
        assert_eq!(super::pool_name(name).is_ok(), is_taken);
    }
}
