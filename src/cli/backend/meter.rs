//! Meters as GraphQL names them.

use domain::Meter;

/// The name of a meter in GraphQL, where what follows a number is a word of its own.
pub(in crate::cli) fn meter_name(meter: Meter) -> String {
    let (mut name, mut is_after_number) = (String::new(), false);
    for letter in meter.name().chars() {
        if is_after_number && letter.is_ascii_alphabetic() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
        is_after_number = letter.is_ascii_digit();
    }
    name
}
