//! Numbers as invoices write them, read exactly.

use crate::text::quoted;
use domain::invoice::Figure;
use thiserror::Error;

/// The decimal places of a figure.
const PLACES: usize = 12;
/// The most digits of a line before the decimal point.
const MAX_INTEGER_DIGITS: usize = 15;
/// The longest number that is read, in bytes.
const MAX_BYTES: usize = 128;
/// The largest exponent.
const MAX_EXPONENT: i32 = 60;

/// The decimal mark of numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DecimalMark {
    /// `1,234.56`.
    #[default]
    Point,
    /// `1.234,56`.
    Comma,
}

/// Why a text is not a number.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NumberError {
    /// It is not digits.
    #[error("{0:?} is not a number")]
    NotANumber(String),
    /// It has too many digits.
    #[error("{0:?} has more than 15 digits before the decimal point")]
    TooLarge(String),
    /// It is a quantity below zero.
    #[error("{0:?} is below zero, which a quantity is not")]
    Negative(String),
}

/// A number, and whether it was rounded half to even at the twelfth decimal place.
pub(super) fn number(text: &str, mark: DecimalMark) -> Result<(Figure, bool), NumberError> {
    let not_a_number = || NumberError::NotANumber(quoted(text));
    if text.len() > MAX_BYTES {
        return Err(not_a_number());
    }
    let (is_negative, unsigned) = unsigned(text.trim());
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| not_a_number())?),
        None => (unsigned, 0),
    };
    if exponent.abs() > MAX_EXPONENT {
        return Err(not_a_number());
    }
    let (whole, fraction) = parts(mantissa, mark).ok_or_else(not_a_number)?;
    let (figure, is_rounded) =
        figure(&whole, &fraction, exponent).ok_or_else(|| NumberError::TooLarge(quoted(text)))?;
    Ok((if is_negative { -figure } else { figure }, is_rounded))
}

/// A number without its sign and the symbol of dollars; parentheses are those of an accountant.
fn unsigned(text: &str) -> (bool, &str) {
    let (is_negative, text) = match text.strip_prefix('(').and_then(|text| text.strip_suffix(')')) {
        Some(inner) => (true, inner),
        None => (false, text),
    };
    let symbol = |text| str::strip_prefix(text, '$').unwrap_or(text).trim();
    let text = symbol(text.trim_end_matches("USD").trim());
    match text.strip_prefix(['-', '\u{2212}']) {
        Some(rest) => (!is_negative, symbol(rest)),
        None => (is_negative, text.strip_prefix('+').unwrap_or(text)),
    }
}

/// The digits before and after the decimal mark, without separators of thousands.
fn parts(mantissa: &str, mark: DecimalMark) -> Option<(String, String)> {
    let (mark, separator) = match mark {
        DecimalMark::Point => ('.', ','),
        DecimalMark::Comma => (',', '.'),
    };
    let (whole, fraction) = mantissa.split_once(mark).unwrap_or((mantissa, ""));
    let is_separator = |c: char| c == separator || matches!(c, ' ' | '\u{a0}' | '\u{202f}' | '\'');
    let groups: Vec<_> = whole.split(is_separator).collect();
    // A separator that is not one of thousands is a mark of the other kind.
    let are_thousands =
        groups.iter().skip(1).all(|group| group.len() == 3) && groups.first().is_some_and(|first| first.len() <= 3);
    if groups.len() > 1 && !are_thousands {
        return None;
    }
    let whole = groups.concat();
    let is_plain = |digits: &str| digits.bytes().all(|digit| digit.is_ascii_digit());
    let has_digits = !whole.is_empty() || !fraction.is_empty();
    (has_digits && is_plain(&whole) && is_plain(fraction)).then(|| (whole, fraction.to_owned()))
}

/// The figure of digits; none if it is too large.
fn figure(whole: &str, fraction: &str, exponent: i32) -> Option<(Figure, bool)> {
    let digits = format!("{whole}{fraction}");
    let point = i32::try_from(whole.len()).ok()? + exponent;
    let zeros = |count: i32| "0".repeat(usize::try_from(count).unwrap_or_default());
    let length = i32::try_from(digits.len()).ok()?;
    // All digits, with as many zeros that the point is among them.
    let digits = format!("{}{digits}{}", zeros(-point), zeros(point - length));
    let (whole, fraction) = digits.split_at(usize::try_from(point.max(0)).ok()?);
    let whole = whole.trim_start_matches('0');
    if whole.len() > MAX_INTEGER_DIGITS {
        return None;
    }
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let (kept, rest) = fraction.split_at(fraction.len().min(PLACES));
    let kept: i128 = format!("{kept:0<12}").parse().ok()?;
    let pico = whole * 1_000_000_000_000 + kept;
    let rest = rest.trim_end_matches('0');
    let rounds_up = match rest.as_bytes() {
        [] => false,
        [b'5'] => pico % 2 == 1,
        [first, ..] => *first >= b'5',
    };
    let figure = Figure::from_pico(pico + i128::from(rounds_up));
    figure.is_of_a_line().then_some((figure, !rest.is_empty()))
}
