//! `pvt train`: a model from pictures in one folder per class.

mod show;
mod start;

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;
use pvt_cuda::model::Keep as Kept;
use pvt_cuda::shape::ImageSize;
use pvt_cuda::train::data::{Dataset, Keep, Listing, Source};
use pvt_cuda::train::fit::{Job, Start, fit};
use pvt_cuda::train::{Augment, Fill, LearnerSpec, Recipe, TrainError, learner};

use crate::Outcome;
use crate::model::{TargetArgs, parse_size};
use crate::output::{self, note};

/// Bytes of a mebibyte.
const MIB: u64 = 1 << 20;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Folder with one folder of pictures per class, or with train/ and val/ or test/ of such folders
    #[arg(value_name = "DATA")]
    data: PathBuf,
    /// Folder for the model, the state, the log and the curve
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Continue the run in --out; every other option as before
    #[arg(long)]
    resume: bool,
    #[command(flatten)]
    model: start::ModelArgs,
    #[command(flatten)]
    pictures: PictureArgs,
    #[command(flatten)]
    recipe: RecipeArgs,
    /// Save the state every so many steps, besides the end of each epoch
    #[arg(long, value_name = "STEPS", value_parser = clap::value_parser!(u64).range(1..))]
    save_every: Option<u64>,
    #[command(flatten)]
    target: TargetArgs,
    /// What is kept between the forward and the backward pass, the rest is computed once more: everything (the default on
    /// the CPU), recompute (on a GPU) or blocks
    #[arg(long, value_name = "WHAT")]
    keep: Option<Kept>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// Which pictures, and what is done to them.
#[derive(clap::Args)]
struct PictureArgs {
    /// Folder of class folders to test with, in place of val/ or test/
    #[arg(long, value_name = "DIR", conflicts_with = "hold_out")]
    test: Option<PathBuf>,
    /// Share of each class to test with, where there is no folder for that
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    hold_out: f64,
    /// Pixels to train on: SIDE or HEIGHTxWIDTH; the model's own otherwise
    #[arg(long, value_parser = parse_size)]
    image_size: Option<ImageSize>,
    /// Shift pictures by up to this many pixels
    #[arg(long, value_name = "PIXELS", default_value_t = 0)]
    shift: u32,
    /// What a shift moves in: black or edge
    #[arg(long, default_value_t)]
    fill: Fill,
    /// Train on random parts of at least this share of a picture's area
    #[arg(long, value_name = "SHARE")]
    crop: Option<f64>,
    /// Mirror every other picture
    #[arg(long)]
    flip: bool,
    /// Keep pictures in memory if they take at most this
    #[arg(long, value_name = "MIB", default_value_t = 2048)]
    memory: u64,
}

/// Settings of the optimiser; the defaults are what the digits model was trained with.
#[derive(clap::Args)]
struct RecipeArgs {
    /// Times that every picture is seen
    #[arg(long, default_value_t = Recipe::default().epochs)]
    epochs: u32,
    /// Pictures per step
    #[arg(long, default_value_t = Recipe::default().batch)]
    batch: usize,
    /// Highest learning rate
    #[arg(long, default_value_t = Recipe::default().lr)]
    lr: f64,
    /// Learning rate at the end of the cosine
    #[arg(long, default_value_t = Recipe::default().min_lr)]
    min_lr: f64,
    /// Steps until the highest learning rate
    #[arg(long, value_name = "STEPS", default_value_t = Recipe::default().warmup_steps)]
    warmup_steps: u64,
    /// Weight decay of matrices and position tables
    #[arg(long, default_value_t = Recipe::default().weight_decay)]
    weight_decay: f64,
    /// Share of the target that is spread over all classes
    #[arg(long, value_name = "SHARE", default_value_t = Recipe::default().label_smoothing)]
    label_smoothing: f64,
    /// Rate of the last block for leaving out its branches; it grows from 0 at the first
    #[arg(long, value_name = "RATE", default_value_t = Recipe::default().drop_path)]
    drop_path: f64,
    /// Largest norm of the gradients; 0 for no limit
    #[arg(long, value_name = "NORM", default_value_t = 1.0)]
    clip: f64,
    /// Seed of everything random
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Stages that do not change, such as 1,2
    #[arg(long, value_name = "STAGES", value_delimiter = ',')]
    freeze: Vec<usize>,
    /// Decay of a moving average of the weights, which is then what is tested and saved
    #[arg(long, value_name = "DECAY")]
    ema: Option<f64>,
}

