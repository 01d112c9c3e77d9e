//! A picture of a run: losses above, accuracy below, over the epochs.

use std::fmt::Write as _;

use super::checkpoint::{Epoch, Evaluation};

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 560.0;
/// Left and right edge of both panels.
const LEFT: f64 = 72.0;
const RIGHT: f64 = WIDTH - 24.0;
/// Top and bottom of the panels.
const LOSS_PANEL: (f64, f64) = (64.0, 282.0);
const ACCURACY_PANEL: (f64, f64) = (328.0, 500.0);

/// Colours that are told apart whatever the eye (Okabe and Ito, 2008).
const TRAINING: &str = "#0072B2";
const TESTING: &str = "#D55E00";
const INK: &str = "#333333";
const GRID: &str = "#DDDDDD";

/// Labels along an axis, about.
const TICKS: f64 = 5.0;

/// An axis: values, where they lie, and a step for its labels.
#[derive(Debug, Clone, Copy)]
struct Axis {
    low: f64,
    high: f64,
    /// Coordinates of `low` and `high`.
    ends: (f64, f64),
    step: f64,
}

impl Axis {
    /// An axis over `low` to `high`, widened to whole steps of 1, 2 or 5 times a power of 10.
    fn new(low: f64, high: f64, smallest_step: f64, ends: (f64, f64)) -> Self {
        let rough = ((high - low) / TICKS).max(1e-9);
        let power = 10f64.powf(rough.log10().floor());
        let factor = [1.0, 2.0, 5.0].into_iter().find(|f| f * power >= rough);
        let step = (factor.unwrap_or(10.0) * power).max(smallest_step);
        Self {
            low: (low / step).floor() * step,
            high: (high / step).ceil() * step,
            ends,
            step,
        }
    }

    fn at(&self, value: f64) -> f64 {
        let part = (value - self.low) / (self.high - self.low).max(1e-9);
        self.ends.0 + part * (self.ends.1 - self.ends.0)
    }

    fn ticks(&self) -> impl Iterator<Item = f64> {
        let (low, high, step) = (self.low, self.high, self.step);
        let ticks = (0u32..).map(move |k| low + f64::from(k) * step);
        ticks.take_while(move |tick| *tick <= high + step / 2.0)
    }

    /// A value with as many digits as the step has.
    fn label(&self, value: f64) -> String {
        let digits = if self.step >= 1.0 {
            0
        } else if self.step >= 0.1 {
            1
        } else {
            2
        };
        format!("{value:.digits$}")
    }
}

/// The picture, as SVG. `title` stands above it.
pub fn svg(epochs: &[Epoch], title: &str) -> String {
    let last = epochs.last().map_or(1, |e| e.epoch).max(1);
    let first = epochs.first().map_or(1, |e| e.epoch);
    let mut x = Axis::new(0.0, f64::from(last), 1.0, (LEFT, RIGHT));
    x.high = f64::from(last);
    let points = |value: &dyn Fn(&Epoch) -> Option<f64>| -> Vec<(f64, f64)> {
        let points = epochs.iter();
        points
            .filter_map(|e| Some((f64::from(e.epoch), value(e)?)))
            .collect()
    };
    let training = points(&|e| Some(e.loss));
    let testing = points(&|e| Some(e.test?.loss));
    let accuracy = points(&|e| Some(100.0 * e.test?.accuracy()));

    let mut out = String::new();
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" \
         height=\"{HEIGHT}\" font-family=\"sans-serif\" font-size=\"13\" fill=\"{INK}\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n"
    );
    text(&mut out, (LEFT, 28.0), "start", 16, &escaped(title));

    let losses = training.iter().chain(&testing).map(|p| p.1);
    let top = losses.fold(0.0, f64::max);
    let y = Axis::new(0.0, top, 0.0, (LOSS_PANEL.1, LOSS_PANEL.0));
    panel(&mut out, &x, &y, "loss (nats per picture)");
    line(&mut out, &x, &y, &training, TRAINING);
    line(&mut out, &x, &y, &testing, TESTING);
    legend(
        &mut out,
        LOSS_PANEL.0 - 14.0,
        &[
            ("training", TRAINING, !training.is_empty()),
            ("test", TESTING, !testing.is_empty()),
        ],
    );

    let lowest = accuracy.iter().map(|p| p.1).fold(100.0, f64::min);
    // a good model's curve is flat near the top: begin below its lowest point, not at 0
    let low = if lowest > 90.0 {
        90.0
    } else {
        (lowest / 10.0).floor() * 10.0
    };
    let y = Axis::new(low, 100.0, 0.0, (ACCURACY_PANEL.1, ACCURACY_PANEL.0));
    panel(&mut out, &x, &y, "accuracy (% of test pictures)");
    line(&mut out, &x, &y, &accuracy, TESTING);
    if accuracy.is_empty() {
        let middle = (
            LEFT.midpoint(RIGHT),
            ACCURACY_PANEL.0.midpoint(ACCURACY_PANEL.1),
        );
        text(&mut out, middle, "middle", 13, "no pictures to test with");
    } else if let Some((epoch, test)) = best(epochs) {
        let (epoch, best) = (f64::from(epoch), 100.0 * test.accuracy());
        let label = format!("best {best:.2} % in epoch {epoch}");
        let _ = writeln!(
            out,
            "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"4\" fill=\"none\" stroke=\"{INK}\"/>",
            x.at(epoch),
            y.at(best)
        );
        text(
            &mut out,
            (RIGHT, ACCURACY_PANEL.0 - 14.0),
            "end",
            13,
            &label,
        );
    }
    legend(
        &mut out,
        ACCURACY_PANEL.0 - 14.0,
        &[("test", TESTING, !accuracy.is_empty())],
    );

    for tick in x.ticks().filter(|tick| *tick <= f64::from(last)) {
        text(
            &mut out,
            (x.at(tick), ACCURACY_PANEL.1 + 20.0),
            "middle",
            13,
            &x.label(tick),
        );
    }
    let middle = (LEFT.midpoint(RIGHT), HEIGHT - 16.0);
    let axis = if first > 1 {
        format!("epoch (from {first})")
    } else {
        "epoch".to_owned()
    };
    text(&mut out, middle, "middle", 13, &axis);
    out.push_str("</svg>\n");
    out
}

