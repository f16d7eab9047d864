//! What a scalar says.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Content, Node};

/// The meaning of a scalar.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    /// Nothing.
    Null,
    /// True or false.
    Flag(bool),
    /// A whole number; outside of 64 bits it is a [`Scalar::Real`].
    Whole(i128),
    /// Any other number.
    Real(f64),
    /// A text.
    Text,
    /// The bytes of `!!binary`.
    Binary(Vec<u8>),
}

/// The meaning of a scalar, by its tag or, if it has none, by its look. An error says how tag and text disagree.
pub fn scalar(node: &Node) -> Result<Scalar, String> {
    let Content::Scalar(text, is_quoted) = &node.content else { return Ok(Scalar::Text) };
    let tag = node.tag.as_str();
    if tag == "!!str" || (matches!(tag, "" | "!") && *is_quoted) {
        return Ok(Scalar::Text);
    }
    let disagree = || Err(format!("{text:?} is no {tag}; write another value or leave the tag out"));
    match (tag, plain(text)) {
        ("", scalar) => Ok(scalar),
        ("!!null", Scalar::Null) => Ok(Scalar::Null),
        ("!!bool", scalar @ Scalar::Flag(_))
        | ("!!int", scalar @ Scalar::Whole(_))
        | ("!!float", scalar @ Scalar::Real(_)) => Ok(scalar),
        #[expect(clippy::cast_precision_loss, reason = "as a number of this tag is read")]
        ("!!float", Scalar::Whole(number)) => Ok(Scalar::Real(number as f64)),
        ("!!null" | "!!bool" | "!!int" | "!!float", _) => disagree(),
        ("!!binary", _) => match STANDARD.decode(text.replace(['\n', '\r'], "")) {
            Ok(bytes) => Ok(Scalar::Binary(bytes)),
            Err(_) => Err("!!binary takes base64 text; it does not decode".to_owned()),
        },
        _ => Ok(Scalar::Text),
    }
}

/// The meaning of a plain scalar without a tag.
fn plain(text: &str) -> Scalar {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Scalar::Null,
        "true" | "True" | "TRUE" => return Scalar::Flag(true),
        "false" | "False" | "FALSE" => return Scalar::Flag(false),
        ".nan" | ".NaN" | ".NAN" => return Scalar::Real(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Scalar::Real(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Scalar::Real(f64::NEG_INFINITY),
        _ => {}
    }
    match text.bytes().next() {
        Some(b'.') => real(text).map_or(Scalar::Text, Scalar::Real),
        Some(b'0'..=b'9' | b'+' | b'-') => number(&text.replace('_', "")),
        _ => Scalar::Text,
    }
}

fn number(text: &str) -> Scalar {
    let (sign, digits) = match text.strip_prefix(['+', '-']) {
        Some(digits) => (if text.starts_with('-') { -1 } else { 1 }, digits),
        None => (1, text),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match lower.get(..2) {
        Some("0x") => (16, &lower[2..]),
        Some("0b") => (2, &lower[2..]),
        Some("0o") => (8, &lower[2..]),
        Some(_) if lower.starts_with('0') => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    let is_digits = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
    let whole = i128::from_str_radix(digits, radix).ok().filter(|_| is_digits).map(|number| sign * number);
    let fits = |number: &i128| {
        let unsigned = !text.starts_with(['+', '-']);
        i64::try_from(*number).is_ok() || (unsigned && u64::try_from(*number).is_ok())
    };
    match whole.filter(fits) {
        Some(number) => Scalar::Whole(number),
        None => real(text).map_or(Scalar::Text, Scalar::Real),
    }
}

/// A number with a point or an exponent.
fn real(text: &str) -> Option<f64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_real = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && digits.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte));
    if is_real { text.parse().ok().filter(|number: &f64| number.is_finite()) } else { None }
}
