//! `adamw_step`, alone and behind `grad_norm_fwd`

use ptx_emu::{Launch, Report};
use pvt_cuda::DType;
use pvt_cuda::kernels::adamw::{CONTROL_WORDS, LossScale, Table, Tensor, control};
use pvt_cuda::kernels::pack::{pack, packed_bytes, tokens_order};
use pvt_cuda::kernels::tuning::ADAMW_THREADS;
use pvt_cuda::plan::Order;
use pvt_testkit::compare::{rel_l2, widen};

use crate::grad_norm::{self, BETAS};
use crate::run::{Value, kind, random, rounded, run_entry, values};

const DTYPES: [&str; 4] = ["f32", "tf32", "f16", "bf16"];
const EPS: f32 = 1e-8;
/// All arithmetic is f32.
const TOLERANCE: f64 = 1e-6;

const VECTOR: Order = Order::Vector;
const TENSOR: Order = Order::Tensor;

fn matrix(inner: usize) -> Order {
    Order::Matrix { inner }
}

fn conv(in_chans: usize, patch: usize) -> Order {
    Order::ChannelsLast { in_chans, patch }
}

/// Parameters one after the other, with room for their images.
struct Model {
    tensors: Vec<Tensor>,
    len: usize,
    image_bytes: usize,
    turned_bytes: usize,
}

impl Model {
    fn new(dtype: DType, parameters: &[(&[usize], Order)]) -> Self {
        let (mut len, mut image_bytes, mut turned_bytes) = (0, 0, 0);
        let mut tensors = Vec::new();
        for (i, (shape, order)) in parameters.iter().enumerate() {
            let mut tensor = Tensor {
                offset: len,
                shape: shape.to_vec(),
                order: *order,
                decay: shape.len() > 1,
                // every image begins a few lines behind the one before
                image: Some(image_bytes + 64),
                turned: None,
            };
            let cols = shape[0];
            let elements = tensor.len();
            let bytes = match order {
                Order::Vector => 4 * elements,
                Order::Tensor => dtype.bytes() * elements,
                _ => packed_bytes(dtype, cols, elements / cols),
            };
            image_bytes += 64 + bytes.next_multiple_of(16);
            // one matrix without a transpose
            if let Some(bytes) = tensor.turned_bytes(dtype)
                && i != 1
            {
                tensor.turned = Some(turned_bytes + 32);
                turned_bytes += 32 + bytes;
            }
            len += elements.next_multiple_of(4);
            tensors.push(tensor);
        }
        Self {
            tensors,
            len,
            image_bytes,
            turned_bytes: turned_bytes.max(16),
        }
    }

    /// Both buffers of images for weights `p`.
    fn images(&self, dtype: DType, p: &[f32]) -> [Vec<u8>; 2] {
        let mut images = vec![0; self.image_bytes];
        let mut turned = vec![0; self.turned_bytes];
        for tensor in &self.tensors {
            let weight = &p[tensor.offset..][..tensor.len()];
            let cols = tensor.shape[0];
            let inner = tensor.len() / cols;
            let order: Box<dyn Fn(usize) -> usize> = match tensor.order {
                Order::ChannelsLast { in_chans, patch } => {
                    Box::new(move |k| tokens_order(in_chans, patch, k))
                }
                _ => Box::new(|k| k),
            };
            let bytes = match tensor.order {
                Order::Vector => rounded("f32", weight).0,
                Order::Tensor => rounded(dtype.storage(), weight).0,
                _ => pack(dtype, weight, cols, inner, &order),
            };
            if let Some(at) = tensor.image {
                images[at..at + bytes.len()].copy_from_slice(&bytes);
            }
            if let Some(at) = tensor.turned {
                let mut across = vec![0.0; weight.len()];
                for col in 0..cols {
                    for k in 0..inner {
                        across[k * cols + col] = weight[col * inner + order(k)];
                    }
                }
                let bytes = pack(dtype, &across, inner, cols, |k| k);
                turned[at..at + bytes.len()].copy_from_slice(&bytes);
            }
        }
        [images, turned]
    }

    /// Whether an element decays; none where there is no element.
    fn decay(&self) -> Vec<Option<bool>> {
        let mut all = vec![None; self.len];
        for tensor in &self.tensors {
            all[tensor.offset..][..tensor.len()].fill(Some(tensor.decay));
        }
        all
    }
}

/// What steps change.
#[derive(Clone)]
struct State {
    p: Vec<f32>,
    m: Vec<f32>,
    v: Vec<f32>,
    images: [Vec<u8>; 2],
}

