//! What a plain scalar says to `kubectl`.
//!
//! Source of the rules: YAML 1.1 as kubectl 1.32 reads it, measured with `kubectl annotate --local -o json`: `yes`, `on`
//! and `y` are true, `0644` is octal, `09` is nine, and a date stays a text.

use serde_json::{Number, Value};

/// The meaning of a plain scalar. None if JSON has no such number.
pub fn plain(text: &str) -> Option<Value> {
    Some(match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Value::Bool(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Value::Bool(false),
        ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" | "-.inf" | "-.Inf"
        | "-.INF" => return None,
        _ if text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) => {
            let digits = text.replace('_', "");
            whole(&digits).or_else(|| real(&digits)).map_or_else(|| Value::from(text), Value::Number)
        }
        _ => Value::from(text),
    })
}

fn whole(text: &str) -> Option<Number> {
    let (negative, digits) = match text.strip_prefix(['+', '-']) {
        Some(digits) => (text.starts_with('-'), digits),
        None => (false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let number = i128::from_str_radix(digits, radix).ok()?;
    let number = if negative { -number } else { number };
    i64::try_from(number).map(Number::from).or_else(|_| u64::try_from(number).map(Number::from)).ok()
}

/// A number with a point or an exponent; a whole one is written without them, as JSON from kubectl is.
fn real(text: &str) -> Option<Number> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = digits.split_once(['e', 'E']).unwrap_or((digits, "0"));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (before, after) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let is_real = all_digits(before) && all_digits(after) && !(before.is_empty() && after.is_empty());
    if !is_real || exponent.is_empty() || !all_digits(exponent) {
        return None;
    }
    let number: f64 = text.parse().ok()?;
    #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and small")]
    if number.fract() == 0.0 && number.abs() < 1e15 {
        return Some(Number::from(number as i64));
    }
    Number::from_f64(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    /// Answers of `kubectl annotate --local -o json`, version 1.32.4.
    #[rstest]
    #[case("0644", json!(420))]
    #[case("-0644", json!(-420))]
    #[case("0o644", json!(420))]
    #[case("09", json!(9))]
    #[case("012.5", json!(12.5))]
    #[case("0x1F", json!(31))]
    #[case("0b11", json!(3))]
    #[case("+5", json!(5))]
    #[case("1_000", json!(1000))]
    #[case("1e3", json!(1000))]
    #[case(".5", json!(0.5))]
    #[case("~", json!(null))]
    #[case("y", json!(true))]
    #[case("on", json!(true))]
    #[case("N", json!(false))]
    #[case("2020-01-01", json!("2020-01-01"))]
    fn a_scalar_means_what_it_means_to_kubectl(#[case] text: &str, #[case] value: Value) {
        assert_eq!(plain(text), Some(value));
    }

    #[rstest]
    #[case::a_version("3.4.0")]
    #[case::a_path("/etc/motd")]
    #[case::a_dash("-")]
    #[case::a_point(".")]
    #[case::an_address("10.0.0.1")]
    #[case::an_exponent_without_digits("1e")]
    fn other_texts_stay_texts(#[case] text: &str) {
        assert_eq!(plain(text), Some(json!(text)));
    }

    #[test]
    fn numbers_that_json_does_not_have_are_refused() {
        assert_eq!((plain(".inf"), plain(".NaN")), (None, None));
    }
}
