//! Gradients of the whole network: against float64 results of another implementation, and against differences.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use pvt_cuda::config::{Mode, PvtConfig};
use pvt_cuda::executor::{Executor, Params, Real};
use pvt_cuda::model::{Keep, PlanSpec, Train};
use pvt_cuda::plan::Plan;
use pvt_cuda::shape::ImageSize;
use pvt_cuda::target::cpu::CpuTarget;
use pvt_cuda::weights::{LoadOptions, TensorFile, Weights};

const CASES: [&str; 4] = [
    "v1-micro",
    "v1-micro-rect",
    "v1-micro-d64",
    "v1-micro-lowvar",
];

const KEEPS: [Keep; 3] = [Keep::Everything, Keep::Recompute, Keep::Blocks];

fn folder(case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/reference")
        .join(case)
}

/// A reference case: its model and its tensors.
struct Case {
    config: PvtConfig,
    weights: Weights,
    reference: TensorFile,
    batch: usize,
    image: ImageSize,
}

impl Case {
    fn open(name: &str) -> Self {
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

    fn values<T: Real>(&self, name: &str) -> Vec<T> {
        let values = self.reference.get(name).unwrap().to_f32().unwrap();
        values.into_iter().map(T::from).collect()
    }

    fn executor<T: Real>(&self, train: Train, threads: usize) -> Executor<T> {
        let spec = PlanSpec {
            trace: true,
            ..PlanSpec::train(self.batch, self.image, Mode::Classify, train)
        };
        let plan = Arc::new(Plan::new(&self.config, spec).unwrap());
        let params = Params::<T>::load(&plan, |p, out| self.weights.read(&p.name, out));
        Executor::new(plan, params.unwrap(), CpuTarget::new(threads).unwrap()).unwrap()
    }

    /// After a forward and a backward pass on the case's pictures.
    fn run<T: Real>(&self, train: Train, threads: usize) -> Executor<T> {
        let mut executor = self.executor(train, threads);
        executor
            .run_inputs(&[&self.values("pixel_values"), &self.labels()])
            .unwrap();
        executor
    }

    fn labels<T: Real>(&self) -> Vec<T> {
        let labels = self.reference.get("labels").unwrap().to_i64().unwrap();
        labels.into_iter().map(|l| T::from_f64(l as f64)).collect()
    }
}

/// ‖found − exact‖² and ‖exact‖²
fn squares<T: Real>(found: &[T], exact: &[f32]) -> (f64, f64) {
    assert_eq!(found.len(), exact.len());
    found
        .iter()
        .zip(exact)
        .fold((0.0, 0.0), |(error, norm), (&f, &e)| {
            let (f, e): (f64, f64) = (f.into(), f64::from(e));
            (error + (f - e).powi(2), norm + e * e)
        })
}

/// Every gradient of the case within `worst`, relative, and all of them together within `all`.
fn check<T: Real>(name: &str, keep: Keep, (worst, all): (f64, f64)) {
    let case = Case::open(name);
    let train = Train {
        keep,
        input_gradient: true,
        ..Train::default()
    };
    let executor = case.run::<T>(train, 2);
    let (mut sum, mut largest) = ((0.0, 0.0), (0.0, String::new()));
    for tensor in case.reference.names().filter(|n| n.starts_with("grad.")) {
        let exact = case.reference.get(tensor).unwrap();
        let output = executor.plan().output(tensor);
        let output = output.unwrap_or_else(|| panic!("{name}: no {tensor}"));
        assert_eq!(output.view.shape, exact.shape, "{name}: {tensor}");
        let (mut found, mut exact) = (executor.read(&output.view), exact.to_f32().unwrap());
        if tensor.ends_with("attn.kv.bias") {
            // a constant added to all keys changes nothing: that gradient is rounding alone
            let half = found.len() / 2;
            let noise = squares(&found[..half], &vec![0.0; half]).0.sqrt();
            let norm = squares(&found[half..], &exact[half..]).1.sqrt();
            assert!(
                noise < 0.1 * worst * norm,
                "{name}: {tensor}: {noise:e} of {norm:e}"
            );
            (found, exact) = (found.split_off(half), exact.split_off(half));
        }
        let (error, norm) = squares(&found, &exact);
        let relative = (error / norm).sqrt();
        assert!(relative <= worst, "{name} {keep:?}: {tensor} {relative:e}");
        if relative > largest.0 {
            largest = (relative, tensor.to_owned());
        }
        sum = (sum.0 + error, sum.1 + norm);
    }
    let together = (sum.0 / sum.1).sqrt();
    println!(
        "{name} {keep:?} {}: all {together:.2e}, worst {:.2e} {}",
        std::any::type_name::<T>(),
        largest.0,
        largest.1
    );
    assert!(together <= all, "{name} {keep:?}: {together:e}");
    let loss: f64 = executor.output("loss").unwrap()[0].into();
    let exact: f64 = case.values::<f64>("loss")[0];
    assert!(
        (loss / exact - 1.0).abs() <= all,
        "{name}: loss {loss}, {exact}"
    );
}

#[test]
fn f64_gradients_match_the_reference() {
    for case in CASES {
        for keep in KEEPS {
            check::<f64>(case, keep, (1e-6, 1e-6));
        }
    }
}

#[test]
fn f32_gradients_match_the_reference() {
    for case in CASES {
        for keep in KEEPS {
            check::<f32>(case, keep, (1e-4, 1e-5));
        }
    }
}

/// Keeping less computes the same once more, in the same order.
#[test]
fn what_is_kept_changes_no_bit() {
    let case = Case::open("v1-micro");
    let gradients = |keep, threads| {
        let train = Train {
            keep,
            ..Train::default()
        };
        case.run::<f32>(train, threads).gradients().to_vec()
    };
    let first = gradients(Keep::Everything, 1);
    for keep in KEEPS {
        for threads in [1, 3] {
            let same = first.iter().zip(gradients(keep, threads));
            assert!(
                same.into_iter().all(|(a, b)| a.to_bits() == b.to_bits()),
                "{keep:?} {threads}"
            );
        }
    }
}