/// One launch; the gradient must be zero behind it.
fn step(
    dtype: &'static str,
    model: &Model,
    state: &State,
    g: &[f32],
    words: [u32; CONTROL_WORDS],
) -> (State, Report) {
    let bytes = |values: &[f32]| Value::InOut(rounded("f32", values).0);
    let words_in = |words: &[u32]| Value::In(words.iter().flat_map(|w| w.to_le_bytes()).collect());
    let table = Table::new(&model.tensors).unwrap();
    #[expect(clippy::cast_possible_truncation, reason = "as the kernel computes")]
    let f32_of = |x: f64| Value::F32(x as f32);
    let arguments = [
        bytes(&state.p),
        bytes(&state.m),
        bytes(&state.v),
        bytes(g),
        Value::InOut(state.images[0].clone()),
        Value::InOut(state.images[1].clone()),
        words_in(&table.tensors),
        words_in(&table.tiles),
        words_in(&words),
        f32_of(BETAS.1),
        f32_of(1.0 - BETAS.0),
        f32_of(1.0 - BETAS.1),
        Value::F32(EPS),
    ];
    let launch = Launch {
        grid: [u32::try_from(table.blocks()).unwrap(), 1, 1],
        block: [ADAMW_THREADS, 1, 1],
        shared: 0,
        cluster: None,
    };
    let (mut outputs, report) = run_entry(("adamw", "adamw_step", dtype), &launch, &arguments);
    let zero = values("f32", &outputs[3]);
    let there = model.decay();
    assert!(
        zero.iter()
            .zip(&there)
            .all(|(g, there)| there.is_none() || *g == 0.0),
        "{dtype}: gradient"
    );
    let of = |i: usize| values("f32", &outputs[i]);
    let (p, m, v) = (of(0), of(1), of(2));
    let turned = outputs.remove(5);
    let images = [outputs.remove(4), turned];
    (State { p, m, v, images }, report)
}

/// `torch.optim.AdamW` in f64, step `t`, in place.
fn exact_step(
    [p, m, v]: [&mut [f64]; 3],
    g: &[f64],
    decay: &[Option<bool>],
    (lr, weight_decay): (f64, f64),
    t: i32,
) {
    for i in 0..p.len() {
        let Some(decay) = decay[i] else { continue };
        if decay {
            p[i] *= 1.0 - lr * weight_decay;
        }
        m[i] = BETAS.0 * m[i] + (1.0 - BETAS.0) * g[i];
        v[i] = BETAS.1 * v[i] + (1.0 - BETAS.1) * g[i] * g[i];
        let denominator = (v[i] / (1.0 - BETAS.1.powi(t))).sqrt() + f64::from(EPS);
        p[i] -= lr * m[i] / (1.0 - BETAS.0.powi(t)) / denominator;
    }
}

/// Some steps of a model with a norm to be clipped, and a gradient that is not finite before the last: weights and
/// moments against f64, images against those of the weights found, byte by byte.
fn train(dtype: &'static str, parameters: &[(&[usize], Order)], steps: i32) -> Report {
    let of = kind(dtype);
    let model = Model::new(of, parameters);
    let decay = model.decay();
    let scale = LossScale::of(of);
    let (lr, weight_decay, clip) = (0.125, 0.5, 1.5);
    let p = random(1, model.len, 2.0, 0.1);
    let mut state = State {
        images: model.images(of, &p),
        m: vec![0.0; model.len],
        v: vec![0.0; model.len],
        p,
    };
    let (mut p, mut m, mut v) = (widen(&state.p), widen(&state.m), widen(&state.v));
    let mut words = control(scale);
    let mut last = None;
    for t in 1..=steps {
        let loss_scale = f32::from_bits(words[0]);
        let mut g = random(10 + u64::from(t.unsigned_abs()), model.len, 0.25, 0.02);
        g.iter_mut().zip(&decay).for_each(|(g, there)| {
            *g = if there.is_some() {
                *g * loss_scale
            } else {
                0.0
            };
        });
        if t == steps && steps > 1 {
            let at = model.tensors.last().unwrap().offset;
            let mut bad = g.clone();
            bad[at] = f32::INFINITY;
            (words, _) = grad_norm::run(&bad, [lr, weight_decay, clip], words, scale);
            let (same, _) = step(dtype, &model, &state, &bad, words);
            assert!(same.p == state.p && same.m == state.m && same.v == state.v);
            assert!(
                same.images == state.images,
                "{dtype}: images of a step left out"
            );
            let ratio = f32::from_bits(words[0]) / loss_scale;
            for g in &mut g {
                *g *= ratio;
            }
        }
        let loss_scale = f64::from(f32::from_bits(words[0]));
        (words, _) = grad_norm::run(&g, [lr, weight_decay, clip], words, scale);
        let mut exact: Vec<f64> = widen(&g).iter().map(|g| g / loss_scale).collect();
        let norm = exact.iter().map(|g| g * g).sum::<f64>().sqrt();
        let factor = (f64::from(clip) / (norm + 1e-6)).min(1.0);
        for g in &mut exact {
            *g *= factor;
        }
        let rates = (f64::from(lr), f64::from(weight_decay));
        exact_step([&mut p, &mut m, &mut v], &exact, &decay, rates, t);
        let (next, report) = step(dtype, &model, &state, &g, words);
        state = next;
        for (what, found, exact) in [
            ("p", &state.p, &p),
            ("m", &state.m, &m),
            ("v", &state.v, &v),
        ] {
            let error = rel_l2(found, exact);
            assert!(error < TOLERANCE, "{dtype} step {t}: {what} {error:e}");
        }
        let wanted = model.images(of, &state.p);
        for (what, found, wanted) in [
            ("image", &state.images[0], &wanted[0]),
            ("transpose", &state.images[1], &wanted[1]),
        ] {
            let differs = found.iter().zip(wanted).position(|(a, b)| a != b);
            assert_eq!(differs, None, "{dtype} step {t}: byte of the {what}");
        }
        last = Some(report);
    }
    last.unwrap()
}

