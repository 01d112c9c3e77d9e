//! Modules and their kernels, each loaded once on a device.
#![allow(unsafe_code, reason = "calls into the CUDA driver")]

use std::collections::hash_map::Entry;
use std::ffi::{CString, c_int, c_void};
use std::ptr;
use std::sync::Arc;

use cudarc::driver::sys;
use cudarc::driver::sys::CUfunction_attribute as Attribute;
use cudarc::driver::sys::CUjit_option as Jit;

use super::context::Context;
use super::error::{CudaError, Refused, RefusedList};
use super::ffi::{Handle, text};
use super::images;
use crate::kernels::{self, Module};
use crate::launch::Launch;

/// Name and type of a module.
pub(super) type Key = (&'static str, &'static str);

/// Most threads along x, y, z of a block, and blocks of a grid, on every device from 8.0 on.
const BLOCK_SIDES: [u32; 3] = [1024, 1024, 64];
const GRID_SIDES: [u32; 3] = [i32::MAX as u32, 65_535, 65_535];
/// Shared memory of a block that a kernel has without asking for more.
const SHARED_BY_RIGHT: u32 = 48 << 10;
/// Bytes for what the driver's compiler says.
const LOG_BYTES: usize = 8 << 10;

/// A module on the device.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) raw: Handle<sys::CUmod_st>,
    image: Arc<str>,
}

/// A kernel, loaded and ready for the block and shared memory of the launch that it was made for. It
/// keeps the device open.
#[derive(Debug, Clone)]
pub struct CudaFunction {
    context: Arc<Context>,
    raw: Handle<sys::CUfunc_st>,
    entry: Arc<str>,
    image: Arc<str>,
    parameters: Arc<[u32]>,
}

impl CudaFunction {
    pub(super) fn new(context: &Arc<Context>, launch: &Launch) -> Result<Self, CudaError> {
        let entry = launch.kernel.to_string();
        let module = kernels::module(launch.kernel.module, launch.kernel.dtype)?;
        let found =
            module.and_then(|module| Some((module, images::parameters(module.ptx, &entry)?)));
        let Some((module, parameters)) = found else {
            let known = module.map_or(&[][..], |module| module.entries);
            return Err(CudaError::NoKernel {
                entry,
                module: launch.kernel.module,
                dtype: launch.kernel.dtype,
                known: known.join(", "),
            });
        };
        check_arguments(&entry, &parameters, launch)?;
        check_sides(&entry, launch)?;

        let doing = "loading a kernel";
        let _current = context.enter(doing)?;
        let mut modules = context.modules();
        let loaded = match modules.entry((module.name, module.dtype)) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(load(context, module)?),
        };
        let name = CString::new(entry.as_str()).unwrap_or_default();
        let mut raw = ptr::null_mut();
        let get = context.functions().cuModuleGetFunction;
        // SAFETY: writes the handle it is given; the module is loaded, and the name ends in a zero.
        let code = unsafe { get(&raw mut raw, loaded.raw.0, name.as_ptr()) };
        context.check(code, doing)?;
        let function = Self {
            context: Arc::clone(context),
            raw: Handle(raw),
            entry: entry.into(),
            image: Arc::clone(&loaded.image),
            parameters: parameters.into(),
        };
        // with the modules locked: two threads must not lower each other's limit
        function.make_ready(launch)?;
        Ok(function)
    }

    /// Checks block and shared memory, and raises the limit of shared memory where needed.
    fn make_ready(&self, launch: &Launch) -> Result<(), CudaError> {
        let refuse = |why: String| CudaError::Launch {
            entry: self.entry.to_string(),
            why,
        };
        let threads: u64 = launch.block.iter().map(|n| u64::from(*n)).product();
        let most = self.attribute(Attribute::CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK)?;
        if threads > u64::from(most) {
            return Err(refuse(format!(
                "{threads} threads per block, at most {most}"
            )));
        }
        let fixed = self.attribute(Attribute::CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES)?;
        let needed = u64::from(fixed) + u64::from(launch.shared);
        let most = self.context.facts().limits.shared_per_block;
        if needed > u64::from(most) {
            return Err(refuse(format!(
                "{needed} bytes of shared memory per block, the device has {most}"
            )));
        }
        if needed > u64::from(SHARED_BY_RIGHT) {
            let limit = Attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
            if self.attribute(limit)? < launch.shared {
                let bytes = c_int::try_from(launch.shared).unwrap_or(c_int::MAX);
                let set = self.context.functions().cuFuncSetAttribute;
                // SAFETY: the function is loaded in the context that is current.
                let code = unsafe { set(self.raw.0, limit, bytes) };
                self.context.check(code, "asking for shared memory")?;
            }
        }
        Ok(())
    }

    fn attribute(&self, attribute: Attribute) -> Result<u32, CudaError> {
        let doing = "asking for the properties of a kernel";
        let _current = self.context.enter(doing)?;
        let mut value = 0;
        let get = self.context.functions().cuFuncGetAttribute;
        // SAFETY: writes the integer it is given; the function is loaded.
        let code = unsafe { get(&raw mut value, attribute, self.raw.0) };
        self.context.check(code, doing)?;
        Ok(u32::try_from(value).unwrap_or(0))
    }

    /// Bytes of memory that each thread has for what does not fit into registers; 0 without spills.
    ///
    /// # Errors
    /// What the driver says.
    pub fn local_bytes(&self) -> Result<u32, CudaError> {
        self.attribute(Attribute::CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES)
    }

    /// Registers of each thread.
    ///
    /// # Errors
    /// What the driver says.
    pub fn registers(&self) -> Result<u32, CudaError> {
        self.attribute(Attribute::CU_FUNC_ATTRIBUTE_NUM_REGS)
    }

    /// What it was loaded from, such as `machine code for 9.0` or `PTX 8.8`.
    pub fn image(&self) -> &str {
        &self.image
    }

    /// Its name.
    pub fn entry(&self) -> &str {
        &self.entry
    }

    /// Bytes of each parameter.
    pub(super) fn parameters(&self) -> &[u32] {
        &self.parameters
    }

    pub(super) fn context(&self) -> &Arc<Context> {
        &self.context
    }

    pub(super) fn raw(&self) -> Handle<sys::CUfunc_st> {
        self.raw
    }
}

