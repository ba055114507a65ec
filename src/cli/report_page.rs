use std::error::Error;

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::generation::quality::{Curves, Gate, Report};

/// One page with the gates, every figure beside its floor and its baselines, and pictures.
pub(super) fn page(title: &str, report: &Report) -> Result<String, Box<dyn Error>> {
    let missed = report.gates.iter().filter(|gate| !gate.met).count();
    let verdict = match missed {
        0 => "Every gate is met.".to_owned(),
        missed => format!("{missed} of {} gates are not met.", report.gates.len()),
    };
    let mut pictures = String::new();
    pictures += &figure("Windows on two principal components", &scatter(&report.pictures.scatter)?);
    for curves in &report.pictures.channels {
        let name = escaped(&curves.name);
        pictures += &format!("<h3>{name}</h3>\n<div class=\"grid\">");
        pictures += &figure("Mean, 5 % and 95 % by row", &bands(curves)?);
        pictures += &figure("Share of rows by value", &lines(&curves.marginal, false)?);
        pictures += &figure("Power by frequency (cycles a row)", &lines(&curves.spectrum, true)?);
        pictures += &figure("Autocorrelation by lag (rows)", &lines(&curves.autocorrelation, false)?);
        pictures += "</div>\n";
    }
    let title = escaped(title);
    Ok(format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Report on {title}</title>\n\
         <style>{STYLE}</style></head>\n<body>\n<h1>Report on {title}</h1>\n<p class=\"verdict\">{verdict}</p>\n\
         <ul class=\"gates\">\n{gates}</ul>\n<h2>Figures</h2>\n<p>Real: what real windows get by the same measure. Gaussian \
         and additive: a Gaussian of the flattened windows, and one whose mean is a linear model of the labels. Distances \
         are to the held-out windows.</p>\n<div class=\"wide\"><table>\n{table}</table></div>\n<h2>Pictures</h2>\n\
         <p><span class=\"real\">&#9632;</span> held-out real windows, <span class=\"made\">&#9632;</span> synthetic ones</p>\n\
         {pictures}</body></html>\n",
        gates = report.gates.iter().map(gate).collect::<String>(),
        table = table(report),
    ))
}

/// What a gate asks for, in words.
pub(super) fn bound(gate: &Gate) -> String {
    match (gate.low, gate.high) {
        (Some(low), Some(high)) => format!("to lie between {low:.3} and {high:.3}"),
        (Some(low), None) => format!("to be {low:.3} or more"),
        (None, Some(high)) => format!("to be {high:.3} or less"),
        (None, None) => "anything".to_owned(),
    }
}

fn gate(gate: &Gate) -> String {
    let (class, mark) = if gate.met { ("met", "met") } else { ("missed", "not met") };
    let name = escaped(&gate.figure);
    let meaning = escaped(&gate.meaning);
    format!(
        "<li class=\"{class}\"><b>{name}</b> {:.3}, {}: <b>{mark}</b>. When met: {meaning}.</li>\n",
        gate.found,
        bound(gate)
    )
}

fn table(report: &Report) -> String {
    let mut rows =
        "<tr><th>figure</th><th>synthetic</th><th>real</th><th>Gaussian</th><th>additive</th></tr>\n".to_owned();
    let cell = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.3}"));
    for figure in &report.figures {
        let cells = [figure.synthetic, figure.real, figure.gaussian, figure.additive];
        let cells: String = cells.map(|value| format!("<td>{}</td>", cell(value))).concat();
        let unit = if figure.unit.is_empty() { String::new() } else { format!(" ({})", escaped(&figure.unit)) };
        let (name, what) = (escaped(&figure.name), escaped(figure.what));
        rows += &format!("<tr><th>{name}<small>{what}{unit}</small></th>{cells}</tr>\n");
    }
    rows
}

fn figure(caption: &str, svg: &str) -> String {
    format!("<figure><figcaption>{caption}</figcaption>{svg}</figure>\n")
}

fn lines(pair: &[Vec<(f64, f64)>; 2], logarithmic: bool) -> Result<String, Box<dyn Error>> {
    let height = |y: f64| if logarithmic { y.max(LEAST_POWER).log10() } else { y };
    let curves = pair.each_ref().map(|curve| curve.iter().map(|&(x, y)| (x, height(y))).collect::<Vec<_>>());
    let label = |y: &f64| if logarithmic { format!("1e{y:.0}") } else { short(*y) };
    draw(&curves.concat(), &label, |chart| {
        for (curve, colour) in curves.iter().zip(COLOURS) {
            chart.draw_series(LineSeries::new(curve.iter().copied(), colour.stroke_width(2)))?;
        }
        Ok(())
    })
}

