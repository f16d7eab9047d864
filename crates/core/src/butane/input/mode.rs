//! Modes that were probably meant to be octal.

/// The mode, if it makes no sense as it is but would in octal.
pub fn meant_octal(mode: i64, is_directory: bool) -> Option<i64> {
    let octal = i64::from_str_radix(&mode.to_string(), 8).ok().filter(|_| (0..=7777).contains(&mode))?;
    (!is_usual(mode, is_directory) && is_usual(octal, is_directory)).then_some(mode)
}

/// Whether people give such permissions to files or directories.
fn is_usual(mode: i64, is_directory: bool) -> bool {
    if mode == 0 {
        return true;
    }
    let mut seen = 0;
    for shift in [0, 3, 6] {
        let bits = (mode >> shift) & 0o7;
        let (readable, executable) = (bits & 0o4 != 0, bits & 0o1 != 0);
        // Who is nearer to the file may do what the others may, and whoever reads it may execute it if anybody may.
        let takes_away = seen & !bits != 0;
        let newly_executable = executable && seen & 0o4 != 0 && seen & 0o1 == 0;
        if takes_away || newly_executable || (bits != 0 && !readable) {
            return false;
        }
        seen |= bits;
    }
    let (readable, writable, executable) = (seen & 0o4 != 0, seen & 0o2 != 0, seen & 0o1 != 0);
    let special = if is_directory {
        executable && mode & 0o4000 == 0 && (mode & 0o3000 == 0 || writable)
    } else {
        (mode & 0o6000 == 0 || (executable && mode & 0o2 == 0)) && mode & 0o1000 == 0
    };
    readable && special
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::meant_octal;

    #[rstest]
    #[case::octal_as_it_should_be(0o644, false, None)]
    #[case::forgotten_zero(644, false, Some(644))]
    #[case::forgotten_zero_of_a_program(755, false, Some(755))]
    #[case::forgotten_zero_of_a_directory(1777, true, Some(1777))]
    #[case::decimal_of_octal(420, false, None)]
    #[case::digits_that_octal_lacks(888, false, None)]
    #[case::odd_both_ways(9, false, None)]
    #[case::nothing_for_anybody(0, true, None)]
    #[case::below_zero(-644, false, None)]
    #[case::too_much(77777, false, None)]
    fn modes_that_were_meant_to_be_octal(#[case] mode: i64, #[case] is_directory: bool, #[case] expected: Option<i64>) {
        assert_eq!(meant_octal(mode, is_directory), expected);
    }
}
