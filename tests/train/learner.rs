//! A learner for tests: softmax regression on pictures shrunk to 8×8, as the head of a network whose
//! other parameters stay as they are; AdamW, label smoothing, clipping and a loss scale.

use pvt_cuda::Result;
use pvt_cuda::config::PvtConfig;
use pvt_cuda::train::{
    Batch, Learner, LearnerState, Moments, Optimizer, StepOptions, StepReport, TrainError,
};

/// Side of the shrunken picture; its square is what the head takes.
const GRID: usize = 8;
const FEATURES: usize = GRID * GRID;
/// Clean steps after which the loss scale doubles.
const PATIENCE: u32 = 3;

pub(crate) struct Tiny {
    state: LearnerState,
    optimizer: Optimizer,
    classes: usize,
    side: usize,
    /// Slows down steps, so that there is time to interrupt one.
    pub(crate) pause: std::time::Duration,
    /// Fails at this step of this learner, from 0.
    pub(crate) fails_at: Option<u64>,
    /// What the report says from this step on, from 0, in place of the truth.
    pub(crate) lies: Option<(u64, StepReport)>,
    made: u64,
}

impl Tiny {
    pub(crate) fn new(config: &PvtConfig, state: LearnerState, optimizer: &Optimizer) -> Self {
        assert_eq!(config.stages[3].embed_dim, FEATURES);
        Self {
            state,
            optimizer: optimizer.clone(),
            classes: config.num_classes,
            side: config.img_size.width,
            pause: std::time::Duration::ZERO,
            fails_at: None,
            lies: None,
            made: 0,
        }
    }

    fn param(&self, name: &str) -> usize {
        self.state
            .params
            .iter()
            .position(|p| p.name == name)
            .unwrap()
    }

    /// [B, 64]: means of the cells of the red channel.
    fn features(&self, pixels: &[f32]) -> Vec<f32> {
        let (side, cell) = (self.side, self.side / GRID);
        let mut out = Vec::new();
        for picture in pixels.chunks_exact(3 * side * side) {
            for y in 0..GRID {
                for x in 0..GRID {
                    let rows =
                        (y * cell..(y + 1) * cell).map(|v| &picture[v * side + x * cell..][..cell]);
                    let sum: f32 = rows.flatten().sum();
                    out.push(sum / (cell * cell) as f32);
                }
            }
        }
        out
    }

    fn scores(&self, features: &[f32]) -> Vec<f32> {
        let weight = &self.state.params[self.param("head.weight")].value;
        let bias = &self.state.params[self.param("head.bias")].value;
        let mut out = Vec::new();
        for row in features.chunks_exact(FEATURES) {
            for (weight, bias) in weight.chunks_exact(FEATURES).zip(bias) {
                out.push(bias + row.iter().zip(weight).map(|(x, w)| x * w).sum::<f32>());
            }
        }
        out
    }
}

impl Learner for Tiny {
    fn step(&mut self, batch: &Batch, options: &StepOptions) -> Result<StepReport> {
        std::thread::sleep(self.pause);
        if self.fails_at == Some(self.made) {
            let detail = "it was told to fail".to_owned();
            return Err(TrainError::State { detail }.into());
        }
        let count = batch.labels.len();
        let mut features = self.features(&batch.pixels);
        // the last branch of the network: its factors scale what the head sees
        let factors = &options.drop_path[options.drop_path.len() - count..];
        for (row, factor) in features.chunks_exact_mut(FEATURES).zip(factors) {
            for x in row {
                *x *= factor;
            }
        }
        let scores = self.scores(&features);
        let (classes, smooth) = (self.classes, narrow(self.optimizer.label_smoothing));
        let mut gradients = [vec![0.0; classes * FEATURES], vec![0.0; classes]];
        let mut loss = 0.0;
        for (b, scores) in scores.chunks_exact(classes).enumerate() {
            let top = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let sum: f32 = scores.iter().map(|s| (s - top).exp()).sum();
            for (c, score) in scores.iter().enumerate() {
                let log_p = score - top - sum.ln();
                let is_label = f32::from(u8::from(batch.labels[b] as usize == c));
                let target = is_label * (1.0 - smooth) + smooth / classes as f32;
                loss -= target * log_p / count as f32;
                let slope = (log_p.exp() - target) / count as f32 * self.state.loss_scale;
                gradients[1][c] += slope;
                for f in 0..FEATURES {
                    gradients[0][c * FEATURES + f] += slope * features[b * FEATURES + f];
                }
            }
        }
        let scale = self.state.loss_scale;
        let squares = gradients
            .iter()
            .flatten()
            .map(|g| (g / scale) * (g / scale));
        let norm = squares.sum::<f32>().sqrt();
        let clip = self
            .optimizer
            .clip
            .map_or(1.0, |c| (narrow(c) / (norm + 1e-6)).min(1.0));
        self.state.steps += 1;
        let power = i32::try_from(self.state.steps).unwrap();
        let Optimizer {
            beta1,
            beta2,
            eps,
            weight_decay,
            ..
        } = self.optimizer;
        let [beta1, beta2, eps, weight_decay] = [beta1, beta2, eps, weight_decay].map(narrow);
        for (name, gradient) in ["head.weight", "head.bias"].into_iter().zip(gradients) {
            let at = self.param(name);
            let param = &mut self.state.params[at];
            let zeros = vec![0.0; gradient.len()];
            let moments = param.moments.get_or_insert_with(|| Moments {
                first: zeros.clone(),
                second: zeros,
            });
            let decay = if name == "head.weight" {
                weight_decay
            } else {
                0.0
            };
            for (i, g) in gradient.into_iter().enumerate() {
                let g = g / scale * clip;
                let (m, v) = (&mut moments.first[i], &mut moments.second[i]);
                *m = beta1 * *m + (1.0 - beta1) * g;
                *v = beta2 * *v + (1.0 - beta2) * g * g;
                let (m, v) = (
                    *m / (1.0 - beta1.powi(power)),
                    *v / (1.0 - beta2.powi(power)),
                );
                let w = &mut param.value[i];
                *w -= options.lr * (m / (v.sqrt() + eps) + decay * *w);
            }
        }
        self.state.clean_steps += 1;
        if self.state.clean_steps == PATIENCE {
            self.state.clean_steps = 0;
            self.state.loss_scale = (2.0 * self.state.loss_scale).min(65_536.0);
        }
        self.made += 1;
        let report = StepReport {
            loss,
            grad_norm: norm,
            skipped: false,
            loss_scale: scale,
        };
        let lie = self.lies.filter(|(from, _)| self.made > *from);
        Ok(lie.map_or(report, |(_, report)| report))
    }

    fn logits(&mut self, pixels: &[f32], batch: usize) -> Result<Vec<f32>> {
        assert_eq!(pixels.len(), batch * 3 * self.side * self.side);
        Ok(self.scores(&self.features(pixels)))
    }

    fn state(&self) -> Result<LearnerState> {
        Ok(self.state.clone())
    }

    fn restore(&mut self, state: &LearnerState) -> Result<()> {
        let names = |s: &LearnerState| s.params.iter().map(|p| p.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&self.state), names(state));
        self.state = state.clone();
        Ok(())
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "this learner computes in f32"
)]
fn narrow(x: f64) -> f32 {
    x as f32
}
