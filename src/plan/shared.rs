//! Tiles of products that several blocks share, and the memory that they need for it.

use super::builder::Kind;
use super::{BufferId, Builder, Elements};
use crate::error::Result;
use crate::kernels::parts::{Family, MOST_SHARED_TILES, parts_tile};
use crate::kernels::weight_grad::{Weight, weight_tile};
use crate::ops::InParts;
use crate::ops::fill::Fill;
use crate::ops::linear_bwd::Sizes;
use crate::ops::patch_conv::{PatchConv, Pixels};

impl Builder {
    /// States that rows of later linear layers are those of so many images, one after the other. Kernels then
    /// add up an image's rows in the same order whatever the number of images is.
    #[must_use]
    pub fn images(self, images: usize) -> Self {
        Self { images, ..self }
    }

    /// A buffer of `len` f32 elements that holds `value` when a plan runs for the first time, and what steps leave
    /// there later.
    ///
    /// # Errors
    /// [`LaunchError`](crate::launch::LaunchError) where it is longer than a kernel can count.
    pub fn filled(&mut self, label: &str, len: usize, value: f32) -> Result<BufferId> {
        let y = self.buffer(len, Elements::F32, Kind::Persistent);
        let step = self.finished_step(label, Fill { len, value, y }.into())?;
        self.setup.push(step);
        Ok(y)
    }

    /// Images, and rows of each.
    pub(super) fn images_of(&self, rows: usize) -> (usize, usize) {
        let images = self.images.max(1);
        if rows.is_multiple_of(images) {
            (images, rows / images)
        } else {
            (1, rows)
        }
    }

    /// How kernels compute a product of `images` (images, rows of each) whose inner dimension they add in parts.
    pub(super) fn in_parts(
        &mut self,
        family: Family,
        images: (usize, usize),
        inner: usize,
        cols: usize,
    ) -> Result<Option<InParts>> {
        let tile = self
            .kernels
            .and_then(|dtype| parts_tile(dtype, family, images, inner, cols));
        let Some(tile) = tile else { return Ok(None) };
        let mut parts = InParts { tile, shared: None };
        if tile.blocks > 1 {
            let len = tile.partials(images.0.saturating_mul(images.1), cols);
            let partials = self.buffer(len, Elements::F32, Kind::Activation);
            parts.shared = Some((partials, self.arrivals(MOST_SHARED_TILES)?));
        }
        Ok(Some(parts))
    }

    /// The convolution, in parts where that pays.
    pub(super) fn conv_in_parts(&mut self, op: PatchConv) -> Result<PatchConv> {
        if op.pixels == Pixels::Nchw {
            return Ok(op);
        }
        let (h, w) = op.out_grid();
        let norm = op.norm.is_some();
        let family = Family::Conv { norm };
        let parts = self.in_parts(family, (op.batch, h * w), op.inner(), op.out_chans)?;
        Ok(PatchConv { parts, ..op })
    }

    /// Counters of blocks, which every launch leaves at zero: steps have the same, if they are enough.
    pub(super) fn arrivals(&mut self, counters: usize) -> Result<BufferId> {
        if let Some(known) = self.arrived
            && self.buffers[known.index()].len >= counters
        {
            return Ok(known);
        }
        let counters = self.filled("arrivals", counters.max(MOST_SHARED_TILES), 0.0)?;
        self.arrived = Some(counters);
        Ok(counters)
    }

    /// What blocks of a kernel share: `partials` f32, and counters.
    pub(super) fn shared_by_blocks(
        &mut self,
        partials: usize,
        counters: usize,
    ) -> Result<Option<(BufferId, BufferId)>> {
        if partials == 0 {
            return Ok(None);
        }
        Ok(Some((self.f32s(partials), self.arrivals(counters)?)))
    }

    /// The same for the gradient of a weight [cols, inner] over `rows` rows.
    pub(super) fn shared_by_rows(
        &mut self,
        kind: Weight,
        Sizes { rows, inner, cols }: Sizes,
    ) -> Result<Option<(BufferId, BufferId)>> {
        let tile = self
            .kernels
            .map(|dtype| weight_tile(dtype, kind, rows, inner, cols));
        let [partials, counters] = tile.map_or([0; 2], |tile| {
            [tile.partials(cols, inner), tile.counters(cols, inner)]
        });
        self.shared_by_blocks(partials, counters)
    }
}
