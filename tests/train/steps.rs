//! What a learner is given at each step.

use std::ops::ControlFlow;

use pvt_cuda::Result;
use pvt_cuda::config::{Preprocess, Resize};
use pvt_cuda::picture::prepare;
use pvt_cuda::train::fit::Start;
use pvt_cuda::train::{Augment, Batch, Learner, LearnerState, StepOptions, StepReport, drop_path};

use crate::support::{Digits, Setting};

const GO_ON: ControlFlow<()> = ControlFlow::Continue(());
/// Steps of a whole run.
const STEPS: u64 = 24;

/// Notes what a learner is given.
struct Spy {
    inner: crate::learner::Tiny,
    steps: Vec<(Batch, StepOptions)>,
}

impl Learner for Spy {
    fn step(&mut self, batch: &Batch, options: &StepOptions) -> Result<StepReport> {
        self.steps.push((batch.clone(), options.clone()));
        self.inner.step(batch, options)
    }

    fn logits(&mut self, pixels: &[f32], batch: usize) -> Result<Vec<f32>> {
        self.inner.logits(pixels, batch)
    }

    fn state(&self) -> Result<LearnerState> {
        self.inner.state()
    }

    fn restore(&mut self, state: &LearnerState) -> Result<()> {
        self.inner.restore(state)
    }
}

/// What every step of a run is given.
fn spied(setting: &Setting<'_>, digits: &Digits) -> Vec<(Batch, StepOptions)> {
    let inner = setting.learner();
    let mut spy = Spy {
        inner,
        steps: Vec::new(),
    };
    setting
        .run(digits, &mut spy, Start::Anew, &mut |_| GO_ON)
        .unwrap();
    spy.steps
}

#[test]
fn steps_are_given_what_their_place_in_the_run_asks_for() {
    let (digits, folder) = (Digits::new(), tempfile::tempdir().unwrap());
    let mut setting = Setting::new(folder.path());
    setting.recipe.augment = Augment::default();
    let steps = spied(&setting, &digits);
    assert_eq!(steps.len() as u64, STEPS);
    let schedule = setting.recipe.schedule(STEPS);
    for (at, (_, options)) in (0..).zip(&steps) {
        assert_eq!(options.lr.to_bits(), schedule.at(at).to_bits());
        assert_eq!(options.drop_path, drop_path::factors(0.3, 4, 20, 7, at));
    }
    // without changes a picture is known by its pixels: none turns up twice in an epoch, the order
    // is another in each, and the class is that of the picture's folder
    let per_picture = 3 * 32 * 32;
    let pictures = |(batch, _): &(Batch, StepOptions)| -> Vec<(Vec<u32>, u32)> {
        let pixels = batch.pixels.chunks_exact(per_picture);
        let bits = pixels.map(|p| p.iter().map(|v| v.to_bits()).collect());
        bits.zip(batch.labels.iter().copied()).collect()
    };
    let epochs: Vec<Vec<_>> = steps
        .chunks(6)
        .map(|s| s.iter().flat_map(pictures).collect())
        .collect();
    let mut all = std::collections::BTreeMap::new();
    for (at, epoch) in epochs.iter().enumerate() {
        let distinct: std::collections::BTreeSet<_> = epoch.iter().collect();
        assert_eq!((epoch.len(), distinct.len()), (120, 120));
        assert!(epochs[..at].iter().all(|other| other != epoch));
        all.extend(epoch.iter().cloned());
    }
    assert!(
        all.len() > 130,
        "what one epoch leaves out another has: {}",
        all.len()
    );
    for index in 0..digits.train.len() {
        let pixels = prepare(&digits.train.picture(index).unwrap(), &as_it_is()).unwrap();
        let bits: Vec<u32> = pixels.iter().map(|v| v.to_bits()).collect();
        if let Some(class) = all.get(&bits) {
            assert_eq!(*class, digits.train.class(index));
        }
    }
    // with changes the same pictures come in the same order, each time differently
    let folder = folder.path().join("changed");
    let mut setting = Setting {
        folder: &folder,
        ..setting
    };
    setting.recipe.augment.shift = 3;
    let changed = spied(&setting, &digits);
    assert!(
        changed
            .iter()
            .zip(&steps)
            .all(|(a, b)| a.0.labels == b.0.labels && a.0.pixels != b.0.pixels)
    );
}

fn as_it_is() -> Preprocess {
    Preprocess {
        resize: Resize::None,
        ..crate::support::preprocess()
    }
}
