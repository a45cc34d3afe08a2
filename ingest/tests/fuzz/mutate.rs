//! Random changes of inputs, repeatable by their seed.

/// The longest input, in bytes.
const MAX_BYTES: usize = 64 * 1024;

/// Numbers at the edges of what types and limits hold.
const NUMBERS: [&str; 20] = [
    "0",
    "-1",
    "1",
    "9007199254740991",
    "9007199254740992",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "1e308",
    "1e309",
    "-0.0",
    "1e-400",
    "0.1",
    "NaN",
    "4294967296",
    "253402300800",
    "79228162514264337593543950335",
    "79228162514264337593543950336",
    "null",
];

/// Texts at the edges of what formats hold.
const TEXTS: [&[u8]; 16] = [
    b"\0",
    b"\\u0000",
    b"\xff\xff\xff\xff",
    b"\xc3\x28",
    "\u{202e}".as_bytes(),
    "\u{feff}".as_bytes(),
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b"[[[[[[[[[[[[[[[[",
    b",",
    b"\n",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
];

/// A generator of random numbers (SplitMix64).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below a limit, which is at least 1.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        let number = self.next() % u64::try_from(limit.max(1)).unwrap_or(u64::MAX);
        usize::try_from(number).unwrap_or_default()
    }

    fn pick<'a, T>(&mut self, list: &'a [T]) -> Option<&'a T> {
        list.get(self.below(list.len()))
    }
}

/// An input of the corpus after one to eight changes.
pub(crate) fn mutated(corpus: &[Vec<u8>], dictionary: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut input = random.pick(corpus).cloned().unwrap_or_default();
    for _ in 0..=random.below(8) {
        change(&mut input, corpus, dictionary, random);
    }
    input.truncate(MAX_BYTES);
    input
}

fn change(input: &mut Vec<u8>, corpus: &[Vec<u8>], dictionary: &[Vec<u8>], random: &mut Random) {
    let at = random.below(input.len());
    let longest = 1 << random.below(8);
    let end = (at + 1 + random.below(longest)).min(input.len());
    match random.below(11) {
        _ if input.is_empty() => input.push(random.next().to_le_bytes()[0]),
        0 => input[at] ^= 1 << random.below(8),
        1 => input[at] = random.next().to_le_bytes()[0],
        2 => drop(input.drain(at..end)),
        3 => {
            let copy = input[at..end].to_vec();
            input.splice(at..at, copy);
        }
        4 => input.truncate(at),
        5 => {
            let copies = input[at..end].repeat(1 << random.below(8));
            input.splice(at..end, copies);
        }
        6 => insert(input, at, random.pick(&TEXTS).copied().unwrap_or_default()),
        7 => insert(input, at, random.pick(dictionary).map(Vec::as_slice).unwrap_or_default()),
        8 => {
            let other = random.pick(corpus).cloned().unwrap_or_default();
            let from = random.below(other.len());
            input.truncate(at);
            input.extend(other.get(from..).unwrap_or_default());
        }
        // Numbers of text, twice as often as other changes: what they count is what matters.
        _ => {
            let number = random.pick(&NUMBERS).copied().unwrap_or_default();
            let digits = number_from(input, at);
            input.splice(digits, number.bytes());
        }
    }
}

fn insert(input: &mut Vec<u8>, at: usize, inserted: &[u8]) {
    input.splice(at..at, inserted.iter().copied());
}

/// The first number of text from a place on; nothing if none follows.
fn number_from(input: &[u8], at: usize) -> std::ops::Range<usize> {
    let start = input[at..].iter().position(u8::is_ascii_digit).map_or(input.len(), |found| at + found);
    let len = input[start..].iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'.').count();
    start..start + len
}
