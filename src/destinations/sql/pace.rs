//! The number of rows to add at once, so that refused rows are found one by one. Pure.

/// The rows of the next statement.
#[derive(Debug)]
pub(super) struct Pace {
    /// Rows to be tried together.
    size: usize,
    /// Rows before one that is suspected.
    suspect: Option<usize>,
    /// True if no line was wrong yet.
    trusts_lines: bool,
}

impl Pace {
    /// Begins with all rows.
    pub(super) const fn new(rows: usize) -> Self {
        Self { size: rows, suspect: None, trusts_lines: true }
    }

    /// Returns how many of the rows that are left are next: at least one.
    pub(super) fn next(&self, left: usize) -> usize {
        self.suspect.unwrap_or(self.size).clamp(1, left.max(1))
    }

    /// Records that this many rows were added.
    pub(super) const fn added(&mut self, rows: usize) {
        match self.suspect {
            // The suspected one was taken after all.
            Some(0) => {
                self.suspect = None;
                self.trusts_lines = false;
            }
            Some(before) => self.suspect = Some(before - rows),
            None => self.size = self.size.saturating_mul(2),
        }
    }

    /// Records that this many rows were refused together, because of the one at `line` if known.
    pub(super) fn refused(&mut self, rows: usize, line: Option<usize>) {
        let was_suspect = self.suspect.take().is_some();
        if rows == 1 {
            // What comes behind a refused row is sent in vain.
            self.size = (self.size / 2).max(1);
            return;
        }
        self.trusts_lines &= !was_suspect;
        self.suspect = line.filter(|line| self.trusts_lines && *line < rows);
        if self.suspect.is_none() {
            self.size = rows / 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds rows of which some are refused, with statements that report the row always, sometimes
    /// or never.
    fn add(rows: usize, bad: &[usize], says: fn(usize) -> Option<usize>) -> (Vec<usize>, usize) {
        let (mut pace, mut at, mut refused, mut statements) = (Pace::new(rows), 0, Vec::new(), 0);
        while at < rows {
            statements += 1;
            let part = pace.next(rows - at);
            match bad.iter().find(|bad| (at..at + part).contains(bad)) {
                None => {
                    pace.added(part);
                    at += part;
                }
                Some(first) => {
                    pace.refused(part, says(first - at));
                    if part == 1 {
                        refused.push(at);
                        at += 1;
                    }
                }
            }
        }
        (refused, statements)
    }

    #[test]
    fn exactly_the_refused_rows_are_found_whatever_the_server_says() {
        let every: Vec<_> = (0..200).collect();
        for bad in [&[][..], &[0], &[199], &[7, 8, 100], &every] {
            for says in [Some, |_| None, |line| Some(line + 1), |_| Some(0)] {
                let (refused, statements) = add(200, bad, says);
                assert_eq!(refused, bad);
                assert!(statements <= 12 + 24 * bad.len(), "{statements} for {}", bad.len());
            }
        }
        assert_eq!(add(10_000, &[], Some).1, 1);
        assert!(add(10_000, &[5000], Some).1 <= 6);
    }
}
