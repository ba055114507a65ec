use serde::Deserialize;

/// Inputs with the outputs that PyTorch computed from them, `[channels][time]` each.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TestVectors {
    pub cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    pub input: Vec<Vec<f32>>,
    pub output: Vec<Vec<f32>>,
}

impl Case {
    /// The number of columns, if input and output are whole and of `channels` rows.
    pub fn length(&self, channels: usize) -> Option<usize> {
        let columns = self.input.first()?.len();
        let whole = |rows: &[Vec<f32>]| rows.len() == channels && rows.iter().all(|row| row.len() == columns);
        (whole(&self.input) && whole(&self.output)).then_some(columns)
    }

    /// The input's columns, oldest first.
    pub fn columns(&self) -> impl Iterator<Item = Vec<f32>> {
        let length = self.input.first().map_or(0, Vec::len);
        (0..length).map(|t| self.input.iter().map(|row| row[t]).collect())
    }
}
