//! What can go wrong in training.

use std::io;
use std::path::PathBuf;

use crate::config::text::{did_you_mean, shown};
use crate::shape::ImageSize;

/// A run that cannot start, go on or be continued.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// Pictures that cannot be trained on.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A setting that makes no sense.
    #[error("{option} is {found}, expected {expected}")]
    Setting {
        /// Name of the setting, as on the command line.
        option: &'static str,
        /// What was given.
        found: String,
        /// What would do.
        expected: String,
    },
    /// A checkpoint of another architecture.
    #[error(
        "`{name}` of the checkpoint is {found:?}, the model to train needs {expected:?}; only classes and image size may \
         differ, give the checkpoint's own configuration"
    )]
    OtherModel {
        /// The parameter.
        name: String,
        /// Its shape in the checkpoint; empty where it has none.
        found: Vec<usize>,
        /// Its shape in the model.
        expected: Vec<usize>,
    },
    /// A class that the model does not have.
    #[error("picture {index} of a batch has class {label}, the model has classes 0 to {}", classes.saturating_sub(1))]
    Label {
        /// Place in the batch.
        index: usize,
        /// Its class.
        label: u32,
        /// Classes of the model.
        classes: usize,
    },
    /// A state that the learner or the average cannot take over.
    #[error("the training state does not fit the model: {detail}; start anew in another folder")]
    State {
        /// What does not fit.
        detail: String,
    },
    /// A parameter that the optimiser would not keep up to date everywhere; a defect of this program.
    #[error("`{name}` ({order}) is trained, and no kernel updates it; use `--target cpu`")]
    Image {
        /// The parameter.
        name: String,
        /// How it lies on the device.
        order: String,
    },
    /// A parameter that the optimiser's kernel does not take.
    #[error(transparent)]
    Table(crate::kernels::adamw::TableError),
    /// A loss or a gradient that is no number any more.
    #[error(
        "the {what} is {value} at step {step} (learning rate {lr:e}); a resumed run would come to the same: start anew \
         with a lower --lr, more --warmup-steps, --clip 1, or --dtype f32"
    )]
    NonFinite {
        /// `loss` or `gradient norm`.
        what: &'static str,
        /// What it is.
        value: f32,
        /// The step, from 1.
        step: u64,
        /// Learning rate of that step.
        lr: f32,
    },
    /// No loss scale gives finite gradients.
    #[error(
        "{steps} steps in a row up to step {step} had gradients beyond the range of the type, down to a loss scale of \
         {loss_scale:e}; try --dtype bf16, or a lower --lr"
    )]
    Overflow {
        /// Steps that were left out, one after the other.
        steps: u32,
        /// The last of them, from 1.
        step: u64,
        /// Loss scale by then.
        loss_scale: f32,
    },
    /// A new run where there is one already.
    #[error(
        "{}: holds a training run; add --resume to continue it, or choose another folder", folder.display()
    )]
    Exists {
        /// The folder.
        folder: PathBuf,
    },
    /// Nothing to continue.
    #[error("{}: no training state to resume; leave --resume out to start", file.display())]
    NothingToResume {
        /// The file that would be the state.
        file: PathBuf,
    },
    /// A run that another process is working on.
    #[error("{}: another process trains in this folder; wait for it, or choose another folder", folder.display())]
    Busy {
        /// The folder.
        folder: PathBuf,
    },
    /// Settings that differ from those of the run to continue.
    #[error(
        "{}: was made with other settings, {}; a resumed run must repeat them, as its result would be that of neither",
        file.display(),
        changes(changed)
    )]
    Changed {
        /// The state.
        file: PathBuf,
        /// Each setting that differs.
        changed: Vec<Change>,
    },
    /// A state that cannot be read.
    #[error("{}: is no training state of this program ({detail})", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What was found.
        detail: String,
    },
    /// A log that lacks rows.
    #[error(
        "{}: the last row before the state is of step {found}, expected step {expected}; restore the file, or delete it \
         to go on with a new one", file.display()
    )]
    Log {
        /// The file.
        file: PathBuf,
        /// Step of the last row that is kept, 0 for none.
        found: u64,
        /// Step that the state was saved at.
        expected: u64,
    },
    /// A file or folder of the run.
    #[error("{}: cannot be {doing} ({source}); check the path, its permissions and the space left", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// `read`, `written` and so on.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// A setting of a run, before and now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its name.
    pub setting: String,
    /// What the run was made with; `none` where it had no such setting.
    pub before: String,
    /// What was given now.
    pub now: String,
}

fn changes(changed: &[Change]) -> String {
    let one = |c: &Change| format!("{} {} (now {})", c.setting, shown(&c.before), shown(&c.now));
    changed.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Pictures that cannot be trained on; each names the file or folder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A file or folder that cannot be looked at.
    #[error("{}: cannot be read ({source}); check the path and its permissions", path.display())]
    Read {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A folder without class folders.
    #[error(
        "{}: no class folders found; expected one folder of JPEG or PNG files per class, or such folders in train/ and \
         val/ or test/", folder.display()
    )]
    NoClasses {
        /// The folder.
        folder: PathBuf,
    },
    /// A folder with a single class.
    #[error("{}: `{}` is the only class; expected folders of two classes or more", folder.display(), shown(class))]
    OneClass {
        /// The folder.
        folder: PathBuf,
        /// Its class.
        class: String,
    },
    /// A class without pictures.
    #[error(
        "{}: no pictures found; expected .jpg, .jpeg or .png files, remove the folder if the class is not wanted",
        folder.display()
    )]
    EmptyClass {
        /// The folder of the class.
        folder: PathBuf,
    },
    /// A picture beside the class folders, or a folder inside of one.
    #[error("{}: {found} does not belong here; {expected}", path.display())]
    Stray {
        /// The path.
        path: PathBuf,
        /// What it is.
        found: &'static str,
        /// Where it would belong.
        expected: &'static str,
    },
    /// A class folder whose name is not text.
    #[error("{}: the name is not valid UTF-8; rename the folder, its name is the class", path.display())]
    Name {
        /// The path.
        path: PathBuf,
    },
    /// A class that the model does not have.
    #[error(
        "{}: the model has no class `{}`{}; rename the folder, or add --new-head to train a head for the classes of the \
         folders", folder.display(), shown(class), did_you_mean(closest.as_deref())
    )]
    UnknownClass {
        /// The folder of the class.
        folder: PathBuf,
        /// Its name.
        class: String,
        /// A class of the model with a similar name.
        closest: Option<String>,
    },
    /// A picture that cannot be decoded or prepared.
    #[cfg(feature = "picture")]
    #[error("{}: {source}", path.display())]
    Picture {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: crate::picture::PictureError,
    },
    /// A picture that does not come out at the size of the batch.
    #[error(
        "{}: is {found} pixels after preparation, the model is trained on {expected}; let `preprocess` of config.json \
         resize and crop to that, or give --image-size", path.display()
    )]
    Size {
        /// The file.
        path: PathBuf,
        /// Its size.
        found: ImageSize,
        /// Size of the batch.
        expected: ImageSize,
    },
    /// Fewer pictures than a batch needs.
    #[error(
        "there are {found} pictures to train on, a batch takes {batch}; add pictures or use a smaller --batch"
    )]
    TooFew {
        /// Pictures found.
        found: usize,
        /// Pictures per batch.
        batch: usize,
    },
}
