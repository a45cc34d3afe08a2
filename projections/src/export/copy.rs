//! The binary format of `COPY … TO STDOUT`, in which the database sends calls: no text is parsed, and none is copied.

use super::decimal::MONEY_SCALE;
use super::error::ExportError;
use bytes::{Buf as _, Bytes};
use uuid::Uuid;

/// How a stream begins.
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
/// The microseconds from 1970 to 2000, from which PostgreSQL counts.
const EPOCH_MICROS: i64 = 946_684_800_000_000;
/// The sign of a negative number.
const NEGATIVE: u16 = 0x4000;
/// The digits of a number are to this base.
const NUMERIC_BASE: i128 = 10_000;
/// The decimal places of a digit.
const DIGIT_PLACES: i64 = 4;

const MALFORMED: ExportError = ExportError::Malformed { column: "(copy)" };

/// The fields of some rows, one after the other.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) fields: Vec<Option<Bytes>>,
    /// The bytes of the fields.
    pub(super) bytes: usize,
}

/// Reads the messages of a stream. Each row is in one message, as the protocol says.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    has_begun: bool,
}

impl Decoder {
    /// Adds the rows of a message.
    pub(super) fn read(&mut self, mut message: Bytes, width: usize, rows: &mut Rows) -> Result<(), ExportError> {
        if !self.has_begun {
            self.has_begun = true;
            skip_header(&mut message)?;
        }
        while !message.is_empty() {
            match message.try_get_i16().map_err(|_| MALFORMED)? {
                // The end of the stream.
                -1 => return Ok(()),
                count if usize::try_from(count) == Ok(width) => {}
                _ => return Err(MALFORMED),
            }
            for _ in 0..width {
                let length = message.try_get_i32().map_err(|_| MALFORMED)?;
                // A negative length is that of a null.
                let field = match usize::try_from(length) {
                    Ok(length) if length <= message.len() => Some(message.split_to(length)),
                    Ok(_) => return Err(MALFORMED),
                    Err(_) => None,
                };
                rows.bytes += field.as_ref().map_or(0, Bytes::len);
                rows.fields.push(field);
            }
        }
        Ok(())
    }
}

fn skip_header(message: &mut Bytes) -> Result<(), ExportError> {
    if !message.starts_with(SIGNATURE) {
        return Err(MALFORMED);
    }
    message.advance(SIGNATURE.len());
    let _flags = message.try_get_i32().map_err(|_| MALFORMED)?;
    let extension = message.try_get_i32().map_err(|_| MALFORMED)?;
    let extension = usize::try_from(extension).ok().filter(|length| *length <= message.len());
    message.advance(extension.ok_or(MALFORMED)?);
    Ok(())
}

/// The fields of a row, which are read in the order of the statement.
pub(super) struct Fields<'r> {
    fields: std::slice::Iter<'r, Option<Bytes>>,
}

impl<'r> Fields<'r> {
    pub(super) fn of(row: &'r [Option<Bytes>]) -> Self {
        Self { fields: row.iter() }
    }

