//! What the runs of a case give.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::{Mode, PvtConfig};
use crate::error::Result;
use crate::executor::Backend;
use crate::model::{PlanSpec, Train};
use crate::plan::Plan;
use crate::weights::Weights;

/// Most entries of a gradient that a large case has.
const SAMPLES: usize = 16;

/// Everything the runs gave, under reference names; several values where several runs gave one.
#[derive(Default)]
pub(super) struct Produced(pub(super) BTreeMap<String, Vec<Values>>);

/// Shape and elements of a tensor.
pub(super) type Values = (Vec<usize>, Vec<f32>);

impl Produced {
    pub(super) fn add(&mut self, name: String, shape: Vec<usize>, values: Vec<f32>) {
        self.0.entry(name).or_default().push((shape, values));
    }

    /// Runs the plans of `specs`, which are of one mode and so share their parameters.
    pub(super) fn run(
        &mut self,
        config: &PvtConfig,
        specs: &[PlanSpec],
        weights: &Weights,
        backend: &mut dyn Backend,
        pixels: &[f32],
    ) -> Result<()> {
        for &spec in specs {
            let plan = Arc::new(Plan::new(config, spec)?);
            if !backend.loaded() {
                backend.load(&plan, &mut |p, out| Ok(weights.read(&p.name, out)?))?;
            }
            let mut executor = backend.bind(plan.clone())?;
            executor.run(pixels)?;
            for output in plan.outputs() {
                // without a class token the last map is another tensor
                let name = match output.name.as_str() {
                    "feature4" if spec.mode == Mode::Backbone => "dense.feature4".to_owned(),
                    name => name.to_owned(),
                };
                let values = executor.read(&output.view)?;
                self.add(name, output.view.shape.clone(), values);
            }
        }
        Ok(())
    }

    /// Runs forward and back. Norms and samples of gradients stand for gradients in large cases.
    pub(super) fn gradients(
        &mut self,
        config: &PvtConfig,
        spec: PlanSpec,
        weights: &Weights,
        backend: &mut dyn Backend,
        inputs: &[&[f32]],
    ) -> Result<()> {
        let train = Train {
            input_gradient: true,
            ..Train::default()
        };
        let spec = PlanSpec {
            trace: true,
            train: Some(train),
            ..spec
        };
        let plan = Arc::new(Plan::new(config, spec)?);
        backend.load(&plan, &mut |p, out| Ok(weights.read(&p.name, out)?))?;
        let mut executor = backend.bind(plan.clone())?;
        executor.run_inputs(inputs)?;
        for output in plan.outputs() {
            let values = executor.read(&output.view)?;
            if let Some(name) = output.name.strip_prefix("grad.") {
                #[expect(clippy::cast_possible_truncation, reason = "norms are stored in f32")]
                let norm = values
                    .iter()
                    .map(|&v| f64::from(v).powi(2))
                    .sum::<f64>()
                    .sqrt() as f32;
                let step = (values.len() / SAMPLES).max(1);
                let sample: Vec<f32> = values.iter().step_by(step).take(SAMPLES).copied().collect();
                self.add(format!("gradnorm.{name}"), vec![1], vec![norm]);
                self.add(format!("gradsample.{name}"), vec![sample.len()], sample);
            }
            self.add(output.name.clone(), output.view.shape.clone(), values);
        }
        Ok(())
    }
}
