//! Buffers of a plan, the parameters among them, and strided views of results.

use crate::dtype::DType;
use crate::shape::{ShapeError, elements};

/// Index of a buffer within its plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BufferId(pub(super) u32);

impl BufferId {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }

    /// The first `N`, for launches outside of a plan: whoever binds them has a list of as many pieces of memory.
    pub(crate) fn first<const N: usize>() -> [Self; N] {
        let mut next = 0..;
        std::array::from_fn(|_| Self(next.next().unwrap_or_default()))
    }
}

/// What the elements of a buffer are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Elements {
    /// Single precision: pixels, logits, biases and norms, and everything on the CPU.
    F32,
    /// The type of the plan's tensors, as it is in memory.
    Tensor(DType),
    /// Bytes: pictures that are not normalised yet.
    Bytes,
    /// A matrix in the layout of the kernels that multiply by it.
    Packed,
}

/// Which block of memory a buffer lies in; offsets in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The caller's inputs, from this offset.
    Input(usize),
    /// The parameters, from this offset.
    Param(usize),
    /// The workspace, from this offset.
    Workspace(usize),
    /// The gradients of parameters, from this offset.
    Grad(usize),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Buffer {
    pub(crate) len: usize,
    pub(crate) bytes: usize,
    pub(crate) elements: Elements,
    pub(crate) place: Place,
    /// Steps (0-based) between which the contents matter; for workspace buffers.
    pub(crate) life: (usize, usize),
}

/// How an operator wants a parameter's elements ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// As in the checkpoint.
    Vector,
    /// A matrix [cols, inner] of a product; targets may pack it.
    Matrix {
        /// Length of the inner dimension.
        inner: usize,
    },
    /// The same weight [cols, inner] as the matrix [inner, cols] of the product that takes gradients back.
    Transposed {
        /// Length of the inner dimension in the checkpoint.
        inner: usize,
    },
    /// As in the checkpoint, in the type of the plan's tensors.
    Tensor,
    /// A convolution weight [O, C, P, P] used as a matrix [O, P·P·C] over (dy, dx, c).
    ChannelsLast {
        /// Input channels C.
        in_chans: usize,
        /// Kernel side P.
        patch: usize,
    },
    /// The same as the matrix [P·P·C, O] that takes gradients back.
    ChannelsLastTransposed {
        /// Input channels C.
        in_chans: usize,
        /// Kernel side P.
        patch: usize,
    },
}

/// A parameter: its name in the checkpoint, its shape there, its place in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Param {
    /// Key name in the published PVT code.
    pub name: String,
    /// Shape in the checkpoint.
    pub shape: Vec<usize>,
    /// Element order that the plan's operators expect.
    pub order: Order,
    /// First byte in the parameter block.
    pub offset: usize,
    /// Bytes in the parameter block.
    pub bytes: usize,
}

impl Param {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there are no elements; never so in a plan.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What the caller brings for each run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Name, such as `pixels` or `labels`.
    pub name: String,
    /// Sizes, outermost first.
    pub shape: Vec<usize>,
    /// What the elements are in memory.
    pub elements: Elements,
    /// First byte in the input block.
    pub offset: usize,
    /// Bytes in the input block.
    pub bytes: usize,
}

impl Input {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there are no elements; never so in a plan.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The gradient of a parameter: f32, in the order and shape of the checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gradient {
    /// Name of the parameter.
    pub name: String,
    /// Shape in the checkpoint.
    pub shape: Vec<usize>,
    /// First byte in the gradient block.
    pub offset: usize,
    /// The buffer.
    pub buffer: BufferId,
}

impl Gradient {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there are no elements; never so in a plan.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A strided view of a buffer: element (i₀, i₁, …) lies at offset + Σ iₖ·strideₖ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// The buffer.
    pub buffer: BufferId,
    /// First element within the buffer.
    pub offset: usize,
    /// Sizes, outermost first.
    pub shape: Vec<usize>,
    /// Distance in elements between neighbours of each axis.
    pub strides: Vec<usize>,
}

impl View {
    /// The whole of a contiguous row-major buffer.
    pub fn contiguous(buffer: BufferId, shape: &[usize]) -> Self {
        let mut strides = vec![1; shape.len()];
        for axis in (1..shape.len()).rev() {
            strides[axis - 1] = strides[axis] * shape[axis];
        }
        Self {
            buffer,
            offset: 0,
            shape: shape.to_vec(),
            strides,
        }
    }

    /// The same elements with the axes in another order.
    ///
    /// # Panics
    /// Where `axes` names an axis that the view does not have.
    #[must_use]
    pub fn permuted(&self, axes: &[usize]) -> Self {
        Self {
            shape: axes.iter().map(|&a| self.shape[a]).collect(),
            strides: axes.iter().map(|&a| self.strides[a]).collect(),
            ..self.clone()
        }
    }

    /// Number of elements.
    ///
    /// # Errors
    /// [`ShapeError::Overflow`] for a view no plan makes.
    pub fn len(&self) -> Result<usize, ShapeError> {
        elements("view", &self.shape)
    }

    /// Whether the view has no elements; never so in a plan.
    pub fn is_empty(&self) -> bool {
        self.shape.contains(&0)
    }

    /// Copies the view's elements out of its buffer, row-major.
    pub(crate) fn gather<T: Copy>(&self, buffer: &[T]) -> Vec<T> {
        fn walk<T: Copy>(data: &[T], shape: &[usize], strides: &[usize], out: &mut Vec<T>) {
            match (shape, strides) {
                ([n], [1]) => out.extend_from_slice(&data[..*n]),
                ([n], [s]) => out.extend(data.iter().step_by(*s).take(*n)),
                ([n, inner @ ..], [s, rest @ ..]) => {
                    for i in 0..*n {
                        walk(&data[i * s..], inner, rest, out);
                    }
                }
                _ => out.push(data[0]),
            }
        }
        let mut out = Vec::with_capacity(self.shape.iter().product());
        if !self.is_empty() {
            walk(&buffer[self.offset..], &self.shape, &self.strides, &mut out);
        }
        out
    }
}