fn check_arguments(entry: &str, parameters: &[u32], launch: &Launch) -> Result<(), CudaError> {
    let given: Vec<u32> = launch.args.iter().map(images::argument_bytes).collect();
    if given == parameters {
        return Ok(());
    }
    Err(CudaError::Launch {
        entry: entry.to_owned(),
        why: format!("arguments of {given:?} bytes, the parameters have {parameters:?}"),
    })
}

fn check_sides(entry: &str, launch: &Launch) -> Result<(), CudaError> {
    let outside = |sides: [u32; 3], most: [u32; 3]| {
        sides
            .iter()
            .zip(most)
            .any(|(side, most)| *side == 0 || *side > most)
    };
    let refuse = |what: &str, sides: [u32; 3], most: [u32; 3]| CudaError::Launch {
        entry: entry.to_owned(),
        why: format!("a {what} of {sides:?}, sides are from 1 to {most:?}"),
    };
    if outside(launch.grid, GRID_SIDES) {
        return Err(refuse("grid", launch.grid, GRID_SIDES));
    }
    if outside(launch.block, BLOCK_SIDES) {
        return Err(refuse("block", launch.block, BLOCK_SIDES));
    }
    Ok(())
}

/// Loads the best image that the driver accepts. The context must be current.
fn load(context: &Context, module: &'static Module) -> Result<Loaded, CudaError> {
    let facts = context.facts();
    let (fit, mut refused) = images::choose(module.cubins, facts.limits.capability);
    for cubin in fit {
        // words are aligned as the driver's own files are
        let mut words = vec![0_u64; cubin.image.len().div_ceil(8)];
        bytemuck::cast_slice_mut(&mut words)[..cubin.image.len()].copy_from_slice(cubin.image);
        match load_image(context, bytemuck::cast_slice(&words))? {
            Ok(raw) => {
                let image = images::name(cubin).into();
                return Ok(Loaded { raw, image });
            }
            Err(why) => refused.push(Refused {
                image: images::name(cubin),
                why,
            }),
        }
    }
    let image = format!("PTX {}", images::ptx_version(module.ptx));
    let text = CString::new(module.ptx.trim_end_matches('\0')).unwrap_or_default();
    match load_image(context, text.as_bytes_with_nul())? {
        Ok(raw) => {
            let image = image.into();
            return Ok(Loaded { raw, image });
        }
        Err(why) => refused.push(Refused { image, why }),
    }
    Err(CudaError::NoImage {
        device: facts.words.clone(),
        module: module.name,
        dtype: module.dtype,
        refused: Box::new(RefusedList(refused)),
    })
}

/// Loads an image: machine code, or PTX with a zero at its end. `Err` inside says why the driver
/// refuses this one; other images may do.
fn load_image(
    context: &Context,
    image: &[u8],
) -> Result<Result<Handle<sys::CUmod_st>, String>, CudaError> {
    let doing = "loading a module";
    let mut log = [0_u8; LOG_BYTES];
    let mut options = [
        Jit::CU_JIT_ERROR_LOG_BUFFER,
        Jit::CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES,
    ];
    let mut values: [*mut c_void; 2] = [
        log.as_mut_ptr().cast(),
        // the driver takes the number itself for the pointer
        ptr::without_provenance_mut(LOG_BYTES),
    ];
    let mut raw = ptr::null_mut();
    let load = context.functions().cuModuleLoadDataEx;
    // SAFETY: the image is whole, aligned to 8 bytes if it is machine code, and ends in a zero if it
    // is text; the two options have their two values, and the log has the bytes that it is said to.
    let code = unsafe {
        load(
            &raw mut raw,
            image.as_ptr().cast(),
            2,
            options.as_mut_ptr(),
            values.as_mut_ptr(),
        )
    };
    match context.check(code, doing) {
        Ok(()) => Ok(Ok(Handle(raw))),
        Err(CudaError::Call { code, name, .. }) => {
            let said = text(&log);
            let hint = match code {
                222 => format!(
                    "; it is newer than this driver for CUDA {} reads, update the driver",
                    context.driver().version()
                ),
                _ => String::new(),
            };
            let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
            let colon = if said.is_empty() { "" } else { ": " };
            Ok(Err(format!("{name} (code {code}){colon}{said}{hint}")))
        }
        Err(lost) => Err(lost),
    }
}