fn bands(curves: &Curves) -> Result<String, Box<dyn Error>> {
    let at = |side: usize, which: usize| {
        curves.bands[side].iter().enumerate().map(move |(row, band)| (row as f64, band[which])).collect::<Vec<_>>()
    };
    let all: Vec<(f64, f64)> =
        [(0, 0), (0, 2), (1, 0), (1, 2)].iter().flat_map(|&(side, which)| at(side, which)).collect();
    draw(&all, &|y| short(*y), |chart| {
        for (side, colour) in COLOURS.into_iter().enumerate() {
            for (which, width) in [(0, 1), (1, 2), (2, 1)] {
                chart.draw_series(LineSeries::new(at(side, which), colour.stroke_width(width)))?;
            }
        }
        Ok(())
    })
}

fn scatter(pair: &[Vec<(f64, f64)>; 2]) -> Result<String, Box<dyn Error>> {
    draw(&pair.concat(), &|y| short(*y), |chart| {
        for (points, colour) in pair.iter().zip(COLOURS) {
            chart.draw_series(points.iter().map(|&point| Circle::new(point, 2, colour.mix(0.6).filled())))?;
        }
        Ok(())
    })
}

type Chart<'c, 's> = ChartContext<'c, SVGBackend<'s>, Cartesian2d<RangedF64, RangedF64>>;
type RangedF64 = plotters::coord::types::RangedCoordf64;
type Drawn = Result<(), Box<dyn Error>>;

fn draw(
    points: &[(f64, f64)],
    label: &dyn Fn(&f64) -> String,
    series: impl Fn(&mut Chart<'_, '_>) -> Drawn,
) -> Result<String, Box<dyn Error>> {
    let mut svg = String::new();
    {
        let root: DrawingArea<SVGBackend<'_>, Shift> =
            SVGBackend::with_string(&mut svg, (360, 240)).into_drawing_area();
        let range = |value: fn(&(f64, f64)) -> f64| {
            let low = points.iter().map(value).fold(f64::INFINITY, f64::min);
            let high = points.iter().map(value).fold(f64::NEG_INFINITY, f64::max);
            let room = if high > low { 0.04 * (high - low) } else { 1.0 };
            low - room..high + room
        };
        let mut chart = ChartBuilder::on(&root)
            .margin(8)
            .x_label_area_size(28)
            .y_label_area_size(48)
            .build_cartesian_2d(range(|point| point.0), range(|point| point.1))?;
        chart
            .configure_mesh()
            .x_labels(5)
            .y_labels(5)
            .label_style(("sans-serif", 13))
            .x_label_formatter(&|x| short(*x))
            .y_label_formatter(&label)
            .light_line_style(TRANSPARENT)
            .draw()?;
        series(&mut chart)?;
        root.present()?;
    }
    Ok(svg)
}

/// A number in few characters.
fn short(value: f64) -> String {
    let text = match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 1.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    };
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Held-out real, synthetic.
const COLOURS: [RGBColor; 2] = [RGBColor(40, 110, 180), RGBColor(215, 95, 30)];
const LEAST_POWER: f64 = 1e-12;
const STYLE: &str = "body{font:16px system-ui,sans-serif;margin:1rem auto;max-width:76rem;padding:0 1rem;color:#222;\
background:#fff}h1{font-size:1.4rem;overflow-wrap:anywhere}.verdict{font-weight:bold}.gates{list-style:none;padding:0}\
.gates li{border-left:.3rem solid #2a8a4a;padding:.2rem .6rem;margin:.4rem 0}.gates li.missed{border-color:#d64541}\
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:.85rem}th{text-align:left;font-weight:600}\
td,tr:first-child th+th{text-align:right;padding-left:.6rem}td{font-variant-numeric:tabular-nums}\
th small{display:block;font-weight:400;opacity:.75}tr{border-bottom:1px solid #8884}\
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,17rem),1fr));gap:.5rem}\
figure{margin:0;max-width:30rem}figcaption{font-size:.85rem}svg{width:100%;height:auto}\
.real{color:#286eb4}.made{color:#d75f1e}\
@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}\
svg,.real,.made{filter:invert(.9) hue-rotate(180deg)}}";
