//! Deterministic values defined by a name: weights and images without a checkpoint, the same in any
//! language.
//!
//! The seed of a name is its 32-bit FNV-1a hash; element i is the `MurmurHash3` finaliser of
//! seed ⊕ (i · 0x9E3779B1), mapped to (-1, 1).

/// Element `index` of the sequence called `name`, in (-1, 1).
#[derive(Debug, Clone, Copy)]
pub struct Sequence(u32);

impl Sequence {
    /// The sequence called `name`.
    pub fn new(name: &str) -> Self {
        Self(name.bytes().fold(0x811C_9DC5, |h, b| {
            (h ^ u32::from(b)).wrapping_mul(0x0100_0193)
        }))
    }

    /// Element `index`.
    pub fn at(self, index: u32) -> f64 {
        let mut x = self.0 ^ index.wrapping_mul(0x9E37_79B1);
        x ^= x >> 16;
        x = x.wrapping_mul(0x85EB_CA6B);
        x ^= x >> 13;
        x = x.wrapping_mul(0xC2B2_AE35);
        x ^= x >> 16;
        2.0 * (f64::from(x) + 0.5) / 4_294_967_296.0 - 1.0
    }
}

/// Fills `out` with `scale · r + shift` of the sequence called `name`.
fn fill(name: &str, scale: f64, shift: f64, out: &mut [f32]) {
    let sequence = Sequence::new(name);
    for (index, v) in (0u32..).zip(out) {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "rounding to f32 is the purpose"
        )]
        let value = (scale * sequence.at(index) + shift) as f32;
        *v = value;
    }
}

/// Values of the parameter with this official key name and shape: biases 0.1·r, position tables and
/// class token 0.5·r, `LayerNorm` weights 1 + 0.2·r, matrices r·√(3 / `fan_in`).
pub fn parameter(name: &str, shape: &[usize], out: &mut [f32]) {
    let bias = std::path::Path::new(name)
        .extension()
        .is_some_and(|e| e == "bias");
    if bias {
        fill(name, 0.1, 0.0, out);
    } else if name.starts_with("pos_embed") || name == "cls_token" {
        fill(name, 0.5, 0.0, out);
    } else if shape.len() == 1 {
        fill(name, 0.2, 1.0, out);
    } else {
        let fan_in: usize = shape[1..].iter().product();
        fill(name, (3.0 / fan_in as f64).sqrt(), 0.0, out);
    }
}

/// Pixels [B, 3, H, W] of the standard test image: 2·r of the sequence `input`.
pub fn image(len: usize) -> Vec<f32> {
    let mut pixels = vec![0.0; len];
    fill("input", 2.0, 0.0, &mut pixels);
    pixels
}

#[cfg(test)]
mod tests {
    use super::Sequence;

    #[test]
    fn generator_gives_the_published_values() {
        assert_eq!(Sequence::new("input").0, 0xf9d8_6f7b);
        let input = Sequence::new("input");
        let first = [
            0.598_066_272_446_885_7,
            0.469_434_873_433_783_65,
            -0.266_173_096_606_507_9,
        ];
        for (i, want) in (0u32..).zip(first) {
            assert!((input.at(i) - want).abs() < 1e-15);
        }
        let q = Sequence::new("block1.0.attn.q.weight");
        assert!((q.at(1) - 0.332_649_893_360_212_45).abs() < 1e-15);
    }
}
