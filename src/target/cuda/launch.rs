//! The one place that launches kernels, and lists of launches that are made ready beforehand.
#![allow(unsafe_code, reason = "calls into the CUDA driver")]

use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;

use cudarc::driver::sys;

use super::context::Context;
use super::error::CudaError;
use super::ffi::Handle;
use super::module::CudaFunction;
use crate::launch::{Arg, Launch, MOST_ARGS};
use crate::plan::BufferId;
use crate::target::device::Bound;

/// Every address that a kernel takes is a multiple of this.
const ALIGN: u64 = 16;

/// Launches one kernel; the context must be current.
///
/// # Safety
/// - `params` has one pointer for each parameter of the kernel, in order, to as many bytes as the
///   parameter has;
/// - addresses among the parameters are those of memory on the device, of the sizes that the kernel's
///   contract asks for, which stays until the launch is done;
/// - `stream` is a live stream of the context, or null for its default stream.
unsafe fn launch_raw(
    context: &Context,
    function: Handle<sys::CUfunc_st>,
    [grid, block]: [[u32; 3]; 2],
    shared: u32,
    stream: sys::CUstream,
    params: &mut [*mut c_void],
) -> Result<(), CudaError> {
    let [grid_x, grid_y, grid_z] = grid;
    let [block_x, block_y, block_z] = block;
    // SAFETY: the caller keeps the list above; the context keeps the function loaded. The driver
    // copies the parameters before it returns.
    let code = unsafe {
        (context.functions().cuLaunchKernel)(
            function.0,
            grid_x,
            grid_y,
            grid_z,
            block_x,
            block_y,
            block_z,
            shared,
            stream,
            params.as_mut_ptr(),
            ptr::null_mut(),
        )
    };
    context.check(code, "launching a kernel")
}

/// Values of parameters and where each lies, on the stack.
struct Params {
    values: [u64; MOST_ARGS],
    pointers: [*mut c_void; MOST_ARGS],
}

impl Params {
    fn new() -> Self {
        Self {
            values: [0; MOST_ARGS],
            pointers: [ptr::null_mut(); MOST_ARGS],
        }
    }

    /// Points to the first `count` values; a parameter of 4 bytes is the first half of its value.
    fn point(&mut self, count: usize) -> &mut [*mut c_void] {
        let pairs = self.pointers.iter_mut().zip(&mut self.values);
        for (pointer, value) in pairs.take(count) {
            *pointer = (&raw mut *value).cast();
        }
        &mut self.pointers[..count]
    }
}

/// A value whose first four bytes in memory are these.
fn half([a, b, c, d]: [u8; 4]) -> u64 {
    u64::from_ne_bytes([a, b, c, d, 0, 0, 0, 0])
}

/// Launches one kernel with bound arguments; the context must be current.
///
/// # Errors
/// Where the arguments are not those that the function was made for, and what the driver says.
pub(super) fn launch_bound(
    context: &Context,
    function: &CudaFunction,
    launch: &Launch,
    args: &[Bound],
    stream: sys::CUstream,
) -> Result<(), CudaError> {
    let sizes = args.iter().map(super::images::bound_bytes);
    if args.len() > MOST_ARGS || !sizes.eq(function.parameters().iter().copied()) {
        let sizes: Vec<u32> = args.iter().map(super::images::bound_bytes).collect();
        return Err(CudaError::Launch {
            entry: function.entry().to_owned(),
            why: format!(
                "arguments of {sizes:?} bytes, the parameters have {:?}",
                function.parameters()
            ),
        });
    }
    let mut params = Params::new();
    for (value, arg) in params.values.iter_mut().zip(args) {
        *value = match *arg {
            Bound::Buffer { address, .. } => address,
            Bound::Null => 0,
            Bound::U32(value) => half(value.to_ne_bytes()),
            Bound::U64(value) => value,
            Bound::F32(value) => half(value.to_ne_bytes()),
        };
    }
    let shape = [launch.grid, launch.block];
    let params = params.point(args.len());
    // SAFETY: number and sizes of the parameters were compared above; a `Bound::Buffer` is memory of
    // the device that lives, by the contract of `Device::launch`; the stream is that of the device.
    unsafe {
        launch_raw(
            context,
            function.raw(),
            shape,
            launch.shared,
            stream,
            params,
        )
    }
}

/// A parameter's value, or where it comes from.
#[derive(Debug, Clone, Copy)]
enum Word {
    Value(u64),
    /// Bytes after the address in this slot.
    Address {
        slot: usize,
        offset: u64,
    },
}

#[derive(Debug)]
struct Step {
    function: Handle<sys::CUfunc_st>,
    shape: [[u32; 3]; 2],
    shared: u32,
    /// Its words, among all.
    words: (usize, usize),
}

