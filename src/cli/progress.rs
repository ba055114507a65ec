use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// Shows how far long work is, on a terminal only.
pub(super) struct Progress {
    /// Nothing where nobody looks.
    shown: Option<Shown>,
    what: &'static str,
    /// None where there is no end to it.
    whole: Option<u64>,
}

struct Shown {
    started: Instant,
    newest: Option<Instant>,
}

impl Progress {
    pub fn new(what: &'static str, whole: Option<u64>) -> Self {
        let shown = io::stderr().is_terminal().then(|| Shown { started: Instant::now(), newest: None });
        Self { shown, what, whole }
    }

    pub fn tell(&mut self, made: u64) {
        let Some(shown) = &mut self.shown else { return };
        if shown.newest.is_some_and(|newest| newest.elapsed() < BETWEEN) {
            return;
        }
        shown.newest = Some(Instant::now());
        show(&format!("\r\x1b[K{}", line(made, self.whole, shown.started.elapsed(), self.what)));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown.is_some() {
            show("\r\x1b[K");
        }
    }
}

fn line(made: u64, whole: Option<u64>, passed: Duration, what: &str) -> String {
    let rate = made as f64 / passed.as_secs_f64().max(1e-9);
    // Slow work is not said to stand still.
    let digits = if rate < 10.0 { 1 } else { 0 };
    let Some(whole) = whole else { return format!("{made} {what}, {rate:.digits$} a second") };
    let share = made as f64 / whole.max(1) as f64;
    let done = ((share * BAR as f64) as usize).min(BAR);
    let (bar, rest) = ("#".repeat(done), ".".repeat(BAR - done));
    let left = match made {
        0 => String::new(),
        _ => format!(", {} left", span((whole - made.min(whole)) as f64 / rate)),
    };
    format!("[{bar}{rest}] {made} of {whole} {what}, {rate:.digits$} a second{left}")
}

fn span(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// Where this cannot be shown there is nobody to see it.
fn show(text: &str) {
    let mut error = io::stderr().lock();
    let _ = error.write_all(text.as_bytes()).and_then(|()| error.flush());
}

const BETWEEN: Duration = Duration::from_millis(100);
/// In characters.
const BAR: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_tells_the_share_the_rate_and_the_time_left() {
        let told = line(640, Some(2560), Duration::from_secs(4), "windows");
        assert_eq!(told, "[######..................] 640 of 2560 windows, 160 a second, 12 s left");
        let told = line(1, Some(7200), Duration::from_secs(1), "windows");
        assert_eq!(told, "[........................] 1 of 7200 windows, 1.0 a second, 1 h 59 min left");
    }

    #[test]
    fn what_has_no_end_has_no_time_left() {
        assert_eq!(line(30, None, Duration::from_secs(60), "rows"), "30 rows, 0.5 a second");
    }
}