#[test]
fn parameters_of_every_kind() {
    for dtype in DTYPES {
        train(
            dtype,
            &[
                (&[64], VECTOR),
                (&[48, 80], matrix(80)),
                (&[10, 512], TENSOR),
                (&[10], VECTOR),
                (&[64, 64], matrix(64)),
                (&[32, 64, 2, 2], conv(64, 2)),
                (&[1, 49, 64], TENSOR),
                (&[40, 16, 4, 4], conv(16, 4)),
                (&[16, 24, 8, 8], conv(24, 8)),
                (&[128, 320], matrix(320)),
                (&[1, 1, 24], VECTOR),
            ],
            3,
        );
    }
}

/// Sizes that fill neither tiles nor vectors.
#[test]
fn awkward_sizes() {
    for dtype in DTYPES {
        train(
            dtype,
            &[
                (&[1], VECTOR),
                (&[7, 13], matrix(13)),
                (&[33, 129], matrix(129)),
                (&[4097], TENSOR),
                (&[65, 127], matrix(127)),
                (&[5, 8, 3, 3], conv(8, 3)),
                (&[33, 40, 2, 2], conv(40, 2)),
                (&[1, 1], matrix(1)),
                (&[3], VECTOR),
            ],
            2,
        );
    }
}

/// Weights, moments and gradients once each way in whole sectors, images once.
#[test]
fn moves_everything_once() {
    for dtype in DTYPES {
        let of = kind(dtype);
        let element = of.bytes();
        for (parameters, images) in [
            (
                &[(&[512_usize][..], VECTOR), (&[128, 512], matrix(512))][..],
                1,
            ),
            (
                &[
                    (&[4096], VECTOR),
                    (&[512], VECTOR),
                    (&[64, 64, 8, 8], conv(64, 8)),
                ],
                2,
            ),
            (
                &[
                    (&[64], VECTOR),
                    (&[64], VECTOR),
                    (&[64, 64, 4, 4], conv(64, 4)),
                ],
                2,
            ),
            (
                &[
                    (&[64], VECTOR),
                    (&[64], VECTOR),
                    (&[128, 64, 2, 2], conv(64, 2)),
                ],
                2,
            ),
            (
                &[
                    (&[64], VECTOR),
                    (&[64], VECTOR),
                    (&[320, 1280], matrix(1280)),
                ],
                2,
            ),
        ] {
            let report = train(dtype, parameters, 1);
            let matrix = parameters
                .iter()
                .find(|(shape, _)| shape.len() > 1)
                .unwrap();
            let matrix: usize = matrix.0.iter().product();
            let vectors = parameters.iter().filter(|(shape, _)| shape.len() == 1);
            let vectors: usize = vectors.map(|(shape, _)| shape[0]).sum();
            let all = matrix + vectors;
            let counters = &report.counters;
            let table = usize::try_from(counters.blocks).unwrap() * 8 * 512; // words for every warp
            let bytes = |sectors: u64| usize::try_from(sectors * 32).unwrap();
            let loads = bytes(counters.global_loads.sectors);
            assert!(
                (16 * all..=16 * all + table).contains(&loads),
                "{dtype}: {loads}, {all}"
            );
            let stores = bytes(counters.global_stores.sectors);
            let least = 16 * all + 4 * vectors + images * element * matrix;
            assert_eq!(stores, least, "{dtype} {parameters:?}");
            let banks = counters.shared();
            assert!(
                banks.conflicts() * 100 <= banks.wavefronts * 3,
                "{dtype} {parameters:?}: {banks:?}"
            );
        }
    }
}
