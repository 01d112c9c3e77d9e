//! A forward pass inside another engine: its stream, its memory, its CUDA graph.
//!
//! ```text
//! Plan::new ─► Enqueue::new ─┬─► plan().workspace_bytes(), param_bytes(): the engine takes memory
//!                            ├─► param_image: parameters as they must lie, copied by the engine
//!                            ├─► set_up, once per workspace: resized position tables
//!                            └─► enqueue, for every pass        capture ─► Graph::launch
//! ```
//!
//! [`Enqueue::enqueue`] takes no memory of device or host, copies nothing, waits for nothing, makes no
//! events, uses no stream but the one given, and leaves the current context as it was.

use std::ffi::c_void;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::executor::param_image;
use crate::plan::{BufferId, Elements, Param, Place, Plan};
use crate::shape::ShapeError;
use crate::target::cuda::{CudaDevice, Graph, Prepared};

/// Memory on a device that somebody else owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DevicePtr {
    /// Address of the first byte, a multiple of 256.
    pub address: u64,
    /// Bytes from there on.
    pub bytes: u64,
}

/// The memory of one forward pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bindings {
    /// Pixels, f32 [batch, in_chans, H, W], normalised, or what the plan was made for:
    /// [`Plan::input_bytes`] bytes.
    pub input: DevicePtr,
    /// What [`Enqueue::param_image`] gave; shared by all plans of the model.
    pub params: DevicePtr,
    /// [`Plan::workspace_bytes`] bytes, of one pass at a time.
    pub workspace: DevicePtr,
}

/// Where a result lies after a pass, without a copy: element (i₀, i₁, …) is element offset + Σ iₖ·strideₖ
/// of the memory that begins at byte `byte_offset` of the workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputDescriptor {
    /// Name, such as `logits` or `feature3`.
    pub name: String,
    /// Sizes: [batch, classes], or [batch, C, H, W].
    pub shape: Vec<usize>,
    /// Distances in elements; maps lie as NHWC, which their strides say.
    pub strides: Vec<usize>,
    /// First byte in the workspace.
    pub byte_offset: u64,
    /// What the elements are.
    pub elements: Elements,
}

/// A pointer that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BindingError {
    /// Memory that is too short.
    #[error("the {what} has {found} bytes, {needed} are needed; see Plan::{method}")]
    Short {
        /// Which memory.
        what: &'static str,
        /// Bytes given.
        found: u64,
        /// Bytes needed.
        needed: u64,
        /// What says so beforehand.
        method: &'static str,
    },
    /// An address that kernels cannot use.
    #[error("the {what} begins at {address:#x}; expected a multiple of {ALIGN} that is not null")]
    Misaligned {
        /// Which memory.
        what: &'static str,
        /// Its address.
        address: u64,
    },
}

/// What addresses of bound memory are multiples of.
const ALIGN: u64 = 256;

/// A plan made ready for a device: kernels loaded, arguments laid out. Shared by threads; each pass has
/// its own stream and workspace.
#[derive(Debug)]
pub struct Enqueue {
    plan: Arc<Plan>,
    device: CudaDevice,
    setup: Prepared,
    steps: Prepared,
}