    fn next(&mut self, column: &'static str) -> Result<Option<&'r Bytes>, ExportError> {
        self.fields.next().map(Option::as_ref).ok_or(ExportError::Malformed { column })
    }

    /// The next field, of a type of fixed length.
    fn fixed<const N: usize>(&mut self, column: &'static str) -> Result<Option<[u8; N]>, ExportError> {
        let field = self.next(column)?;
        field.map(|field| field[..].try_into().map_err(|_| ExportError::Malformed { column })).transpose()
    }

    pub(super) fn text(&mut self, column: &'static str) -> Result<Option<Bytes>, ExportError> {
        Ok(self.next(column)?.cloned())
    }

    /// JSON, as text.
    pub(super) fn json(&mut self, column: &'static str) -> Result<Option<Bytes>, ExportError> {
        let field = self.next(column)?;
        // The first byte is the version of the format.
        field
            .map(|field| match field.first() {
                Some(1) => Ok(field.slice(1..)),
                _ => Err(ExportError::Malformed { column }),
            })
            .transpose()
    }

    pub(super) fn uuid(&mut self, column: &'static str) -> Result<Option<Uuid>, ExportError> {
        Ok(self.fixed(column)?.map(Uuid::from_bytes))
    }

    pub(super) fn integer(&mut self, column: &'static str) -> Result<Option<i64>, ExportError> {
        Ok(self.fixed(column)?.map(i64::from_be_bytes))
    }

    pub(super) fn boolean(&mut self, column: &'static str) -> Result<Option<bool>, ExportError> {
        Ok(self.fixed::<1>(column)?.map(|byte| byte != [0]))
    }

    /// A time, in microseconds since 1970.
    pub(super) fn time(&mut self, column: &'static str) -> Result<Option<i64>, ExportError> {
        let time = self.integer(column)?;
        time.map(|time| time.checked_add(EPOCH_MICROS).ok_or(ExportError::OutOfRange { column })).transpose()
    }

    /// An amount, in units of 10^-12.
    pub(super) fn money(&mut self, column: &'static str) -> Result<Option<i128>, ExportError> {
        let field = self.next(column)?;
        field.map(|field| numeric(field.clone()).ok_or(ExportError::OutOfRange { column })).transpose()
    }
}

/// A number of the type `numeric`, in units of 10^-12; none if it has more decimal places, is too large or is not a number.
fn numeric(mut field: Bytes) -> Option<i128> {
    let digits = field.try_get_i16().ok()?;
    let weight = i64::from(field.try_get_i16().ok()?);
    let (sign, _display_scale) = (field.try_get_u16().ok()?, field.try_get_i16().ok()?);
    let mut sum = 0_i128;
    for index in 0..i64::from(digits) {
        let digit = i128::from(field.try_get_i16().ok()?);
        let places = (weight - index) * DIGIT_PLACES + i64::from(MONEY_SCALE);
        let power = 10_i128.checked_pow(u32::try_from(places.abs()).ok()?);
        let added = match (places >= 0, digit) {
            (_, 0) => 0,
            (true, _) => digit.checked_mul(power?)?,
            (false, _) if digit % power? == 0 => digit / power?,
            (false, _) => return None,
        };
        sum = sum.checked_add(added)?;
        debug_assert!(digit < NUMERIC_BASE);
    }
    match sign {
        0 => Some(sum),
        NEGATIVE => Some(-sum),
        // Infinities, and what is not a number.
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BufMut as _;

    fn number(digits: &[i16], weight: i16, sign: u16) -> Bytes {
        let mut bytes = Vec::new();
        bytes.put_i16(i16::try_from(digits.len()).unwrap());
        bytes.put_i16(weight);
        bytes.put_u16(sign);
        bytes.put_i16(12);
        digits.iter().for_each(|digit| bytes.put_i16(*digit));
        bytes.into()
    }

    #[test]
    fn numbers_are_exact_or_none() {
        for (digits, weight, sign, expected) in [
            (&[][..], 0, 0, Some(0)),
            (&[1], 0, 0, Some(1_000_000_000_000)),
            (&[1, 5000], 0, NEGATIVE, Some(-1_500_000_000_000)),
            (&[1], -3, 0, Some(1)),
            (&[12, 3456], 1, 0, Some(123_456_000_000_000_000)),
            (&[1000], -4, 0, None),
            (&[1], 8, 0, None),
            (&[], 0, 0xC000, None),
        ] {
            assert_eq!(numeric(number(digits, weight, sign)), expected, "{digits:?} {weight}");
        }
        assert_eq!(numeric(Bytes::from_static(&[0, 1, 0])), None, "it is cut off");
    }

    fn header() -> Vec<u8> {
        [SIGNATURE, &[0; 8]].concat()
    }

    #[test]
    fn rows_are_read_with_their_nulls() {
        let mut first = header();
        first.put_i16(2);
        first.put_i32(3);
        first.put_slice(b"abc");
        first.put_i32(-1);
        let mut second = Vec::new();
        second.put_i16(2);
        second.put_i32(0);
        second.put_i32(1);
        second.put_slice(b"x");
        let (mut decoder, mut rows) = (Decoder::default(), Rows::default());
        decoder.read(first.into(), 2, &mut rows).unwrap();
        decoder.read(second.into(), 2, &mut rows).unwrap();
        decoder.read(Bytes::from_static(&[0xff, 0xff]), 2, &mut rows).unwrap();
        let texts: Vec<_> = rows.fields.iter().map(|field| field.as_deref()).collect();
        assert_eq!(texts, [Some(&b"abc"[..]), None, Some(b""), Some(b"x")]);
        assert_eq!(rows.bytes, 4);
    }

    #[test]
    fn what_is_cut_off_or_is_something_else_is_refused() {
        for message in [
            b"PGCOPY".to_vec(),
            [header(), vec![0]].concat(),
            [header(), vec![0, 1]].concat(),
            [header(), vec![0, 2, 0, 0, 0, 9, b'x']].concat(),
            [header(), vec![0, 2, 0, 0, 0, 1, b'x', 0]].concat(),
        ] {
            let read = Decoder::default().read(message.clone().into(), 2, &mut Rows::default());
            assert!(matches!(read, Err(ExportError::Malformed { .. })), "{message:?}: {read:?}");
        }
    }
}
