//! The reference cases with gradients.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use pvt_cuda::config::{Mode, PvtConfig};
use pvt_cuda::executor::{Executor, Params, Real};
use pvt_cuda::model::{PlanSpec, Train};
use pvt_cuda::plan::Plan;
use pvt_cuda::shape::ImageSize;
use pvt_cuda::target::cpu::CpuTarget;
use pvt_cuda::weights::{LoadOptions, TensorFile, Weights};

pub(crate) fn folder(case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/reference")
        .join(case)
}

/// A reference case: its model and its tensors.
pub(crate) struct Case {
    pub(crate) config: PvtConfig,
    pub(crate) weights: Weights,
    pub(crate) reference: TensorFile,
    pub(crate) batch: usize,
    pub(crate) image: ImageSize,
}

impl Case {
    pub(crate) fn open(name: &str) -> Self {
        let folder = folder(name);
        let config = PvtConfig::from_file(folder.join("config.json")).unwrap();
        let path = folder.join("model.safetensors");
        let weights = Weights::open(&path, &config, Mode::Classify, &LoadOptions::default());
        let reference = TensorFile::open(folder.join("reference.safetensors")).unwrap();
        let [batch, _, height, width] = *reference.get("pixel_values").unwrap().shape else {
            panic!("pixels are not [B, C, H, W]");
        };
        let image = ImageSize { height, width };
        Self {
            weights: weights.unwrap(),
            config,
            reference,
            batch,
            image,
        }
    }

    pub(crate) fn values<T: Real>(&self, name: &str) -> Vec<T> {
        let values = self.reference.get(name).unwrap().to_f32().unwrap();
        values.into_iter().map(T::from).collect()
    }

    pub(crate) fn executor<T: Real>(&self, train: Train, threads: usize) -> Executor<T> {
        let spec = PlanSpec {
            trace: true,
            ..PlanSpec::train(self.batch, self.image, Mode::Classify, train)
        };
        let plan = Arc::new(Plan::new(&self.config, spec).unwrap());
        let params = Params::<T>::load_as(&plan, |p, out| self.weights.read(&p.name, out));
        Executor::new(plan, params.unwrap(), CpuTarget::new(threads).unwrap()).unwrap()
    }

    /// After a forward and a backward pass on the case's pictures.
    pub(crate) fn run<T: Real>(&self, train: Train, threads: usize) -> Executor<T> {
        let mut executor = self.executor(train, threads);
        executor
            .run_inputs(&[&self.values("pixel_values"), &self.labels()])
            .unwrap();
        executor
    }

    pub(crate) fn labels<T: Real>(&self) -> Vec<T> {
        let labels = self.reference.get("labels").unwrap().to_i64().unwrap();
        labels.into_iter().map(|l| T::from_f64(l as f64)).collect()
    }
}
