//! The kernels' equations in f64 or exact integers: plain loops over whole arrays.

/// A product of matrices, and what its rounding errors are measured by.
pub(crate) struct Product {
    /// c[i,j] = sum over k of a[i,k]·b[k,j].
    pub(crate) values: Vec<f64>,
    /// sum over k of |a[i,k]·b[k,j]|.
    pub(crate) sums: Vec<f64>,
}

impl Product {
    /// What f32 sums in any order stay within: 2·K·2⁻²³·Σ|a·b|, and one rounding of 2⁻²⁴ beside it.
    pub(crate) fn bound(&self, inner: usize) -> impl Fn(usize) -> f64 {
        let unit = 2.0 * inner as f64 * 2.0_f64.powi(-23);
        move |i| unit * self.sums[i] + f64::from(f32::MIN_POSITIVE)
    }
}

/// a [rows, inner] times b [inner, cols].
pub(crate) fn gemm(a: &[f64], b: &[f64], cols: usize, inner: usize) -> Product {
    let (mut values, mut sums) = (Vec::new(), Vec::new());
    for row in a.chunks_exact(inner) {
        for j in 0..cols {
            let (mut value, mut sum) = (0.0, 0.0);
            for (k, x) in row.iter().enumerate() {
                let term = x * b[k * cols + j];
                value += term;
                sum += term.abs();
            }
            values.push(value);
            sums.push(sum);
        }
    }
    Product { values, sums }
}

/// a [rows, inner] times the transpose of w [cols, inner].
pub(crate) fn gemm_transposed(a: &[f64], w: &[f64], inner: usize) -> Product {
    let cols = w.len() / inner;
    gemm(a, &transpose(w, cols, inner), cols, inner)
}

/// y[j,i] = x[i,j], x [rows, cols].
pub(crate) fn transpose<T: Copy>(x: &[T], rows: usize, cols: usize) -> Vec<T> {
    let at = |n: usize| x[n % rows * cols + n / rows];
    (0..rows * cols).map(at).collect()
}

/// (x - mean) / √(variance + eps) · gamma + beta over rows of `gamma.len()` values.
pub(crate) fn layernorm(x: &[f64], gamma: &[f64], beta: &[f64], eps: f64) -> Vec<f64> {
    let c = gamma.len();
    let mut y = Vec::new();
    for row in x.chunks_exact(c) {
        let mean = row.iter().sum::<f64>() / c as f64;
        let variance = row.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / c as f64;
        let normal = row.iter().map(|v| (v - mean) / (variance + eps).sqrt());
        y.extend(
            normal
                .zip(gamma.iter().zip(beta))
                .map(|(v, (g, b))| v * g + b),
        );
    }
    y
}

/// exp(x) divided by its sum, over rows of `cols` values; -∞ has weight 0.
pub(crate) fn softmax(x: &[f64], cols: usize) -> Vec<f64> {
    let mut y = Vec::new();
    for row in x.chunks_exact(cols) {
        let top = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = row.iter().map(|v| (v - top).exp()).sum();
        y.extend(row.iter().map(|v| (v - top).exp() / sum));
    }
    y
}

/// softmax(scale · q·kᵀ)·v of one batch entry: q [n, d], k and v [m, d].
pub(crate) fn attention(q: &[f64], k: &[f64], v: &[f64], d: usize, scale: f64) -> Vec<f64> {
    let m = k.len() / d;
    let mut scores = gemm_transposed(q, k, d).values;
    for score in &mut scores {
        *score *= scale;
    }
    gemm(&softmax(&scores, m), v, d, m).values
}

/// How often each byte occurs.
pub(crate) fn histogram(x: &[u8]) -> [u32; 256] {
    let mut bins = [0; 256];
    for &v in x {
        bins[usize::from(v)] += 1;
    }
    bins
}

/// x · (1 + erf(x/√2)) / 2.
pub(crate) fn gelu(x: &[f64]) -> Vec<f64> {
    let y = |&x: &f64| x * f64::midpoint(1.0, erf(x / 2.0_f64.sqrt()));
    x.iter().map(y).collect()
}

/// erf by its Maclaurin series with all terms positive, DLMF 7.6.2: exact to a few units of 2⁻⁵²
/// where |x| < 6, and 1 beyond.
fn erf(x: f64) -> f64 {
    if x.abs() > 6.0 {
        return x.signum();
    }
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= 2.0 * x * x / f64::from(2 * n + 1);
        sum += term;
    }
    2.0 / std::f64::consts::PI.sqrt() * (-x * x).exp() * sum
}

/// The entry `call_table`: 2x, x², bytes reversed, x! in turn, modulo 2³².
pub(crate) fn call_table(x: &[u32]) -> Vec<u32> {
    let of = |(i, &x): (usize, &u32)| match i % 4 {
        0 => x.wrapping_mul(2),
        1 => x.wrapping_mul(x),
        2 => x.swap_bytes(),
        _ => (2..=x).fold(1, u32::wrapping_mul),
    };
    x.iter().enumerate().map(of).collect()
}

/// The entry `local_sort`: eight values sorted, then weighed.
pub(crate) fn local_sort(x: &[f32]) -> Vec<f64> {
    const WEIGHTS: [f64; 8] = [0.5, -1.0, 2.0, 0.25, 3.0, -0.125, 1.5, 7.0];
    let of = |row: &[f32]| {
        let mut row = row.to_vec();
        row.sort_by(f32::total_cmp);
        row.iter()
            .zip(WEIGHTS)
            .map(|(&v, w)| f64::from(v) * w)
            .sum()
    };
    x.chunks_exact(8).map(of).collect()
}

/// The entry `integers`, by wider integers and the standard library.
pub(crate) fn integers(x: &[u64]) -> Vec<u64> {
    let of = |(i, &v): (u32, &u64)| {
        let [b0, b1, b2, b3, b4, b5, b6, b7] = v.to_le_bytes();
        let low = u32::from_le_bytes([b0, b1, b2, b3]);
        let high = u32::from_le_bytes([b4, b5, b6, b7]);
        let (signed_low, odd_high) = (low.cast_signed(), (high | 1).cast_signed());
        let sign_extended = |value: i32| i64::from(value).cast_unsigned();

        let product = u128::from(v) * 0x9e37_79b9_7f4a_7c15;
        let mut z = u64::try_from(product >> 64).unwrap();
        z = z.wrapping_add(((u64::from(low) * u64::from(high)) >> 32) << 16);
        z ^= (u64::MAX / v).wrapping_add((u64::MAX - u64::from(i)) % v);
        z = z.wrapping_add(
            sign_extended(signed_low.wrapping_div(odd_high))
                .wrapping_add(sign_extended(signed_low % 7)),
        );
        let turned = (u128::from(v) << (i % 32) >> 32) & u128::from(u32::MAX);
        z ^= u64::try_from(turned).unwrap() << 8;
        let ffs = if low == 0 {
            0
        } else {
            low.trailing_zeros() + 1
        };
        let bits = u64::from(v.count_ones())
            + 64 * u64::from(v.leading_zeros())
            + 4096 * u64::from(ffs)
            + u64::from(high.reverse_bits());
        z = z.wrapping_add(bits);
        let short = i64::from(i16::from_le_bytes([b0, b1]));
        let char = i64::from(i8::from_le_bytes([b4]));
        z ^= short.wrapping_add(char).cast_unsigned();
        z.wrapping_add((v >> (i % 64)) ^ (v.cast_signed() >> (i % 64)).cast_unsigned())
    };
    (0..).zip(x).map(of).collect()
}
