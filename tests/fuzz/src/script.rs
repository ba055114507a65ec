//! Inputs that are sequences: one line, one event.

/// A line: a word, then what belongs to it.
#[derive(Clone, Copy)]
pub struct Line<'d> {
    pub word: &'d str,
    pub rest: &'d [u8],
}

/// The lines of an input, as many as a target can go through in a moment.
pub fn lines(data: &[u8], most: usize) -> impl Iterator<Item = Line<'_>> {
    data.split(|byte| *byte == b'\n').take(most).map(|line| {
        let (word, rest) = split_word(line);
        Line { word: std::str::from_utf8(word).unwrap_or_default(), rest }
    })
}

impl<'d> Line<'d> {
    /// The next word of the rest, and the line behind it.
    pub fn next(self) -> (&'d str, Self) {
        let (word, rest) = split_word(self.rest);
        (std::str::from_utf8(word).unwrap_or_default(), Line { rest, ..self })
    }

    /// The rest as text; empty where it is none.
    pub fn text(self) -> &'d str {
        std::str::from_utf8(self.rest).unwrap_or_default()
    }

    /// The next word as a number; 0 where it is none.
    pub fn number<T: std::str::FromStr + Default>(self) -> T {
        self.next().0.parse().unwrap_or_default()
    }
}

fn split_word(line: &[u8]) -> (&[u8], &[u8]) {
    match line.iter().position(|byte| *byte == b' ') {
        Some(end) => (&line[..end], &line[end + 1..]),
        None => (line, &[]),
    }
}
