//! How a run looks while it goes on and when it is over.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use pvt_cuda::train::checkpoint::Epoch;
use pvt_cuda::train::fit::{Event, Outcome};
use serde::Serialize;

use crate::output::note;

/// Weight of the latest step in the loss that is shown, which would jump about otherwise.
const LATEST: f32 = 0.1;

/// A progress bar with loss, pictures per second and the time left.
pub(super) struct Screen {
    bar: ProgressBar,
    batch: usize,
    /// When this call began, and the step that it began at.
    began: (Instant, u64),
    loss: Option<f32>,
}

impl Screen {
    pub(super) fn new(batch: usize) -> Self {
        let template = "{bar:30} {pos}/{len} steps, {msg}, {eta} left";
        let style = ProgressStyle::with_template(template);
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        Self {
            bar: ProgressBar::no_length().with_style(style),
            batch,
            began: (Instant::now(), 0),
            loss: None,
        }
    }

    pub(super) fn event(&mut self, event: &Event<'_>) -> ControlFlow<()> {
        match event {
            Event::Started { step, total } => {
                self.bar.set_length(*total);
                self.bar.set_position(*step);
                self.bar.reset_eta();
                self.began = (Instant::now(), *step);
                if *step > 0 {
                    self.say(&format!("going on after step {step} of {total}"));
                }
            }
            Event::Stepped(row) => {
                let before = self.loss.unwrap_or(row.loss);
                let loss = before + LATEST * (row.loss - before);
                self.loss = Some(loss);
                let (began, first) = self.began;
                let pictures = (row.step - first) as f64 * self.batch as f64;
                let speed = pictures / began.elapsed().as_secs_f64().max(1e-9);
                self.bar
                    .set_message(format!("loss {loss:.3}, {speed:.0} pictures/s"));
                self.bar.set_position(row.step);
            }
            Event::Finished(epoch) => self.say(&sentence(epoch)),
            _ => {}
        }
        ControlFlow::Continue(())
    }

    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }

    /// A line above the bar, or on stderr where no bar is shown.
    fn say(&self, text: &str) {
        self.bar.suspend(|| note(text));
    }
}

fn sentence(epoch: &Epoch) -> String {
    let Epoch {
        epoch: number,
        loss,
        test,
        ..
    } = epoch;
    let test = test.map_or_else(String::new, |test| {
        let percent = 100.0 * test.accuracy();
        format!(", test loss {:.4}, accuracy {percent:.2} %", test.loss)
    });
    format!("epoch {number}: loss {loss:.4}{test}")
}

/// The result as rows of text.
pub(super) fn table(outcome: &Outcome, folder: &Path) -> Vec<String> {
    let mut lines = vec![format!(
        "{:6} {:>6} {:>8} {:>14} {:>10} {:>9}",
        "model", "epoch", "step", "training loss", "test loss", "accuracy"
    )];
    let progress = &outcome.progress;
    let mut row = |name: &str, epoch: &Epoch| {
        let (loss, accuracy) = epoch.test.map_or(("–".to_owned(), "–".to_owned()), |test| {
            let accuracy = format!("{:.2} %", 100.0 * test.accuracy());
            (format!("{:.4}", test.loss), accuracy)
        });
        lines.push(format!(
            "{name:6} {:>6} {:>8} {:>14.4} {loss:>10} {accuracy:>9}",
            epoch.epoch, epoch.step, epoch.loss
        ));
    };
    if let Some(best) = progress.best().filter(|best| best.test.is_some()) {
        row("best", best);
    }
    if let Some(last) = progress.epochs.last() {
        row("last", last);
    }
    lines.push(format!(
        "{} of {} steps; {:.1} s this time",
        progress.step,
        outcome.total,
        outcome.took.as_secs_f64()
    ));
    if outcome.model.is_some() {
        lines.push(format!(
            "{0}: the model; try `pvt classify --weights {0} PICTURE`",
            folder.display()
        ));
    }
    lines
}

/// The result as data.
#[derive(Serialize)]
pub(super) struct Report {
    epochs: Vec<EpochReport>,
    best_epoch: Option<u32>,
    steps: u64,
    total_steps: u64,
    is_finished: bool,
    seconds: f64,
    model: Option<String>,
}

#[derive(Serialize)]
struct EpochReport {
    epoch: u32,
    step: u64,
    training_loss: f64,
    test_loss: Option<f64>,
    accuracy: Option<f64>,
}

pub(super) fn report(outcome: &Outcome) -> Report {
    let progress = &outcome.progress;
    let epochs = progress.epochs.iter().map(|e| EpochReport {
        epoch: e.epoch,
        step: e.step,
        training_loss: e.loss,
        test_loss: e.test.map(|t| t.loss),
        accuracy: e.test.map(|t| t.accuracy()),
    });
    Report {
        epochs: epochs.collect(),
        best_epoch: progress.best,
        steps: progress.step,
        total_steps: outcome.total,
        is_finished: outcome.is_finished,
        seconds: outcome.took.as_secs_f64(),
        model: outcome
            .model
            .as_ref()
            .map(|path| path.display().to_string()),
    }
}
