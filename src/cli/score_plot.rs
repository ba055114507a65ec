use std::error::Error;

use plotters::prelude::*;

use crate::machine::Observation;
use crate::recording::Row;

/// Collects a recording's scores and draws them as one self-contained page.
#[derive(Default)]
pub(super) struct ScorePlot {
    points: Vec<Point>,
    first: Option<String>,
    last: String,
    /// Rows that one point stands for.
    stride: usize,
    pending: usize,
}

/// The highest score of a few rows.
#[derive(Clone, Copy)]
struct Point {
    row: usize,
    score: Option<f64>,
    holds: bool,
}

impl ScorePlot {
    pub fn add(&mut self, row: &Row, observation: &Observation) {
        self.stride = self.stride.max(1);
        self.first.get_or_insert_with(|| row.label.clone());
        self.last.clone_from(&row.label);
        let number = self.points.last().map_or(0, |point| point.row) + 1;
        let point = Point { row: number, score: observation.score, holds: observation.holds };
        if self.pending == 0 {
            self.points.push(point);
        } else if let Some(newest) = self.points.last_mut() {
            *newest = newest.joined(point);
        }
        self.pending = (self.pending + 1) % self.stride;
        if self.points.len() == 2 * MOST_POINTS {
            self.points = self.points.chunks(2).map(|pair| pair[0].joined(pair[pair.len() - 1])).collect();
            self.stride *= 2;
        }
    }

    /// The page: the scores against their limit, episodes shaded.
    pub fn page(&self, title: &str) -> Result<String, Box<dyn Error>> {
        let picture = self.picture()?;
        let title = escaped(title);
        let (first, last) = (escaped(self.first.as_deref().unwrap_or_default()), escaped(&self.last));
        Ok(format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Scores of {title}</title>\n\
             <style>body{{font:16px system-ui,sans-serif;margin:1rem auto;max-width:72rem;padding:0 1rem;color:#222;\
             background:#fff}}svg{{width:100%;height:auto}}</style></head>\n<body>\n<h1>Scores of {title}</h1>\n\
             <p>From {first} to {last}. The line at 1 is the limit; shaded: the alarm's condition holds.</p>\n{picture}\n\
             </body></html>\n"
        ))
    }

    fn picture(&self) -> Result<String, Box<dyn Error>> {
        let mut svg = String::new();
        {
            let root = SVGBackend::with_string(&mut svg, (1100, 420)).into_drawing_area();
            let rows = self.points.last().map_or(1, |point| point.row);
            let highest = self.points.iter().filter_map(|point| point.score).fold(1.5, f64::max);
            let mut chart = ChartBuilder::on(&root)
                .margin(10)
                .x_label_area_size(40)
                .y_label_area_size(50)
                .build_cartesian_2d(0..rows, (LOWEST..highest * 1.2).log_scale())?;
            chart
                .configure_mesh()
                .x_desc("row")
                .y_desc("score")
                .y_label_formatter(&|score| format!("{score}"))
                .light_line_style(WHITE)
                .draw()?;
            for run in self.points.chunk_by(|one, other| one.holds == other.holds).filter(|run| run[0].holds) {
                let area = [(run[0].row, LOWEST), (run[run.len() - 1].row + 1, highest * 1.2)];
                chart.draw_series([Rectangle::new(area, RGBColor(214, 69, 65).mix(0.18).filled())])?;
            }
            chart.draw_series(LineSeries::new([(0, 1.0), (rows, 1.0)], RGBColor(214, 69, 65)))?;
            for run in self.points.chunk_by(|one, other| one.score.is_some() == other.score.is_some()) {
                let line = run.iter().filter_map(|point| Some((point.row, point.score?.max(LOWEST))));
                chart.draw_series(LineSeries::new(line, RGBColor(31, 90, 150)))?;
            }
            root.present()?;
        }
        Ok(svg)
    }
}

impl Point {
    fn joined(self, other: Self) -> Self {
        Self {
            row: other.row,
            score: match (self.score, other.score) {
                (Some(one), Some(other)) => Some(one.max(other)),
                (one, other) => one.or(other),
            },
            holds: self.holds || other.holds,
        }
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// More points than this cannot be told apart in a picture.
const MOST_POINTS: usize = 2000;
/// Scores below this are drawn at the bottom: the scale is logarithmic, as distances from sound are.
const LOWEST: f64 = 0.03;
