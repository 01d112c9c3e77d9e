//! The log of a run: one row of comma-separated values per step.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use super::TrainError;
use super::checkpoint::{Evaluation, io, save_text};

/// First line of the file. The last two columns are filled at the end of an epoch.
pub const HEADER: &str = "step,epoch,lr,loss,grad_norm,images_per_s,test_loss,test_accuracy";

/// What a row says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// The step, from 1.
    pub step: u64,
    /// The epoch that it belongs to, from 1.
    pub epoch: u32,
    /// Learning rate.
    pub lr: f32,
    /// Training loss.
    pub loss: f32,
    /// Norm of the gradients.
    pub grad_norm: f32,
    /// Pictures trained on per second, in this step.
    pub images_per_s: f64,
    /// Result at the end of the epoch.
    pub test: Option<Evaluation>,
}

/// A log that rows are added to. What is in the file before a state is saved stays in it, and what
/// comes after the state of a run that continues is taken out and written anew: each step has one
/// row, however often a run was interrupted.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Log {
    /// The log at `path` for a run that has made `step` steps. At 0 it begins anew.
    ///
    /// # Errors
    /// [`TrainError::Log`] for a file that lacks the row of that step, and [`TrainError::Io`].
    pub fn open(path: &Path, step: u64) -> Result<Self, TrainError> {
        let text = match fs::read(path) {
            _ if step == 0 => String::new(),
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            // deleted on purpose, or never there: the log goes on from here
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(io(path, "read")(error)),
        };
        let mut kept = format!("{HEADER}\n");
        let mut last = None;
        // a row without its line end was being written when the run was interrupted
        let rows = text.split_inclusive('\n').skip(1);
        for row in rows.filter(|row| row.ends_with('\n')) {
            let at = row.split(',').next().and_then(|at| at.parse::<u64>().ok());
            if let Some(at) = at.filter(|at| *at <= step) {
                kept += row;
                last = Some(at);
            }
        }
        if !text.is_empty() && last != Some(step) {
            return Err(TrainError::Log {
                file: path.to_owned(),
                found: last.unwrap_or(0),
                expected: step,
            });
        }
        if kept != text {
            save_text(path, &kept)?;
        }
        let file = File::options().append(true).open(path);
        Ok(Self {
            path: path.to_owned(),
            file: BufWriter::new(file.map_err(io(path, "written"))?),
        })
    }

    /// Adds a row; readers of the file see it at once.
    ///
    /// # Errors
    /// [`TrainError::Io`].
    pub fn add(&mut self, row: &Row) -> Result<(), TrainError> {
        let (loss, accuracy) = row.test.map_or_else(Default::default, |test| {
            (test.loss.to_string(), test.accuracy().to_string())
        });
        let Row {
            step, epoch, lr, ..
        } = row;
        let (train_loss, norm, speed) = (row.loss, row.grad_norm, row.images_per_s);
        let file = &mut self.file;
        writeln!(
            file,
            "{step},{epoch},{lr},{train_loss},{norm},{speed:.1},{loss},{accuracy}"
        )
        .and_then(|()| file.flush())
        .map_err(io(&self.path, "written"))
    }

    /// Returns when all rows are on the disk.
    ///
    /// # Errors
    /// [`TrainError::Io`].
    pub fn sync(&mut self) -> Result<(), TrainError> {
        let file = self.file.get_ref();
        file.sync_all().map_err(io(&self.path, "written"))
    }
}
