//! Paths as people type them: made plain, and the nearest ones that there are.

/// Most differences, in characters, that may be a mistake in typing.
const DIFFERENCES: usize = 2;
/// Paths that are offered at most.
const OFFERED: usize = 3;

/// A path without empty parts, `.` and `..`, and without a slash at its end.
pub fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').filter(|part| !matches!(*part, "" | ".")) {
        match part {
            ".." => _ = parts.pop(),
            part => parts.push(part),
        }
    }
    let root = if path.starts_with('/') { "/" } else { "" };
    format!("{root}{}", parts.join("/"))
}

/// The paths that may have been meant, the likeliest first: those that end alike, then those of a like name, then
/// those that a mistake in typing leads away from.
pub fn near(path: &str, known: impl Iterator<Item = String>) -> Vec<String> {
    let (ending, name) = (format!("/{}", path.trim_start_matches('/')), last(path));
    let rank = |each: &str| match last(each) {
        _ if name.is_empty() => None,
        _ if each.ends_with(&ending) => Some(0),
        other if other == name => Some(1),
        other if other.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')) => Some(2),
        _ => (strsim::damerau_levenshtein(each, path) <= DIFFERENCES).then_some(3),
    };
    let mut ranked: Vec<(usize, String)> = known.filter_map(|each| Some((rank(&each)?, each))).collect();
    ranked.sort();
    ranked.into_iter().take(OFFERED).map(|(_, each)| each).collect()
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::as_it_is("/etc/motd", "/etc/motd")]
    #[case::two_slashes("//etc//motd", "/etc/motd")]
    #[case::a_slash_at_the_end("/etc/auto.d/", "/etc/auto.d")]
    #[case::this_and_the_one_above("/etc/./a/../motd", "/etc/motd")]
    #[case::above_the_root("/../etc", "/etc")]
    #[case::the_root("/", "/")]
    #[case::relative("etc/motd/", "etc/motd")]
    #[case::nothing("", "")]
    fn a_path_is_made_plain(#[case] path: &str, #[case] expected: &str) {
        assert_eq!(clean(path), expected);
    }

    #[rstest]
    #[case::without_its_slash("etc/motd", &["/etc/motd"])]
    #[case::a_unit_by_its_name("autofs.service", &["/etc/systemd/system/autofs.service"])]
    #[case::a_unit_without_its_suffix("/etc/systemd/system/autofs", &["/etc/systemd/system/autofs.service"])]
    #[case::a_unit_where_the_image_has_it("/usr/lib/systemd/system/autofs.service", &["/etc/systemd/system/autofs.service"])]
    #[case::mistyped("/etc/mtod", &["/etc/motd"])]
    #[case::something_else("/etc/passwd", &[])]
    #[case::nothing("", &[])]
    fn what_may_have_been_meant(#[case] path: &str, #[case] expected: &[&str]) {
        let known = ["/etc/motd", "/etc/auto.master", "/etc/systemd/system/autofs.service"];
        assert_eq!(near(path, known.into_iter().map(str::to_owned)), expected);
    }
}