impl Args {
    fn recipe(&self) -> Recipe {
        let (pictures, recipe) = (&self.pictures, &self.recipe);
        let mut freeze = recipe.freeze.clone();
        freeze.sort_unstable();
        freeze.dedup();
        Recipe {
            epochs: recipe.epochs,
            batch: recipe.batch,
            lr: recipe.lr,
            min_lr: recipe.min_lr,
            warmup_steps: recipe.warmup_steps,
            weight_decay: recipe.weight_decay,
            label_smoothing: recipe.label_smoothing,
            drop_path: recipe.drop_path,
            clip: (recipe.clip != 0.0).then_some(recipe.clip),
            seed: recipe.seed,
            augment: Augment {
                crop: pictures.crop,
                shift: pictures.shift,
                fill: pictures.fill,
                flip: pictures.flip,
            },
            freeze,
            ema: recipe.ema,
        }
    }
}

pub(crate) fn run(args: &Args) -> Result<Outcome> {
    let recipe = args.recipe();
    recipe.validate()?;
    let target = args.target.open()?;
    let pictures = &args.pictures;
    let source = Source {
        folder: args.data.clone(),
        test: pictures.test.clone(),
        hold_out: pictures.hold_out,
        seed: recipe.seed,
    };
    let described = args.model.read(pictures.image_size)?;
    let listing = Listing::find(&source, described.labels())?;
    let identity = BTreeMap::from([
        ("data".to_owned(), listing.fingerprint()?),
        ("dtype".to_owned(), args.target.dtype.to_string()),
        ("target".to_owned(), target.name().to_owned()),
    ]);
    let start::Start { config, state } = described.start(&listing.classes, recipe.seed)?;
    let preprocess = config.preprocess.ok_or(TrainError::State {
        detail: "the model does not say how pictures are prepared".to_owned(),
    })?;
    let keep = match recipe.augment.crop {
        Some(_) => Keep::Original,
        None => Keep::Prepared,
    };
    let budget = pictures.memory.saturating_mul(MIB);
    let (size, Listing { train, test, .. }) = (config.img_size, listing);
    let train = Dataset::load(train, size, preprocess, keep, budget)?;
    let test = Dataset::load(test, size, preprocess, Keep::Prepared, budget)?;
    for (part, name) in [(&train, "training"), (&test, "test")] {
        if !part.is_in_memory() {
            note(&format!(
                "the {name} pictures take more than {} MiB and are decoded each time; more: --memory",
                pictures.memory
            ));
        }
    }
    if test.is_empty() {
        note(
            "no pictures to test with: the last model is kept; --test or --hold-out would test it",
        );
    }
    let spec = LearnerSpec {
        batch: recipe.batch,
        image: size,
        keep: args.keep.unwrap_or(match target.kernels() {
            Some(_) => Kept::Recompute,
            None => Kept::Everything,
        }),
        drop_path: recipe.drop_path > 0.0,
        optimizer: recipe.optimizer(),
    };
    let mut learner = learner(&config, &spec, &state, &target)?;
    let mut screen = show::Screen::new(recipe.batch);
    let job = Job {
        config: &config,
        train: &train,
        test: (!test.is_empty()).then_some(&test),
        recipe: &recipe,
        identity: &identity,
        folder: &args.out,
        start: if args.resume {
            Start::Resume
        } else {
            Start::Anew
        },
        save_every: args.save_every,
        threads: args.target.threads,
    };
    let outcome = fit(&mut *learner, &job, &mut |event| screen.event(event))?;
    screen.clear();
    if args.json {
        output::json(&show::report(&outcome))?;
    } else {
        for line in show::table(&outcome, &args.out) {
            output::line(&line)?;
        }
    }
    Ok(Outcome::Good)
}
