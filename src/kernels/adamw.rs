//! What the optimiser's kernels work on: a table of tensors and of tiles, one tile for each block of `adamw`, and
//! the words that steps tell each other.
//!
//! Master weights p, moments m and v, and gradients g are four flat arrays of f32 with every tensor at the same
//! offset in each; gradients between tensors count in the norm, and have to be zero. A tensor also has up to two images that kernels read, in the type of the model, at a byte of one
//! buffer or two: as [`crate::kernels::pack`] and the plan's [`Order`] say, and packed as its own transpose, for the
//! gradient of what it is multiplied with.

use super::pack::packed_bytes;
use super::tuning::NORM_CHUNK;
use crate::dtype::DType;
use crate::plan::Order;

/// Elements of a tile, and its rows and their length where it is one of a matrix.
const TILE: usize = ROWS * WIDTH;
const ROWS: usize = 32;
const WIDTH: usize = 128;

/// u32 words of a tensor in the table.
pub const TENSOR_WORDS: usize = 16;
/// u32 words of a tile in the table.
pub const TILE_WORDS: usize = 4;
/// u32 words of the control block.
pub const CONTROL_WORDS: usize = 14;
/// f32 words of what may change with every step: learning rate, weight decay, most norm of the gradient (0: any).
pub const HYPER_WORDS: usize = 3;

/// A parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    /// Element of the flat arrays that it begins with: a multiple of 4.
    pub offset: usize,
    /// Shape in the checkpoint.
    pub shape: Vec<usize>,
    /// How its image is laid out.
    pub order: Order,
    /// Whether weight decay applies: see [`decays`].
    pub decay: bool,
    /// Byte of its image, a multiple of 16.
    pub image: Option<usize>,
    /// Byte of the packed image of its transpose, a multiple of 16; of matrices alone.
    pub turned: Option<usize>,
}

impl Tensor {
    /// Elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Rows, channels and positions; a tensor that is no matrix is one row of channels.
    fn sizes(&self) -> [usize; 3] {
        let cols = self.shape.first().copied().unwrap_or(1).max(1);
        match self.order {
            Order::Vector | Order::Tensor => [1, self.len(), 1],
            Order::Matrix { .. } | Order::Transposed { .. } => [cols, self.len() / cols, 1],
            Order::ChannelsLast { in_chans, patch }
            | Order::ChannelsLastTransposed { in_chans, patch } => [cols, in_chans, patch * patch],
        }
    }

    /// Bytes of the packed transpose in a type; none of what is no matrix.
    pub fn turned_bytes(&self, dtype: DType) -> Option<usize> {
        match self.order {
            Order::Vector | Order::Tensor => None,
            _ => {
                let [rows, channels, positions] = self.sizes();
                Some(packed_bytes(dtype, channels * positions, rows))
            }
        }
    }
}

/// A tensor that no kernel takes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// An offset or size that is not a multiple of what moves together, or beyond 32 bits.
    #[error("adamw: {what} of tensor {tensor} is {found}, the kernel needs {needs}")]
    Size {
        /// Index of the tensor.
        tensor: usize,
        /// Which size.
        what: &'static str,
        /// What it is.
        found: usize,
        /// What it must be.
        needs: &'static str,
    },
}

/// What `adamw` reads: words of all tensors, and of all tiles.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Table {
    /// [`TENSOR_WORDS`] for each tensor: offset, image, turned (two words each, the lower first; all ones for no
    /// image), layout (0 a vector, 1 a tensor, 2 a matrix), decay, rows, channels, positions, positions of a tile.
    pub tensors: Vec<u32>,
    /// [`TILE_WORDS`] for each tile: tensor, first row, channel and position.
    pub tiles: Vec<u32>,
}

impl Table {
    /// The table for parameters.
    ///
    /// # Errors
    /// [`TableError`] for a tensor that the kernel cannot take.
    pub fn new(tensors: &[Tensor]) -> Result<Self, TableError> {
        let mut table = Self::default();
        for (index, tensor) in tensors.iter().enumerate() {
            table.push(index, tensor)?;
        }
        Ok(table)
    }

    /// Blocks of the launch.
    pub fn blocks(&self) -> usize {
        self.tiles.len() / TILE_WORDS
    }

