//! Sets of the rows of a segment: in memory as bits, in the file as the shortest of three forms.

/// The rows that follow, each as its distance from the one before.
const LISTED: u8 = 0;
/// All rows but those that follow.
const ALL_BUT: u8 = 1;
/// A bit for each row.
const BITS: u8 = 2;

/// A set of rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RowBits {
    words: Vec<u64>,
    rows: usize,
}

impl RowBits {
    /// Returns the empty set, of a segment of so many rows.
    pub(super) fn none(rows: usize) -> Self {
        Self { words: vec![0; rows.div_ceil(64)], rows }
    }

    /// Returns the set of all rows.
    pub(super) fn all(rows: usize) -> Self {
        let mut all = Self { words: vec![u64::MAX; rows.div_ceil(64)], rows };
        if !rows.is_multiple_of(64)
            && let Some(last) = all.words.last_mut()
        {
            *last = (1 << (rows % 64)) - 1;
        }
        all
    }

    pub(super) fn insert(&mut self, row: usize) {
        if row < self.rows {
            self.words[row / 64] |= 1 << (row % 64);
        }
    }

    fn remove(&mut self, row: usize) {
        if row < self.rows {
            self.words[row / 64] &= !(1 << (row % 64));
        }
    }

    pub(super) fn contains(&self, row: usize) -> bool {
        row < self.rows && self.words[row / 64] >> (row % 64) & 1 == 1
    }

    pub(super) fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    pub(super) fn len(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Keeps the rows that are in `other`, too.
    pub(super) fn intersect(&mut self, other: &Self) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word &= other;
        }
    }

    /// Adds the rows of `other`.
    pub(super) fn unite(&mut self, other: &Self) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word |= other;
        }
    }

    /// Removes the rows of `other`.
    pub(super) fn subtract(&mut self, other: &Self) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word &= !other;
        }
    }

    /// Returns the rows, the last one first.
    pub(super) fn descending(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.words.len()).rev().flat_map(|place| {
            let mut word = self.words[place];
            std::iter::from_fn(move || {
                let bit = 63_usize.checked_sub(word.leading_zeros() as usize)?;
                word &= !(1 << bit);
                Some(place * 64 + bit)
            })
        })
    }

    /// Appends the set in its shortest form.
    pub(super) fn encode(&self, bytes: &mut Vec<u8>) {
        let members = self.len();
        let listed = members.min(self.rows - members);
        // A distance takes a byte, or two.
        if listed * 3 / 2 >= self.rows / 8 {
            bytes.push(BITS);
            bytes.extend(self.words.iter().flat_map(|word| word.to_le_bytes()));
            return;
        }
        if members == listed {
            bytes.push(LISTED);
            self.encode_distances(bytes);
        } else {
            let mut others = Self::all(self.rows);
            others.subtract(self);
            bytes.push(ALL_BUT);
            others.encode_distances(bytes);
        }
    }

    fn encode_distances(&self, bytes: &mut Vec<u8>) {
        let mut before = 0;
        for (place, word) in self.words.iter().enumerate() {
            let mut word = *word;
            while word != 0 {
                let row = place * 64 + word.trailing_zeros() as usize;
                number(bytes, (row - before) as u64);
                before = row;
                word &= word - 1;
            }
        }
    }

    /// Reads what [`RowBits::encode`] wrote, all of `bytes`. `None`: it is something else.
    pub(super) fn decode(mut bytes: &[u8], rows: usize) -> Option<Self> {
        let (form, rest) = bytes.split_first()?;
        bytes = rest;
        if *form == BITS {
            let (words, left) = bytes.as_chunks::<8>();
            let words: Vec<_> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
            let is_whole = left.is_empty() && words.len() == rows.div_ceil(64);
            return is_whole.then_some(Self { words, rows });
        }
        let mut set = match *form {
            LISTED => Self::none(rows),
            ALL_BUT => Self::all(rows),
            _ => return None,
        };
        let mut row = 0_usize;
        while !bytes.is_empty() {
            row = row.checked_add(usize::try_from(read_number(&mut bytes)?).ok()?)?;
            if row >= rows {
                return None;
            }
            if *form == LISTED { set.insert(row) } else { set.remove(row) }
        }
        Some(set)
    }
}

/// Appends a number, seven bits in a byte.
pub(super) fn number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
}

/// Takes a number. `None`: there is none.
pub(super) fn read_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for place in 0..10 {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// Appends numbers, each as its difference from the one before.
pub(super) fn differences(numbers: impl Iterator<Item = i64>) -> Vec<u8> {
    let (mut bytes, mut before) = (Vec::new(), 0_i64);
    for value in numbers {
        let difference = value.wrapping_sub(before);
        number(&mut bytes, ((difference << 1) ^ (difference >> 63)).cast_unsigned());
        before = value;
    }
    bytes
}

/// Reads what [`differences`] wrote. `None`: it is something else.
pub(super) fn read_differences(mut bytes: &[u8]) -> Option<Vec<i64>> {
    let (mut numbers, mut value) = (Vec::new(), 0_i64);
    while !bytes.is_empty() {
        let folded = read_number(&mut bytes)?;
        let difference = (folded >> 1).cast_signed() ^ -(folded & 1).cast_signed();
        value = value.wrapping_add(difference);
        numbers.push(value);
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_survive_their_encoding() {
        for rows in [1, 63, 64, 65, 1000] {
            for step in [1, 2, 3, 50, 999, 10_000] {
                for is_inverse in [false, true] {
                    let mut set = RowBits::none(rows);
                    (0..rows).step_by(step).for_each(|row| set.insert(row));
                    if is_inverse {
                        let mut rest = RowBits::all(rows);
                        rest.subtract(&set);
                        set = rest;
                    }
                    let mut bytes = Vec::new();
                    set.encode(&mut bytes);
                    assert!(bytes.len() <= 9 + rows / 8 + 8, "{rows} {step}");
                    assert_eq!(RowBits::decode(&bytes, rows), Some(set.clone()), "{rows} {step}");
                    let descending: Vec<_> = set.descending().collect();
                    assert_eq!(descending.len(), set.len());
                    assert!(descending.is_sorted_by(|a, b| a > b));
                    assert!(descending.iter().all(|row| set.contains(*row)));
                }
            }
        }
    }

    #[test]
    fn numbers_survive_their_encoding() {
        let numbers = [0, 5, -7, i64::MAX, i64::MIN, 3];
        let bytes = differences(numbers.into_iter());
        assert_eq!(read_differences(&bytes).unwrap(), numbers);
        assert_ne!(read_differences(&bytes[..bytes.len() - 1]), Some(numbers.to_vec()));
        assert_eq!(read_differences(&[0x80]), None);
    }

    #[test]
    fn no_bytes_make_it_panic() {
        for form in 0..4 {
            for byte in [0, 1, 0x7f, 0x80, 0xff] {
                let _ = RowBits::decode(&[form, byte, byte, byte], 10);
            }
        }
        assert_eq!(RowBits::decode(&[LISTED, 10], 10), None);
        assert_eq!(RowBits::decode(&[], 10), None);
    }
}
