//! Sizes of every stage for an image.
//!
//! Patch embedding and spatial reduction are convolutions whose stride is their kernel, without
//! padding: every size is a floor division, and what does not fill a window is dropped.

use super::{ConfigError, PvtConfig, STAGES};
use crate::shape::ImageSize;

/// Longest side of an image, in pixels.
pub const MAX_IMAGE_SIDE: usize = 16_384;

/// What the model gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Class scores; a class token takes part in the last stage.
    Classify,
    /// Four feature maps, as detection and segmentation use them; there is no class token.
    Backbone,
}

/// Sizes of one stage for one image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StageShape {
    /// Positions (height, width) of the feature map.
    pub grid: (usize, usize),
    /// Tokens N: one per position, and one more for a class token.
    pub tokens: usize,
    /// Positions (height, width) that keys and values are reduced to; `grid` without reduction.
    pub reduced_grid: (usize, usize),
    /// Keys and values M; without reduction the same tokens as the queries, class token included.
    pub keys: usize,
    /// Channels C of a token.
    pub channels: usize,
    /// Attention heads.
    pub heads: usize,
    /// Channels d of one head.
    pub head_dim: usize,
}

impl PvtConfig {
    /// Sizes of the four stages for `image`.
    ///
    /// # Errors
    /// Those of [`validate`](Self::validate); [`ConfigError::ImageTooSmall`] where a stage would
    /// have no keys, [`ConfigError::ImageTooLarge`] above [`MAX_IMAGE_SIDE`].
    pub fn stage_shapes(
        &self,
        image: ImageSize,
        mode: Mode,
    ) -> Result<[StageShape; STAGES], ConfigError> {
        self.validate()?;
        let grids = self.grids(image)?;
        Ok(std::array::from_fn(|s| {
            let (stage, grid) = (&self.stages[s], grids[s]);
            let has_class_token = mode == Mode::Classify && s == STAGES - 1;
            let tokens = grid.0 * grid.1 + usize::from(has_class_token);
            let reduced_grid = (grid.0 / stage.sr_ratio, grid.1 / stage.sr_ratio);
            StageShape {
                grid,
                tokens,
                reduced_grid,
                keys: match stage.sr_ratio {
                    1 => tokens,
                    _ => reduced_grid.0 * reduced_grid.1,
                },
                channels: stage.embed_dim,
                heads: stage.num_heads,
                head_dim: stage.head_dim(),
            }
        }))
    }

    /// Positions (height, width) of the position table of `stage`, counted from 0: the grid at
    /// [`img_size`](Self::img_size). An empty grid for a stage that does not exist.
    pub fn native_grid(&self, stage: usize) -> (usize, usize) {
        self.stages
            .get(stage)
            .map_or((0, 0), |_| self.grid(stage, self.img_size))
    }

    /// Shortest side of an image for which every stage has at least one key, in pixels; 32 for
    /// the published models.
    pub fn min_side(&self) -> usize {
        (0..STAGES)
            .map(|s| self.stride(s).saturating_mul(self.stages[s].sr_ratio))
            .fold(1, usize::max)
    }

    /// Pixels per position of stage `s`.
    fn stride(&self, s: usize) -> usize {
        self.stages[..=s]
            .iter()
            .fold(1, |pixels, stage| pixels.saturating_mul(stage.patch_size))
    }

    /// Grid of stage `s`. Floor divisions one after the other equal one by their product.
    fn grid(&self, s: usize, image: ImageSize) -> (usize, usize) {
        let stride = self.stride(s).max(1);
        (image.height / stride, image.width / stride)
    }

    /// Grids of the four stages, each large enough for its reduction.
    pub(super) fn grids(&self, image: ImageSize) -> Result<[(usize, usize); STAGES], ConfigError> {
        if image.height > MAX_IMAGE_SIDE || image.width > MAX_IMAGE_SIDE {
            return Err(ConfigError::ImageTooLarge {
                image,
                limit: MAX_IMAGE_SIDE,
            });
        }
        let grids = std::array::from_fn(|s| self.grid(s, image));
        for (index, (grid, stage)) in grids.iter().zip(&self.stages).enumerate() {
            if grid.0.min(grid.1) < stage.sr_ratio.max(1) {
                return Err(ConfigError::ImageTooSmall {
                    image,
                    stage: index + 1,
                    grid: *grid,
                    sr_ratio: stage.sr_ratio,
                    min_side: self.min_side(),
                });
            }
        }
        Ok(grids)
    }
}