/// The epoch whose model is kept, and its result.
fn best(epochs: &[Epoch]) -> Option<(u32, Evaluation)> {
    let tested = epochs.iter().filter_map(|e| Some((e.epoch, e.test?)));
    tested.reduce(|best, next| if next.1.beats(&best.1) { next } else { best })
}

/// Grid, frame and labels of a panel.
fn panel(out: &mut String, x: &Axis, y: &Axis, title: &str) {
    let (bottom, top) = y.ends;
    for tick in y.ticks() {
        let at = y.at(tick);
        let _ = writeln!(
            out,
            "<path d=\"M{LEFT} {at:.1}H{RIGHT}\" stroke=\"{GRID}\"/>"
        );
        text(out, (LEFT - 8.0, at + 4.0), "end", 13, &y.label(tick));
    }
    for tick in x.ticks().filter(|tick| *tick <= x.high) {
        let at = x.at(tick);
        let _ = writeln!(
            out,
            "<path d=\"M{at:.1} {top}V{bottom}\" stroke=\"{GRID}\"/>"
        );
    }
    let _ = writeln!(
        out,
        "<path d=\"M{LEFT} {top}V{bottom}H{RIGHT}\" fill=\"none\" stroke=\"{INK}\"/>"
    );
    let middle = top.midpoint(bottom);
    let _ = writeln!(
        out,
        "<text x=\"20\" y=\"{middle}\" text-anchor=\"middle\" transform=\"rotate(-90 20 {middle})\">{title}</text>"
    );
}

fn line(out: &mut String, x: &Axis, y: &Axis, points: &[(f64, f64)], colour: &str) {
    let place = |&(epoch, value): &(f64, f64)| (x.at(epoch), y.at(value));
    let places: Vec<_> = points.iter().map(place).collect();
    let path: Vec<String> = places
        .iter()
        .map(|(x, y)| format!("{x:.1} {y:.1}"))
        .collect();
    if !path.is_empty() {
        let path = path.join("L");
        let _ = writeln!(
            out,
            "<path d=\"M{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>"
        );
    }
    for (x, y) in places {
        let _ = writeln!(
            out,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.5\" fill=\"{colour}\"/>"
        );
    }
}

/// Names of the lines that are there, left above a panel.
fn legend(out: &mut String, y: f64, entries: &[(&str, &str, bool)]) {
    let mut x = LEFT;
    for (name, colour, _) in entries.iter().filter(|(.., shown)| *shown) {
        let _ = writeln!(
            out,
            "<path d=\"M{x} {:.1}h22\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            y - 4.0
        );
        text(out, (x + 28.0, y), "start", 13, name);
        x += 110.0;
    }
}

fn text(out: &mut String, (x, y): (f64, f64), anchor: &str, size: u32, text: &str) {
    let _ = writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" font-size=\"{size}\">{text}</text>"
    );
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
