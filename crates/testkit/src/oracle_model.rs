//! The whole network in f64, composed of the operators of [`crate::oracle`].

use crate::oracle;

/// Sizes of one stage.
#[derive(Debug, Clone, Copy)]
pub struct Stage {
    /// Channels of the tokens.
    pub dim: usize,
    /// Attention heads.
    pub heads: usize,
    /// Blocks.
    pub depth: usize,
    /// Hidden channels of the MLP.
    pub hidden: usize,
    /// Side of the windows that keys and values are reduced by.
    pub sr: usize,
    /// Kernel and stride of the patch embedding.
    pub patch: usize,
}

/// Epsilon of each kind of layer norm.
#[derive(Debug, Clone, Copy)]
pub struct Eps {
    /// After patch embeddings.
    pub patch_embed: f64,
    /// After spatial reductions.
    pub sr: f64,
    /// Before attention and MLP.
    pub block: f64,
    /// Before the classifier.
    pub last: f64,
}

/// A Pyramid Vision Transformer, first version.
pub struct Model<'a> {
    /// Channels of the image.
    pub in_chans: usize,
    /// Height and width that the position tables are for.
    pub img_size: (usize, usize),
    /// Classes.
    pub classes: usize,
    /// Whether queries, keys and values have a bias.
    pub qkv_bias: bool,
    /// Epsilons.
    pub eps: Eps,
    /// Stages, finest grid first.
    pub stages: [Stage; 4],
    /// Values of the parameter with this key name and shape.
    pub param: &'a dyn Fn(&str, &[usize]) -> Vec<f64>,
}

/// Results of a forward pass.
#[derive(Debug, Clone, Default)]
pub struct Output {
    /// [B, classes]; empty without a classifier.
    pub logits: Vec<f64>,
    /// [B, C, H, W] after each stage.
    pub features: Vec<Vec<f64>>,
}

impl Model<'_> {
    fn layernorm(&self, key: &str, x: &[f64], c: usize, eps: f64) -> Vec<f64> {
        let gamma = (self.param)(&format!("{key}.weight"), &[c]);
        oracle::layernorm(x, &gamma, &(self.param)(&format!("{key}.bias"), &[c]), eps)
    }

    fn layer(&self, key: &str, shape: &[usize], bias: bool) -> (Vec<f64>, Vec<f64>) {
        let b = if bias {
            (self.param)(&format!("{key}.bias"), &shape[..1])
        } else {
            vec![0.0; shape[0]]
        };
        ((self.param)(&format!("{key}.weight"), shape), b)
    }

    /// Queries from every token, keys and values from the reduced grid, heads joined and projected.
    fn attention(&self, key: &str, x: &[f64], stage: &Stage, [b, h, w, n]: [usize; 4]) -> Vec<f64> {
        let (c, r) = (stage.dim, stage.sr);
        let (mut reduced, mut m) = (x.to_vec(), n);
        if r > 1 {
            let (weight, bias) = self.layer(&format!("{key}.sr"), &[c, c, r, r], true);
            let map = oracle::channels_first(x, n, c);
            let conv = oracle::patch_conv(&map, [b, c, h, w], &weight, &bias, r);
            reduced = self.layernorm(&format!("{key}.norm"), &conv, c, self.eps.sr);
            m = (h / r) * (w / r);
        }
        let linear = |name: &str, x: &[f64], rows: usize, bias: bool| {
            let (weight, bias) = self.layer(&format!("{key}.{name}"), &[rows, c], bias);
            oracle::linear(x, c, &weight, &bias)
        };
        let q = linear("q", x, c, self.qkv_bias);
        let kv = linear("kv", &reduced, 2 * c, self.qkv_bias);
        let joined = oracle::multi_head(&q, &kv, [n, m, stage.heads, c / stage.heads]);
        linear("proj", &joined, c, true)
    }

    /// The forward pass on `image` [b, `in_chans`, height, width], with or without the classifier.
    pub fn forward(&self, image: &[f64], [b, height, width]: [usize; 3], classify: bool) -> Output {
        let mut output = Output::default();
        let (mut h, mut w, mut chans, mut stride) = (height, width, self.in_chans, 1);
        let (mut map, mut class_rows) = (image.to_vec(), Vec::new());
        for (s, stage) in (1..).zip(&self.stages) {
            let (c, p, e) = (stage.dim, stage.patch, stage.hidden);
            let (weight, bias) =
                self.layer(&format!("patch_embed{s}.proj"), &[c, chans, p, p], true);
            let x = oracle::patch_conv(&map, [b, chans, h, w], &weight, &bias, p);
            (h, w, chans, stride) = (h / p, w / p, c, stride * p);
            let x = self.layernorm(&format!("patch_embed{s}.norm"), &x, c, self.eps.patch_embed);

            let first = usize::from(classify && s == 4);
            let native = (self.img_size.0 / stride, self.img_size.1 / stride);
            let shape = [1, first + native.0 * native.1, c];
            let table = (self.param)(&format!("pos_embed{s}"), &shape);
            let (class_row, rest) = table.split_at(first * c);
            let rest = if native == (h, w) {
                rest.to_vec()
            } else {
                oracle::bilinear(rest, native, (h, w), c)
            };
            let class = match first {
                1 => (self.param)("cls_token", &[1, 1, c]),
                _ => Vec::new(),
            };
            let mut x = oracle::pos_embed(&x, &class, &[class_row, &rest].concat());

            let n = first + h * w;
            let add = |x: &mut [f64], y: Vec<f64>| x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
            for j in 0..stage.depth {
                let key = format!("block{s}.{j}");
                let a = self.layernorm(&format!("{key}.norm1"), &x, c, self.eps.block);
                add(
                    &mut x,
                    self.attention(&format!("{key}.attn"), &a, stage, [b, h, w, n]),
                );
                let a = self.layernorm(&format!("{key}.norm2"), &x, c, self.eps.block);
                let fc1 = self.layer(&format!("{key}.mlp.fc1"), &[e, c], true);
                let fc2 = self.layer(&format!("{key}.mlp.fc2"), &[c, e], true);
                add(&mut x, oracle::mlp(&a, (&fc1.0, &fc1.1), (&fc2.0, &fc2.1)));
            }
            let images = || x.chunks_exact(n * c).map(|image| image.split_at(first * c));
            let grid: Vec<f64> = images().flat_map(|image| image.1).copied().collect();
            map = oracle::channels_first(&grid, h * w, c);
            class_rows = images().flat_map(|image| image.0).copied().collect();
            output.features.push(map.clone());
        }
        if classify {
            let x = self.layernorm("norm", &class_rows, chans, self.eps.last);
            let (weight, bias) = self.layer("head", &[self.classes, chans], true);
            output.logits = oracle::linear(&x, chans, &weight, &bias);
        }
        output
    }
}
