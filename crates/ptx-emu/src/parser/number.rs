//! Constants (PTX ISA 4.5).

/// A constant without its sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Number {
    /// Decimal, hexadecimal, octal or binary, with or without `U`.
    Int(u64),
    /// `0fXXXXXXXX`
    Single(u32),
    /// `0dXXXXXXXXXXXXXXXX`, or decimal with a point or an exponent.
    Double(u64),
}

/// The value of a token that begins with a digit; none where it is malformed or has more than 64
/// bits.
pub(super) fn number(text: &str) -> Option<Number> {
    let bytes = text.as_bytes();
    match bytes {
        [b'0', b'f' | b'F', ..] => {
            let digits = hexadecimal(&text[2..], 8)?;
            u32::from_str_radix(digits, 16).ok().map(Number::Single)
        }
        [b'0', b'd' | b'D', ..] => {
            let digits = hexadecimal(&text[2..], 16)?;
            u64::from_str_radix(digits, 16).ok().map(Number::Double)
        }
        [b'0', b'x' | b'X', ..] => integer(&text[2..], 16),
        [b'0', b'b' | b'B', ..] => integer(&text[2..], 2),
        _ if bytes.iter().any(|b| matches!(b, b'.' | b'e' | b'E')) => {
            let value: f64 = text.parse().ok()?;
            Some(Number::Double(value.to_bits()))
        }
        [b'0', b'0'..=b'9', ..] => integer(&text[1..], 8),
        _ => integer(text, 10),
    }
}

fn integer(digits: &str, radix: u32) -> Option<Number> {
    let digits = digits.strip_suffix('U').unwrap_or(digits);
    u64::from_str_radix(digits, radix).ok().map(Number::Int)
}

/// `digits`, where they are exactly `count` hexadecimal ones.
fn hexadecimal(digits: &str, count: usize) -> Option<&str> {
    let sound = digits.len() == count && digits.bytes().all(|b| b.is_ascii_hexdigit());
    sound.then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::{Number, number};

    #[test]
    fn integers_of_every_radix() {
        let cases = [
            ("0", 0),
            ("7", 7),
            ("4294967295U", 0xffff_ffff),
            ("18446744073709551615", u64::MAX),
            ("0x1F", 31),
            ("0XfU", 15),
            ("0xffffffffffffffff", u64::MAX),
            ("0777", 511),
            ("00", 0),
            ("017U", 15),
            ("0b101", 5),
            ("0B11U", 3),
        ];
        for (text, value) in cases {
            assert_eq!(number(text), Some(Number::Int(value)), "{text}");
        }
    }

    #[test]
    fn floats() {
        let cases = [
            ("0f3F800000", Number::Single(0x3f80_0000)),
            ("0Fff800000", Number::Single(0xff80_0000)),
            ("0d3FF8000000000000", Number::Double(1.5_f64.to_bits())),
            ("0D0000000000000000", Number::Double(0)),
            ("1.5", Number::Double(1.5_f64.to_bits())),
            ("2.", Number::Double(2.0_f64.to_bits())),
            ("1e3", Number::Double(1000.0_f64.to_bits())),
            ("25.0E-2", Number::Double(0.25_f64.to_bits())),
            ("09.5", Number::Double(9.5_f64.to_bits())),
        ];
        for (text, value) in cases {
            assert_eq!(number(text), Some(value), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_number() {
        let cases = [
            "18446744073709551616",
            "0x1ffffffffffffffff",
            "0x",
            "0xg",
            "0b2",
            "08",
            "12u",
            "12UU",
            "1_0",
            "0f3F80000",
            "0f3F8000000",
            "0f3F80000g",
            "0d3FF8",
            "1.5.2",
            "1e",
            "3abc",
        ];
        for text in cases {
            assert_eq!(number(text), None, "{text}");
        }
    }
}
