//! Names, labels and annotations, as every API server checks them.

use serde_json::Value;

/// Longest name, and longest prefix of a key.
const MAX_NAME: usize = 253;
/// Longest label, and longest key without its prefix.
const MAX_LABEL: usize = 63;
/// Bytes of all annotations of an object.
const MAX_ANNOTATIONS: usize = 256 << 10;

/// What is wrong with labels and annotations: the field, and what there is to say.
pub fn faults(metadata: &Value) -> Vec<(String, String)> {
    let all = |name: &str| metadata[name].as_object().into_iter().flatten();
    let mut faults = Vec::new();
    for (list, key) in ["labels", "annotations"].into_iter().flat_map(|list| all(list).map(move |(key, _)| (list, key)))
    {
        // Keys of annotations may be in capitals.
        let plain = if list == "labels" { key.clone() } else { key.to_lowercase() };
        if !is_key(&plain) {
            let message = format!(
                "{key:?} is no key; write up to {MAX_LABEL} letters, digits, \"-\", \"_\" and \".\", beginning and ending with a \
                 letter or digit, perhaps with a domain and \"/\" before them"
            );
            faults.push((format!("metadata.{list}"), message));
        }
    }
    for (key, value) in all("labels").filter_map(|(key, value)| Some((key, value.as_str()?))) {
        if !value.is_empty() && !is_label(value) {
            let message = format!(
                "{value:?} is no label; write up to {MAX_LABEL} letters, digits, \"-\", \"_\" and \".\", beginning and ending with a \
                 letter or digit"
            );
            faults.push((format!("metadata.labels[{key}]"), message));
        }
    }
    let bytes: usize = all("annotations").map(|(key, value)| key.len() + value.as_str().map_or(0, str::len)).sum();
    if bytes > MAX_ANNOTATIONS {
        let message = format!("have {bytes} bytes, and may have {MAX_ANNOTATIONS} at most");
        faults.push(("metadata.annotations".to_owned(), message));
    }
    faults
}

/// Whether the API server takes this name.
pub fn is_name(name: &str) -> bool {
    name.len() <= MAX_NAME && name.split('.').all(is_name_part)
}

/// Whether this may stand between two dots of a name.
pub fn is_name_part(part: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends = [part.bytes().next(), part.bytes().next_back()];
    ends.into_iter().all(|end| end.is_some_and(plain)) && part.bytes().all(|byte| plain(byte) || byte == b'-')
}

fn is_key(key: &str) -> bool {
    match key.split_once('/') {
        Some((prefix, name)) => is_name(prefix) && is_label(name),
        None => is_label(key),
    }
}

fn is_label(text: &str) -> bool {
    let ends = [text.bytes().next(), text.bytes().next_back()];
    text.len() <= MAX_LABEL
        && ends.into_iter().all(|end| end.is_some_and(|byte| byte.is_ascii_alphanumeric()))
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    #[rstest]
    #[case::plain(json!({"labels": {"example.com/role": "a_B.1", "empty": ""}, "annotations": {"Example.com/X": "any thing!"}}), &[])]
    #[case::a_label_with_a_space(json!({"labels": {"role": "a b!"}}), &["metadata.labels[role]"])]
    #[case::a_label_that_is_too_long(json!({"labels": {"role": "a".repeat(64)}}), &["metadata.labels[role]"])]
    #[case::a_key_with_two_slashes(json!({"labels": {"a/b/c": "x"}}), &["metadata.labels"])]
    #[case::a_prefix_in_capitals(json!({"labels": {"Example.com/role": "x"}}), &["metadata.labels"])]
    #[case::a_key_with_a_space(json!({"annotations": {"a b": "x"}}), &["metadata.annotations"])]
    #[case::a_key_without_a_name(json!({"annotations": {"example.com/": "x"}}), &["metadata.annotations"])]
    #[case::annotations_that_are_too_long(json!({"annotations": {"a": "x".repeat(256 << 10)}}), &["metadata.annotations"])]
    fn labels_and_annotations(#[case] metadata: Value, #[case] fields: &[&str]) {
        assert_eq!(faults(&metadata).into_iter().map(|(field, _)| field).collect::<Vec<_>>(), fields);
    }

    #[rstest]
    #[case::plain("50-worker.a", true)]
    #[case::in_capitals("A", false)]
    #[case::with_an_empty_part("a..b", false)]
    #[case::too_long(&"a".repeat(254), false)]
    fn names(#[case] name: &str, #[case] is_one: bool) {
        assert_eq!(is_name(name), is_one);
    }
}
