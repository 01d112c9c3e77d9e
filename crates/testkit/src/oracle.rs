//! The operators in f64, straight from their equations: plain loops, no shared code, no shortcuts.

/// y = x·Wᵀ + b: x [R, inner], w [cols, inner], `b` of cols values → [R, cols].
pub fn linear(x: &[f64], inner: usize, w: &[f64], b: &[f64]) -> Vec<f64> {
    let mut y = Vec::new();
    for row in x.chunks_exact(inner) {
        for (weights, bias) in w.chunks_exact(inner).zip(b) {
            y.push(bias + row.iter().zip(weights).map(|(a, b)| a * b).sum::<f64>());
        }
    }
    y
}

/// `LayerNorm` over rows of `gamma.len()` channels, biased variance.
pub fn layernorm(x: &[f64], gamma: &[f64], beta: &[f64], eps: f64) -> Vec<f64> {
    let c = gamma.len();
    let mut y = Vec::new();
    for row in x.chunks_exact(c) {
        let mean = row.iter().sum::<f64>() / c as f64;
        let var = row.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / c as f64;
        for ((v, g), b) in row.iter().zip(gamma).zip(beta) {
            y.push((v - mean) / (var + eps).sqrt() * g + b);
        }
    }
    y
}

/// GELU in its erf form.
pub fn gelu(x: f64) -> f64 {
    0.5 * x * (1.0 + libm::erf(x / std::f64::consts::SQRT_2))
}

/// Convolution with kernel = stride = p and no padding: x [B, C, H, W], w [O, C, p, p], b of O values
/// → tokens [B, ⌊H/p⌋·⌊W/p⌋, O].
pub fn patch_conv(
    x: &[f64],
    [n, c, h, w]: [usize; 4],
    weight: &[f64],
    bias: &[f64],
    p: usize,
) -> Vec<f64> {
    let mut y = Vec::new();
    for image in 0..n {
        for v in 0..h / p {
            for u in 0..w / p {
                for (o, &start) in bias.iter().enumerate() {
                    let mut sum = start;
                    for ch in 0..c {
                        for dy in 0..p {
                            for dx in 0..p {
                                let pixel = x[((image * c + ch) * h + v * p + dy) * w + u * p + dx];
                                sum += pixel * weight[((o * c + ch) * p + dy) * p + dx];
                            }
                        }
                    }
                    y.push(sum);
                }
            }
        }
    }
    y
}

/// softmax(q·kᵀ·d^-½)·v for one head: q [N, d], k and v [M, d] → [N, d].
pub fn attention(q: &[f64], k: &[f64], v: &[f64], d: usize) -> Vec<f64> {
    let mut y = Vec::new();
    for query in q.chunks_exact(d) {
        let scores: Vec<f64> = k
            .chunks_exact(d)
            .map(|key| query.iter().zip(key).map(|(a, b)| a * b).sum::<f64>() / (d as f64).sqrt())
            .collect();
        let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = scores.iter().map(|s| (s - top).exp()).collect();
        let total: f64 = weights.iter().sum();
        for i in 0..d {
            y.push(
                weights
                    .iter()
                    .zip(v.chunks_exact(d))
                    .map(|(w, row)| w * row[i])
                    .sum::<f64>()
                    / total,
            );
        }
    }
    y
}

/// Bilinear resize of [h, w, C] to [oh, ow, C]: half-pixel centres, two taps an axis, edges clamped.
pub fn bilinear(x: &[f64], (h, w): (usize, usize), (oh, ow): (usize, usize), c: usize) -> Vec<f64> {
    // weight of input index i for output index o: a triangle of width 1 around the sampled point
    let weight = |i: usize, o: usize, from: usize, to: usize| {
        let at = ((o as f64 + 0.5) * from as f64 / to as f64 - 0.5).clamp(0.0, from as f64 - 1.0);
        (1.0 - (i as f64 - at).abs()).max(0.0)
    };
    let mut y = Vec::new();
    for v in 0..oh {
        for u in 0..ow {
            for ch in 0..c {
                let mut sum = 0.0;
                for i in (0..h).filter(|&i| weight(i, v, h, oh) > 0.0) {
                    for j in (0..w).filter(|&j| weight(j, u, w, ow) > 0.0) {
                        sum += weight(i, v, h, oh) * weight(j, u, w, ow) * x[(i * w + j) * c + ch];
                    }
                }
                y.push(sum);
            }
        }
    }
    y
}

/// Attention of every head of every image: q [B, N, h·d], kv [B, M, 2·h·d] with keys first
/// → [B, N, h·d].
pub fn multi_head(q: &[f64], kv: &[f64], [n, m, heads, d]: [usize; 4]) -> Vec<f64> {
    let c = heads * d;
    let mut y = vec![0.0; q.len()];
    for ((q, kv), y) in q
        .chunks_exact(n * c)
        .zip(kv.chunks_exact(m * 2 * c))
        .zip(y.chunks_exact_mut(n * c))
    {
        for head in 0..heads {
            let cut = |x: &[f64], width: usize, first: usize| -> Vec<f64> {
                x.chunks_exact(width)
                    .flat_map(|row| &row[first..first + d])
                    .copied()
                    .collect()
            };
            let (k, v) = (cut(kv, 2 * c, head * d), cut(kv, 2 * c, c + head * d));
            let part = attention(&cut(q, c, head * d), &k, &v, d);
            for (row, values) in y.chunks_exact_mut(c).zip(part.chunks_exact(d)) {
                row[head * d..head * d + d].copy_from_slice(values);
            }
        }
    }
    y
}

/// Two linear layers with GELU between them: x [R, c], w1 [e, c], w2 [c, e] → [R, c].
pub fn mlp(x: &[f64], (w1, b1): (&[f64], &[f64]), (w2, b2): (&[f64], &[f64])) -> Vec<f64> {
    let hidden: Vec<f64> = linear(x, b2.len(), w1, b1).into_iter().map(gelu).collect();
    linear(&hidden, b1.len(), w2, b2)
}

/// For each image its class token, where there is one, and its tokens, plus the table:
/// x [B, N, C], `class` of C values or nothing, table [k + N, C] → [B, k + N, C].
pub fn pos_embed(x: &[f64], class: &[f64], table: &[f64]) -> Vec<f64> {
    let mut y = Vec::new();
    for image in x.chunks_exact(table.len() - class.len()) {
        y.extend(class.iter().chain(image).zip(table).map(|(a, b)| a + b));
    }
    y
}

/// Channels of [B, N, C] before the positions: [B, C, N].
pub fn channels_first(x: &[f64], n: usize, c: usize) -> Vec<f64> {
    let images = x.chunks_exact(n * c);
    images
        .flat_map(|image| (0..c * n).map(|i| image[i % n * c + i / n]))
        .collect()
}