    fn push(&mut self, index: usize, tensor: &Tensor) -> Result<(), TableError> {
        let size = |what, found, needs| TableError::Size {
            tensor: index,
            what,
            found,
            needs,
        };
        let multiple = |what, found: usize, of: usize, needs| {
            if found.is_multiple_of(of) {
                Ok(())
            } else {
                Err(size(what, found, needs))
            }
        };
        let word = |what, found: usize| {
            u32::try_from(found).map_err(|_| size(what, found, "fewer than 2^32"))
        };
        multiple("offset", tensor.offset, 4, "a multiple of 4")?;
        for image in [tensor.image, tensor.turned].into_iter().flatten() {
            multiple("image", image, 16, "a multiple of 16")?;
        }
        let [rows, channels, positions] = tensor.sizes();
        if positions > 1 {
            multiple("channels", channels, 8, "a multiple of 8")?;
        }
        // neighbours of a checkpoint move together: channels, or all positions of a small patch, or eight of them
        let at_once = match positions {
            1 => 1,
            4 => 4,
            _ => 8,
        };
        let (layout, high, wide) = match tensor.order {
            Order::Vector => (0, 1, TILE),
            Order::Tensor => (1, 1, TILE),
            _ => (2, ROWS, WIDTH / at_once),
        };
        let wide_word = |value: Option<usize>| {
            let value = value.map_or(u64::MAX, |value| value as u64);
            #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
            [value as u32, (value >> 32) as u32]
        };
        self.tensors.extend(wide_word(Some(tensor.offset)));
        self.tensors.extend(wide_word(tensor.image));
        self.tensors.extend(wide_word(tensor.turned));
        self.tensors.extend([
            layout,
            u32::from(tensor.decay),
            word("rows", rows)?,
            word("channels", channels)?,
            word("positions", positions)?,
            word("positions of a tile", at_once)?,
            0,
            0,
            0,
            0,
        ]);
        let tensor = word("index", index)?;
        for row in (0..rows).step_by(high) {
            for channel in (0..channels).step_by(wide) {
                for position in (0..positions).step_by(at_once) {
                    self.tiles.extend([
                        tensor,
                        word("rows", row)?,
                        word("channels", channel)?,
                        word("positions", position)?,
                    ]);
                }
            }
        }
        Ok(())
    }
}

/// Whether a parameter of this name and shape decays: not one of one dimension, nor a bias, nor the class token.
/// Positions do (official PVT training code).
pub fn decays(name: &str, shape: &[usize]) -> bool {
    shape.len() > 1 && name.strip_suffix(".bias").is_none() && name != "cls_token"
}

/// How the loss is scaled so that small gradients survive the type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LossScale {
    /// At first.
    pub first: f32,
    /// Steps in a row after which it doubles; 0: it stays.
    pub growth: u32,
    /// Most that it becomes.
    pub most: f32,
}

impl LossScale {
    /// Dynamic for half precision, whose smallest numbers gradients fall below; none for the others.
    pub fn of(dtype: DType) -> Self {
        match dtype {
            DType::F16 => Self {
                first: 65_536.0,
                growth: 2000,
                most: 16_777_216.0,
            },
            DType::F32 | DType::Tf32 | DType::Bf16 => Self {
                first: 1.0,
                growth: 0,
                most: 1.0,
            },
        }
    }
}

/// The control block before the first step: scale of the loss, norm, apply, factor, clean steps, steps, step size, root, decay,
/// nothing, and the powers of both betas in f64 (`kernels/include/control.cuh`).
pub fn control(scale: LossScale) -> [u32; CONTROL_WORDS] {
    let mut words = [0; CONTROL_WORDS];
    words[0] = scale.first.to_bits();
    words[3] = (1.0 / scale.first).to_bits();
    for power in [10, 12] {
        let one = 1.0_f64.to_bits();
        #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
        words[power..power + 2].copy_from_slice(&[one as u32, (one >> 32) as u32]);
    }
    words
}

/// What a control block says between two steps.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Control {
    /// Loss scale of the next step.
    pub scale: f32,
    /// Norm of the latest gradient.
    pub norm: f32,
    /// Whether the latest step was made.
    pub applied: bool,
    /// Steps in a row that left the loss scale as it is.
    pub clean: u32,
    /// Steps made.
    pub steps: u32,
}

