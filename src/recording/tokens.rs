use std::ops::Range;

/// Where rows and cells lie in a delimited text; the same that the reader row by row finds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tokens {
    /// `None`: one column, a line is a row.
    pub separator: Option<u8>,
}

/// A cell's place in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    /// With its quotes.
    pub outer: Range<usize>,
    /// Without them.
    pub inner: Range<usize>,
}

impl Tokens {
    /// Finds the cells of the row that begins here and gives where the next one begins; `None` at the end.
    pub fn next(self, bytes: &[u8], from: usize, cells: &mut Vec<Cell>) -> Option<usize> {
        cells.clear();
        match self.separator {
            Some(separator) => row(bytes, from, separator, cells),
            None => line(bytes, from, cells),
        }
    }

    /// What a cell says, without quotes.
    pub fn text(self, bytes: &[u8], cell: &Cell) -> String {
        let outer = &bytes[cell.outer.clone()];
        match self.separator.is_some() && outer.first() == Some(&b'"') {
            true => String::from_utf8_lossy(&unescaped(outer)).into_owned(),
            false => String::from_utf8_lossy(&bytes[cell.inner.clone()]).into_owned(),
        }
    }
}

fn row(bytes: &[u8], from: usize, separator: u8, cells: &mut Vec<Cell>) -> Option<usize> {
    let ends_line = |at: usize| matches!(bytes.get(at), Some(b'\n' | b'\r'));
    let mut at = from;
    while ends_line(at) {
        at += 1;
    }
    if at >= bytes.len() {
        return None;
    }
    loop {
        let start = at;
        if bytes.get(at) == Some(&b'"') {
            at = after_quotes(bytes, at);
        }
        while at < bytes.len() && bytes[at] != separator && !ends_line(at) {
            at += 1;
        }
        let outer = start..at;
        cells.push(Cell { inner: inside_quotes(&bytes[outer.clone()], start), outer });
        if bytes.get(at) == Some(&separator) {
            at += 1;
            continue;
        }
        let pair = bytes.get(at) == Some(&b'\r') && bytes.get(at + 1) == Some(&b'\n');
        return Some((at + 1 + usize::from(pair)).min(bytes.len()));
    }
}

/// Behind the closing quote of what opens here, or at the end of the text.
fn after_quotes(bytes: &[u8], open: usize) -> usize {
    let mut at = open + 1;
    while at < bytes.len() {
        match (bytes[at], bytes.get(at + 1)) {
            (b'"', Some(b'"')) => at += 2,
            (b'"', _) => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn line(bytes: &[u8], from: usize, cells: &mut Vec<Cell>) -> Option<usize> {
    if from >= bytes.len() {
        return None;
    }
    let length = bytes[from..].iter().position(|byte| *byte == b'\n');
    let end = length.map_or(bytes.len(), |length| from + length);
    let trimmed = bytes[from..end].trim_ascii();
    let start = from + bytes[from..end].len() - bytes[from..end].trim_ascii_start().len();
    let outer = start..start + trimmed.len();
    let leading = trimmed.iter().take_while(|byte| **byte == b'"').count();
    let trailing = trimmed[leading..].iter().rev().take_while(|byte| **byte == b'"').count();
    cells.push(Cell { inner: outer.start + leading..outer.end - trailing, outer });
    Some((end + 1).min(bytes.len()))
}

/// What stands between the quotes of a cell that is quoted as a whole; else all of it.
fn inside_quotes(outer: &[u8], start: usize) -> Range<usize> {
    match outer {
        [b'"', inner @ .., b'"'] => start + 1..start + 1 + inner.len(),
        all => start..start + all.len(),
    }
}

/// Takes quotes away as a reader does that goes from byte to byte: a pair within quotes is one, and what follows the closing
/// quote belongs to the cell as it stands.
fn unescaped(outer: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(outer.len());
    let mut at = 1;
    while at < outer.len() {
        match (outer[at], outer.get(at + 1)) {
            (b'"', Some(b'"')) => {
                text.push(b'"');
                at += 2;
            }
            (b'"', _) => {
                text.extend_from_slice(&outer[at + 1..]);
                break;
            }
            (byte, _) => {
                text.push(byte);
                at += 1;
            }
        }
    }
    text
}