impl Enqueue {
    /// Loads the kernels of `plan` on `device`.
    ///
    /// # Errors
    /// [`ShapeError::ForeignPlan`] for a plan for the CPU; what the driver says.
    pub fn new(device: &CudaDevice, plan: &Arc<Plan>) -> Result<Self> {
        if plan.kernels().is_none() {
            return Err(ShapeError::ForeignPlan.into());
        }
        let place = |id: BufferId| {
            Some(match plan.buffers[id.index()].place {
                Place::Input(offset) => (0, offset as u64),
                Place::Param(offset) => (1, offset as u64),
                Place::Workspace(offset) => (2, offset as u64),
                Place::Grad(_) => return None,
            })
        };
        let setup = plan.setup.iter().flat_map(|s| s.launches.iter().cloned());
        let steps: Vec<_> = plan.launches().cloned().collect();
        Ok(Self {
            setup: device.prepare(&setup.collect::<Vec<_>>(), 3, place)?,
            steps: device.prepare(&steps, 3, place)?,
            device: device.clone(),
            plan: Arc::clone(plan),
        })
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// All parameters as they must lie in [`Bindings::params`]; `read` fills a slice of a parameter's
    /// length in checkpoint order.
    ///
    /// # Errors
    /// What `read` returns.
    pub fn param_image(
        &self,
        mut read: impl FnMut(&Param, &mut [f32]) -> Result<()>,
    ) -> Result<Vec<u8>> {
        param_image(&self.plan, &mut read)
    }

    /// Where results lie after a pass.
    pub fn outputs(&self) -> Vec<OutputDescriptor> {
        let outputs = self.plan.outputs().iter().map(|output| {
            let view = &output.view;
            let buffer = &self.plan.buffers[view.buffer.index()];
            let size = buffer.bytes / buffer.len.max(1);
            let begin = match buffer.place {
                Place::Workspace(offset) => offset,
                Place::Input(_) | Place::Param(_) | Place::Grad(_) => 0, // results are never there
            };
            OutputDescriptor {
                name: output.name.clone(),
                shape: view.shape.clone(),
                strides: view.strides.clone(),
                byte_offset: (begin + view.offset * size) as u64,
                elements: buffer.elements,
            }
        });
        outputs.collect()
    }

    fn addresses(&self, bindings: &Bindings) -> Result<[u64; 3]> {
        let input = self.plan.input_bytes() as u64;
        let (params, workspace) = (self.plan.param_bytes(), self.plan.workspace_bytes());
        let needs = [
            ("input", "input_bytes", bindings.input, input),
            ("parameters", "param_bytes", bindings.params, params as u64),
            (
                "workspace",
                "workspace_bytes",
                bindings.workspace,
                workspace as u64,
            ),
        ];
        for (what, method, given, needed) in needs {
            let (address, found) = (given.address, given.bytes);
            if found < needed {
                return Err(Error::Binding(BindingError::Short {
                    what,
                    found,
                    needed,
                    method,
                }));
            }
            if address == 0 || !address.is_multiple_of(ALIGN) {
                return Err(Error::Binding(BindingError::Misaligned { what, address }));
            }
        }
        Ok(needs.map(|need| need.2.address))
    }

    /// Queues what a workspace needs once before its first pass. Parameters must be there by then.
    ///
    /// # Errors
    /// As [`Enqueue::enqueue`].
    ///
    /// # Safety
    /// As [`Enqueue::enqueue`].
    #[allow(unsafe_code, reason = "the caller's addresses and stream")]
    pub unsafe fn set_up(&self, stream: *mut c_void, bindings: &Bindings) -> Result<()> {
        let addresses = self.addresses(bindings)?;
        // SAFETY: lengths were compared with the plan's above; the caller vouches for the rest.
        Ok(unsafe { self.setup.enqueue(stream, &addresses) }?)
    }

    /// Queues one forward pass on `stream`.
    ///
    /// # Errors
    /// Before anything is queued: [`BindingError`] for memory that is too short or not aligned, a lost
    /// device. Later: what the driver says of a launch.
    ///
    /// # Safety
    /// - `stream` is a live `CUstream` of the device's primary context, or null for its default stream;
    /// - the bindings are memory of that device, which stays, and is used by nothing else in a
    ///   conflicting way, until the pass is done;
    /// - [`Enqueue::set_up`] was queued for this workspace, before.
    #[allow(unsafe_code, reason = "the caller's addresses and stream")]
    pub unsafe fn enqueue(&self, stream: *mut c_void, bindings: &Bindings) -> Result<()> {
        let addresses = self.addresses(bindings)?;
        // SAFETY: lengths were compared with the plan's above; the caller vouches for the rest.
        Ok(unsafe { self.steps.enqueue(stream, &addresses) }?)
    }

    /// Records one forward pass into a CUDA graph, which replays it on any stream.
    ///
    /// # Errors
    /// As [`Enqueue::enqueue`].
    ///
    /// # Safety
    /// The bindings as for [`Enqueue::enqueue`], for every replay.
    #[allow(unsafe_code, reason = "the caller's addresses")]
    pub unsafe fn capture(&self, bindings: &Bindings) -> Result<Graph> {
        self.device.capture(|stream| {
            // SAFETY: the stream is that of the recording; the caller vouches for the bindings.
            unsafe { self.enqueue(stream, bindings) }
        })
    }
}