/// A list of launches, made ready: kernels are loaded and arguments laid out, so that
/// [`Prepared::enqueue`] only hands them to the driver. It keeps the device open.
#[derive(Debug)]
pub struct Prepared {
    context: Arc<Context>,
    steps: Box<[Step]>,
    words: Box<[Word]>,
    slots: usize,
}

impl Prepared {
    /// Loads every kernel of `launches`. `place` gives, for a buffer, the index of its address among
    /// those that `enqueue` will get, below `slots`, and an offset in bytes.
    pub(super) fn new(
        context: &Arc<Context>,
        launches: &[Launch],
        slots: usize,
        place: impl Fn(BufferId) -> Option<(usize, u64)>,
    ) -> Result<Self, CudaError> {
        let (mut steps, mut words) = (Vec::with_capacity(launches.len()), Vec::new());
        for launch in launches {
            let function = CudaFunction::new(context, launch)?;
            let refuse = |why: String| CudaError::Launch {
                entry: function.entry().to_owned(),
                why,
            };
            if launch.args.len() > MOST_ARGS {
                let count = launch.args.len();
                return Err(refuse(format!("{count} arguments, at most {MOST_ARGS}")));
            }
            let first = words.len();
            for (index, arg) in launch.args.iter().enumerate() {
                words.push(match *arg {
                    Arg::Buffer(id, _) => match place(id) {
                        Some((slot, offset)) if slot < slots && offset.is_multiple_of(ALIGN) => {
                            Word::Address { slot, offset }
                        }
                        Some((slot, offset)) => {
                            return Err(refuse(format!(
                                "argument {index} lies at byte {offset} of buffer {slot} of \
                                 {slots}; offsets are multiples of {ALIGN}"
                            )));
                        }
                        None => return Err(refuse(format!("argument {index} has no place"))),
                    },
                    Arg::Null => Word::Value(0),
                    Arg::U32(value) => Word::Value(half(value.to_ne_bytes())),
                    Arg::U64(value) => Word::Value(value),
                    Arg::F32(value) => Word::Value(half(value.to_ne_bytes())),
                });
            }
            steps.push(Step {
                function: function.raw(),
                shape: [launch.grid, launch.block],
                shared: launch.shared,
                words: (first, words.len()),
            });
        }
        Ok(Self {
            context: Arc::clone(context),
            steps: steps.into(),
            words: words.into(),
            slots,
        })
    }

    /// Number of launches.
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether there is no launch.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Number of addresses that [`Prepared::enqueue`] takes.
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// Queues every launch on `stream`, in order, with buffers at `addresses`; does not wait. Takes no
    /// memory of host or device, copies nothing, makes no events, uses no other stream; may be
    /// captured into a graph. The thread's current context is what it was before.
    ///
    /// # Errors
    /// Before anything is queued: a wrong number of addresses, one that is null or no multiple of 16
    /// bytes, a lost device. Later: what the driver says of a launch.
    ///
    /// # Safety
    /// - `stream` is a live `CUstream` of this device's primary context, or null for its default
    ///   stream;
    /// - each address is that of device memory with as many bytes as the launches use from there on,
    ///   which stays, used by nothing else in a conflicting way, until the launches are done.
    pub unsafe fn enqueue(&self, stream: *mut c_void, addresses: &[u64]) -> Result<(), CudaError> {
        self.check_addresses(addresses)?;
        let _current = self.context.enter("launching kernels")?;
        let mut params = Params::new();
        for step in &self.steps {
            let words = &self.words[step.words.0..step.words.1];
            for (value, word) in params.values.iter_mut().zip(words) {
                *value = match *word {
                    Word::Value(value) => value,
                    Word::Address { slot, offset } => addresses[slot].wrapping_add(offset),
                };
            }
            let params = params.point(words.len());
            let (function, shape) = (step.function, step.shape);
            // SAFETY: `CudaFunction::new` compared number and sizes of the parameters with the
            // kernel's; the caller vouches for addresses and stream.
            unsafe {
                launch_raw(
                    &self.context,
                    function,
                    shape,
                    step.shared,
                    stream.cast(),
                    params,
                )
            }?;
        }
        Ok(())
    }

    fn check_addresses(&self, addresses: &[u64]) -> Result<(), CudaError> {
        if addresses.len() != self.slots {
            let (found, expected) = (addresses.len(), self.slots);
            let why = format!("{found} addresses given, {expected} needed");
            return Err(CudaError::Addresses { why });
        }
        let wrong = |address: &u64| *address == 0 || !address.is_multiple_of(ALIGN);
        if let Some(slot) = addresses.iter().position(wrong) {
            let address = addresses[slot];
            let why = format!(
                "address {slot} is {address:#x}; expected a multiple of {ALIGN} that is not null"
            );
            return Err(CudaError::Addresses { why });
        }
        Ok(())
    }
}
