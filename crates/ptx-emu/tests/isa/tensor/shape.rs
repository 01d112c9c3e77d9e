//! Tensors and their boxes.

use ptx_emu::{ElementType, Fill, Swizzle, TensorMap, TensorMapError, TensorMapSpec};

/// A tensor with its box.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub(crate) element: ElementType,
    pub(crate) dims: Vec<u64>,
    pub(crate) boxes: Vec<u32>,
    pub(crate) steps: Vec<u32>,
    pub(crate) swizzle: Swizzle,
    pub(crate) fill: Fill,
}

impl Shape {
    pub(crate) fn new(dims: &[u64], boxes: &[u32]) -> Self {
        Self {
            element: ElementType::U32,
            dims: dims.to_vec(),
            boxes: boxes.to_vec(),
            steps: vec![1; dims.len()],
            swizzle: Swizzle::None,
            fill: Fill::Zero,
        }
    }

    pub(crate) fn size(&self) -> u64 {
        match self.element {
            ElementType::U8 => 1,
            ElementType::U16 | ElementType::F16 | ElementType::Bf16 => 2,
            ElementType::U32 | ElementType::F32 => 4,
            _ => 8,
        }
    }

    /// Bytes from one index to the next; each dimension is padded to a multiple of 16.
    pub(crate) fn strides(&self) -> Vec<u64> {
        let mut strides = vec![self.size()];
        for n in &self.dims {
            let last = *strides.last().unwrap();
            strides.push((last * n).next_multiple_of(16) + 16);
        }
        strides
    }

    pub(crate) fn bytes(&self) -> u64 {
        *self.strides().last().unwrap()
    }

    pub(crate) fn map(&self, address: u64) -> Result<TensorMap, TensorMapError> {
        let rank = self.dims.len();
        TensorMap::new(&TensorMapSpec {
            element: self.element,
            address,
            dims: &self.dims,
            strides: &self.strides()[1..rank],
            box_dims: &self.boxes,
            element_strides: &self.steps,
            swizzle: self.swizzle,
            fill: self.fill,
        })
    }

    pub(crate) fn counts(&self) -> Vec<u32> {
        let steps = self.boxes.iter().zip(&self.steps).enumerate();
        steps
            .map(|(dim, (n, step))| if dim == 0 { *n } else { n.div_ceil(*step) })
            .collect()
    }

    /// Bytes of the box in shared memory.
    pub(crate) fn box_bytes(&self) -> usize {
        let elements: u32 = self.counts().iter().product();
        elements as usize * self.size() as usize
    }

    /// Calls `visit` with the place in shared memory and the offset in the tensor of every element
    /// of the box at `start`; no offset for those outside.
    pub(crate) fn elements(&self, start: &[i32], mut visit: impl FnMut(usize, Option<usize>)) {
        let counts = self.counts();
        let total: u32 = counts.iter().product();
        let size = self.size() as usize;
        for index in 0..total {
            let (mut rest, mut offset) = (index, Some(0));
            for dim in 0..counts.len() {
                let step = if dim == 0 { 1 } else { self.steps[dim] };
                let at = i64::from(start[dim]) + i64::from(rest % counts[dim] * step);
                rest /= counts[dim];
                let inside = u64::try_from(at).ok().filter(|at| *at < self.dims[dim]);
                offset = offset
                    .zip(inside)
                    .map(|(sum, at)| sum + at * self.strides()[dim]);
            }
            let linear = index as usize * size;
            visit(self.swizzled(linear), offset.map(|at| at as usize));
        }
    }

    /// "Swizzling Modes" of the PTX ISA.
    pub(crate) fn swizzled(&self, at: usize) -> usize {
        let chunks = match self.swizzle {
            Swizzle::None => 1,
            Swizzle::B32 => 2,
            Swizzle::B64 => 4,
            Swizzle::B128 => 8,
        };
        let (line, chunk, byte) = (at / 128, at / 16 % 8, at % 16);
        128 * line + 16 * (chunk ^ (line % chunks)) + byte
    }

    pub(crate) fn fill_bytes(&self) -> Vec<u8> {
        match (self.fill, self.element) {
            (Fill::Nan, ElementType::F32) => 0x7fff_ffff_u32.to_le_bytes().to_vec(),
            (Fill::Nan, _) => vec![0xff, 0x7f],
            _ => vec![0; self.size() as usize],
        }
    }
}