impl Control {
    /// Reads the words.
    pub fn of(words: &[u32; CONTROL_WORDS]) -> Self {
        Self {
            scale: f32::from_bits(words[0]),
            norm: f32::from_bits(words[1]),
            applied: words[2] != 0,
            clean: words[4],
            steps: words[5],
        }
    }

    /// The words from which the next step goes on, with the powers of both betas as so many steps have left them.
    pub fn words(&self, (beta1, beta2): (f64, f64)) -> [u32; CONTROL_WORDS] {
        let first = self.scale;
        let mut words = control(LossScale {
            first,
            growth: 0,
            most: first,
        });
        [words[4], words[5]] = [self.clean, self.steps];
        for (beta, at) in [(beta1, 10), (beta2, 12)] {
            // one product for each step, as the kernel has it
            let power = (0..self.steps)
                .fold(1.0_f64, |power, _| power * beta)
                .to_bits();
            #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
            words[at..at + 2].copy_from_slice(&[power as u32, (power >> 32) as u32]);
        }
        words
    }
}

/// Blocks of `grad_norm`, and f32 elements of its partial sums.
pub const fn norm_blocks(len: usize) -> usize {
    len.div_ceil(NORM_CHUNK as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(shape: &[usize], order: Order) -> Tensor {
        Tensor {
            offset: 64,
            shape: shape.to_vec(),
            order,
            decay: true,
            image: Some(1 << 33),
            turned: None,
        }
    }

    #[test]
    fn tensors_become_tiles() {
        let conv = Order::ChannelsLast {
            in_chans: 64,
            patch: 8,
        };
        let table = Table::new(&[
            tensor(&[4097], Order::Vector),
            tensor(&[65, 129], Order::Matrix { inner: 129 }),
            tensor(&[64, 64, 8, 8], conv),
        ])
        .unwrap();
        assert_eq!(table.tensors.len(), 3 * TENSOR_WORDS);
        assert_eq!(
            table.tensors[..12],
            [64, 0, 0, 2, u32::MAX, u32::MAX, 0, 1, 1, 4097, 1, 1]
        );
        assert_eq!(table.tensors[32 + 6..32 + 12], [2, 1, 64, 64, 64, 8]);
        assert_eq!(table.blocks(), 2 + 3 * 2 + 2 * 4 * 8);
        assert_eq!(table.tiles[4..8], [0, 0, 4096, 0]);
        assert_eq!(
            table.tiles[4 * 8..][..12],
            [2, 0, 0, 0, 2, 0, 0, 8, 2, 0, 0, 16]
        );
    }

    #[test]
    fn what_kernels_cannot_take_is_refused() {
        let mut odd = tensor(&[16], Order::Vector);
        odd.offset = 2;
        let text = Table::new(&[odd]).unwrap_err().to_string();
        assert_eq!(
            text,
            "adamw: offset of tensor 0 is 2, the kernel needs a multiple of 4"
        );
        let conv = Order::ChannelsLast {
            in_chans: 3,
            patch: 2,
        };
        assert!(Table::new(&[tensor(&[16, 3, 2, 2], conv)]).is_err());
    }

    #[test]
    fn control_blocks_are_read_and_written() {
        let begin = control(LossScale::of(DType::F16));
        let control = Control::of(&begin);
        assert_eq!(control.scale.to_bits(), 65_536f32.to_bits());
        assert_eq!(control.words((0.9, 0.999)), begin);
        let later = Control {
            clean: 3,
            steps: 2,
            ..control
        };
        let words = later.words((0.5, 0.25));
        assert_eq!(Control::of(&words), later);
        let power =
            |at: usize| f64::from_bits(u64::from(words[at]) | u64::from(words[at + 1]) << 32);
        assert_eq!(
            [power(10), power(12)].map(f64::to_bits),
            [0.25, 0.0625].map(f64::to_bits)
        );
    }

    #[test]
    fn biases_norms_and_the_class_token_do_not_decay() {
        assert!(decays("pos_embed1", &[1, 49, 64]));
        assert!(decays("block1.0.attn.q.weight", &[64, 64]));
        assert!(!decays("block1.0.attn.q.bias", &[64]));
        assert!(!decays("norm.weight", &[512]));
        assert!(!decays("cls_token", &[1, 1, 512]));
    }
}
