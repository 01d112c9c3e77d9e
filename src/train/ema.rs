//! A moving average of the weights, which often classifies better than the weights themselves.

use super::{LearnerState, ParamState, TrainError};

/// average ← decay · average + (1 − decay) · weights, after every step.
#[derive(Debug, Clone, PartialEq)]
pub struct Ema {
    decay: f32,
    /// In the order of the learner's parameters.
    averages: Vec<Vec<f32>>,
}

impl Ema {
    /// An average that begins at `values`, the learner's parameters in their order.
    pub fn new(decay: f32, values: Vec<Vec<f32>>) -> Self {
        Self {
            decay,
            averages: values,
        }
    }

    /// Takes in the parameters after a step.
    ///
    /// # Errors
    /// [`TrainError::State`] where they are not those that the average was made for.
    pub fn update(&mut self, values: &[Vec<f32>]) -> Result<(), TrainError> {
        let fits = self.averages.len() == values.len()
            && std::iter::zip(&self.averages, values).all(|(a, v)| a.len() == v.len());
        if !fits {
            return Err(TrainError::State {
                detail: "the averaged weights are those of another model".to_owned(),
            });
        }
        let new = 1.0 - self.decay;
        for (averages, values) in self.averages.iter_mut().zip(values) {
            for (average, value) in averages.iter_mut().zip(values) {
                *average = self.decay * *average + new * value;
            }
        }
        Ok(())
    }

    /// The averages, in the order of the learner's parameters.
    pub fn values(&self) -> &[Vec<f32>] {
        &self.averages
    }

    /// `state` with the averages as its weights.
    pub fn applied(&self, state: &LearnerState) -> LearnerState {
        let params = state.params.iter().zip(&self.averages);
        let params = params.map(|(param, average)| ParamState {
            value: average.clone(),
            ..param.clone()
        });
        LearnerState {
            params: params.collect(),
            ..state.clone()
        }
    }
}
