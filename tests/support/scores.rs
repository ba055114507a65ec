//! Reads what `score --out` wrote.

use std::path::Path;

/// A file of scores.
pub struct Scores {
    pub header: Vec<String>,
    pub rows: Vec<Scored>,
}

/// One row of it.
pub struct Scored {
    pub time: String,
    pub score: Option<f64>,
    pub alarm: bool,
    /// One a channel; none where there is no score.
    pub shares: Vec<f64>,
}

impl Scores {
    /// Reads a file and holds each row against what the contract says of rows.
    pub fn read(path: &Path) -> Self {
        let mut reader = csv::Reader::from_path(path).expect("the scores were written");
        let header: Vec<String> = reader.headers().expect("a header").iter().map(str::to_owned).collect();
        assert_eq!(header[1..3], ["score", "alarm"]);
        assert!(header[3..].iter().all(|name| name.starts_with("contribution:")), "{header:?}");
        let rows = reader.records().map(|record| Scored::read(&record.expect("as many cells as the header"))).collect();
        Self { header, rows }
    }

    /// The runs of rows in alarm, each from its first row (from 0) to its last.
    pub fn episodes(&self) -> Vec<(usize, usize)> {
        let mut episodes: Vec<(usize, usize)> = Vec::new();
        for (row, _) in self.rows.iter().enumerate().filter(|(_, row)| row.alarm) {
            match episodes.last_mut() {
                Some((_, last)) if *last + 1 == row => *last = row,
                _ => episodes.push((row, row)),
            }
        }
        episodes
    }

    /// The channels of a row, largest share first.
    pub fn leading(&self, row: usize) -> Vec<(&str, f64)> {
        let names = self.header[3..].iter().map(|name| name.trim_start_matches("contribution:"));
        let mut leading: Vec<(&str, f64)> = names.zip(self.rows[row].shares.iter().copied()).collect();
        leading.sort_by(|one, other| other.1.total_cmp(&one.1));
        leading
    }
}

impl Scored {
    fn read(record: &csv::StringRecord) -> Self {
        let number = |cell: &str| cell.parse::<f64>().expect("a number");
        let score = Some(&record[1]).filter(|cell| !cell.is_empty()).map(number);
        let shares: Vec<f64> = record.iter().skip(3).filter(|cell| !cell.is_empty()).map(number).collect();
        match score {
            Some(score) => {
                assert!(score.is_finite() && score >= 0.0, "{record:?}");
                assert_eq!(shares.len(), record.len() - 3, "{record:?}");
                assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{record:?}");
                assert!(shares.iter().all(|share| (0.0..=1.0).contains(share)), "{record:?}");
            }
            None => assert!(shares.is_empty(), "{record:?}"),
        }
        assert!(["0", "1"].contains(&&record[2]), "{record:?}");
        Self { time: record[0].to_owned(), score, alarm: &record[2] == "1", shares }
    }
}
