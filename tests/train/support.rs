//! A small model, pictures and runs of them.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use pvt_cuda::config::{Interpolation, LnEps, Preprocess, PvtConfig, Resize, StageConfig};
use pvt_cuda::shape::ImageSize;
use pvt_cuda::train::data::{Dataset, Keep, Listing, Source};
use pvt_cuda::train::fit::{Event, Job, Outcome, Start, fit};
use pvt_cuda::train::{Learner, Recipe, init};

use crate::learner::Tiny;

/// Side of the pictures.
pub(crate) const SIDE: usize = 32;

pub(crate) fn digits() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/digits/test")
}

/// A model whose head sees 64 channels.
pub(crate) fn config(classes: usize) -> PvtConfig {
    let stage = |embed_dim, sr_ratio, patch_size| StageConfig {
        embed_dim,
        num_heads: 1,
        depth: 1,
        mlp_ratio: 1,
        sr_ratio,
        patch_size,
    };
    PvtConfig {
        in_chans: 3,
        img_size: ImageSize::square(SIDE),
        num_classes: classes,
        qkv_bias: true,
        ln_eps: LnEps::OFFICIAL,
        stages: [
            stage(16, 2, 4),
            stage(16, 2, 2),
            stage(16, 2, 2),
            stage(64, 1, 2),
        ],
        preprocess: Some(preprocess()),
        labels: Some((0..classes).map(|c| c.to_string()).collect()),
    }
}

pub(crate) fn preprocess() -> Preprocess {
    Preprocess {
        resize: Resize::Exact(ImageSize::square(SIDE)),
        crop: None,
        interpolation: Interpolation::Bilinear,
        mean: [0.5; 3],
        std: [0.5; 3],
    }
}

/// The digits that come with the program, a quarter of them held out.
pub(crate) struct Digits {
    pub(crate) train: Dataset,
    pub(crate) test: Option<Dataset>,
}

impl Digits {
    pub(crate) fn new() -> Self {
        Self::kept(Keep::Prepared, u64::MAX)
    }

    pub(crate) fn kept(keep: Keep, budget: u64) -> Self {
        let source = Source {
            folder: digits(),
            hold_out: 0.25,
            ..Source::default()
        };
        let Listing { train, test, .. } = Listing::find(&source, None).unwrap();
        let size = ImageSize::square(SIDE);
        let load =
            |samples, keep| Dataset::load(samples, size, preprocess(), keep, budget).unwrap();
        Self {
            train: load(train, keep),
            test: Some(load(test, Keep::Prepared)),
        }
    }
}

/// Four epochs of 6 steps, with everything on that a resumed run could get wrong.
pub(crate) fn recipe() -> Recipe {
    let mut recipe = Recipe {
        epochs: 4,
        batch: 20,
        lr: 2e-2,
        warmup_steps: 5,
        drop_path: 0.3,
        seed: 7,
        ema: Some(0.9),
        ..Recipe::default()
    };
    recipe.augment.shift = 2;
    recipe.augment.flip = true;
    recipe
}

/// How a run is made.
pub(crate) struct Setting<'a> {
    pub(crate) recipe: Recipe,
    pub(crate) save_every: Option<u64>,
    pub(crate) threads: usize,
    pub(crate) identity: BTreeMap<String, String>,
    pub(crate) folder: &'a Path,
}

impl<'a> Setting<'a> {
    pub(crate) fn new(folder: &'a Path) -> Self {
        Self {
            recipe: recipe(),
            save_every: None,
            threads: 2,
            identity: BTreeMap::from([("dtype".to_owned(), "f32".to_owned())]),
            folder,
        }
    }

    pub(crate) fn learner(&self) -> Tiny {
        let state = init::scratch(&config(10), self.recipe.seed).unwrap();
        Tiny::new(&config(10), state, &self.recipe.optimizer())
    }

    pub(crate) fn run(
        &self,
        digits: &Digits,
        learner: &mut dyn Learner,
        start: Start,
        watch: &mut dyn FnMut(&Event<'_>) -> ControlFlow<()>,
    ) -> pvt_cuda::Result<Outcome> {
        let job = Job {
            config: &config(10),
            train: &digits.train,
            test: digits.test.as_ref(),
            recipe: &self.recipe,
            identity: &self.identity,
            folder: self.folder,
            start,
            save_every: self.save_every,
            threads: self.threads,
        };
        fit(learner, &job, watch)
    }

    /// A whole run.
    pub(crate) fn finish(&self, digits: &Digits, start: Start) -> Outcome {
        let mut learner = self.learner();
        self.run(digits, &mut learner, start, &mut |_| {
            ControlFlow::Continue(())
        })
        .unwrap()
    }
}

/// Every file of a run; the log without how fast it was.
pub(crate) fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let mut bytes = std::fs::read(&path).unwrap();
        if name == "log.csv" {
            bytes = log(folder)
                .into_iter()
                .flat_map(|mut row| {
                    row.remove(5);
                    (row.join(",") + "\n").into_bytes()
                })
                .collect();
        }
        files.insert(name, bytes);
    }
    files
}

/// Fields of the log.
pub(crate) fn log(folder: &Path) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(folder.join("log.csv")).unwrap();
    let fields = |row: &str| row.split(',').map(str::to_owned).collect();
    text.lines().map(fields).collect()
}

/// Both runs wrote the same files, to the last bit.
pub(crate) fn assert_same(found: &Path, expected: &Path) {
    let (found, expected) = (files(found), files(expected));
    let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&found), names(&expected));
    for (name, bytes) in expected {
        assert!(found[&name] == bytes, "{name} differs");
    }
}
