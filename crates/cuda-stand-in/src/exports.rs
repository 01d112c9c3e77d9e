//! The functions of the driver API, by their names.
#![allow(unsafe_code, reason = "names that other programs look for")]
#![allow(non_snake_case, reason = "names of the driver API")]

use std::ffi::{c_char, c_int, c_uint, c_ulonglong, c_void};
use std::ptr;

use ptx_emu::Launch;

use crate::abi::{Handle, Image, Options, Out, Params, Source, Target, Text, Values};
use crate::kernels::Recorded;
use crate::state::{
    INVALID_CONTEXT, INVALID_HANDLE, INVALID_VALUE, call, current, name, pop, push,
};

/// The device in words; no GPU has such a name.
const NAME: &str = "stand-in (ptx-emu)";

/// Defines functions by their names: `name(arguments) = work on the state`.
macro_rules! driver {
    ($($name:ident($($arg:ident: $type:ty),* $(,)?) = $work:expr;)*) => {
        $(
            #[unsafe(no_mangle)]
            extern "C" fn $name($($arg: $type),*) -> c_int {
                call($work)
            }
        )*
    };
}

driver! {
    cuInit(flags: c_uint) = |state| {
        if flags != 0 {
            return Err(INVALID_VALUE);
        }
        if state.init != 0 {
            return Err(state.init);
        }
        state.started = true;
        Ok(())
    };
    cuDriverGetVersion(version: Out<c_int>) = |state| version.put(state.version);
    cuGetErrorName(code: c_int, text: Out<*const c_char>) = |_| match name(code) {
        Some(name) => text.put(name.as_ptr()),
        None => text.put(ptr::null()).and(Err(INVALID_VALUE)),
    };

    cuDeviceGetCount(count: Out<c_int>) = |state| {
        state.running()?;
        count.put(c_int::try_from(state.retained.len()).unwrap_or(c_int::MAX))
    };
    cuDeviceGet(device: Out<c_int>, index: c_int) = |state| {
        state.index(index)?;
        device.put(index)
    };
    cuDeviceGetName(text: Out<c_char>, bytes: c_int, device: c_int) = |state| {
        state.index(device)?;
        text.put_text(NAME, usize::try_from(bytes).unwrap_or(0))
    };
    cuDeviceGetAttribute(value: Out<c_int>, attribute: c_int, device: c_int) = |state| {
        state.index(device)?;
        let spec = state.device.spec();
        let number = match attribute {
            1 => spec.max_threads_per_block,
            8 => spec.shared_bytes_per_block,
            10 => 32,
            16 => spec.multiprocessors,
            75 => spec.compute_capability.0,
            76 => spec.compute_capability.1,
            97 => spec.shared_bytes_per_block_opt_in,
            _ => return Err(INVALID_VALUE),
        };
        value.put(c_int::try_from(number).map_err(|_| INVALID_VALUE)?)
    };

    cuDevicePrimaryCtxRetain(context: Out<Handle>, device: c_int) = |state| {
        context.put(Handle::of(state.retain(device)?))
    };
    cuDevicePrimaryCtxRelease_v2(device: c_int) = |state| {
        state.release(device)
    };
    cuCtxCreate_v2(context: Out<Handle>, _flags: c_uint, _device: c_int) = |state| {
        state.running()?;
        let made = state.fresh();
        state.contexts.push(made);
        push(made);
        context.put(Handle::of(made))
    };
    cuCtxPushCurrent_v2(context: Handle) = |state| {
        state.running()?;
        let context = context.number();
        if !state.is_context(context) {
            return Err(INVALID_CONTEXT);
        }
        push(context);
        Ok(())
    };
    cuCtxPopCurrent_v2(context: Out<Handle>) = |state| {
        state.running()?;
        context.put(Handle::of(pop().ok_or(INVALID_CONTEXT)?))
    };
    cuCtxGetCurrent(context: Out<Handle>) = |state| {
        state.running()?;
        context.put(Handle::of(current().unwrap_or(0)))
    };

    cuMemGetInfo_v2(free: Out<usize>, total: Out<usize>) = |state| {
        state.in_context()?;
        let bytes = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        free.put(bytes(state.total - state.used))?;
        total.put(bytes(state.total))
    };
    cuMemAlloc_v2(address: Out<u64>, bytes: usize) = |state| address.put(state.alloc(bytes)?);
    cuMemFree_v2(address: u64) = |state| state.free(address);
    cuMemcpyHtoDAsync_v2(to: u64, from: Source, bytes: usize, stream: Handle) = |state| {
        state.copy_in(to, &from.read(bytes)?, stream.number())
    };
    cuMemcpyDtoHAsync_v2(to: Target, from: u64, bytes: usize, stream: Handle) = |state| {
        to.write(&state.copy_out(from, bytes, stream.number())?)
    };

    cuStreamCreate(stream: Out<Handle>, _flags: c_uint) = |state| {
        stream.put(Handle::of(state.new_stream()?))
    };
    cuStreamDestroy_v2(stream: Handle) = |state| state.end_stream(stream.number());
    cuStreamSynchronize(stream: Handle) = |state| state.synchronise(stream.number());
    cuStreamBeginCapture_v2(stream: Handle, _mode: c_int) = |state| state.begin(stream.number());
    cuStreamEndCapture(stream: Handle, graph: Out<Handle>) = |state| {
        graph.put(Handle::of(0))?;
        graph.put(Handle::of(state.end(stream.number())?))
    };

    cuGraphInstantiateWithFlags(exec: Out<Handle>, graph: Handle, _flags: c_ulonglong) = |state| {
        exec.put(Handle::of(state.instantiate(graph.number())?))
    };
    cuGraphUpload(exec: Handle, stream: Handle) = |state| {
        state.in_context()?;
        state.not_recorded(stream.number())?;
        let known = state.graphs.contains_key(&exec.number());
        known.then_some(()).ok_or(INVALID_HANDLE)
    };
    cuGraphLaunch(exec: Handle, stream: Handle) = |state| {
        state.replay(exec.number(), stream.number())
    };
    cuGraphDestroy(graph: Handle) = |state| state.end_graph(graph.number());
    cuGraphExecDestroy(exec: Handle) = |state| state.end_graph(exec.number());

    cuModuleLoadDataEx(
        module: Out<Handle>,
        image: Image,
        count: c_uint,
        options: Options,
        values: Values,
    ) = |state| match state.load(image.text()?) {
        Ok(handle) => module.put(Handle::of(handle)),
        Err((code, said)) => options.log(&values, count as usize, &said).and(Err(code)),
    };
    cuModuleUnload(module: Handle) = |state| state.unload(module.number());
    cuModuleGetFunction(function: Out<Handle>, module: Handle, name: Text) = |state| {
        function.put(Handle::of(state.function(module.number(), name.read()?)?))
    };
    cuFuncGetAttribute(value: Out<c_int>, attribute: c_int, function: Handle) = |state| {
        value.put(state.function_attribute(function.number(), attribute)?)
    };
    cuFuncSetAttribute(function: Handle, attribute: c_int, value: c_int) = |state| {
        if attribute == 8 {
            state.set_dynamic(function.number(), value)
        } else {
            Err(INVALID_VALUE)
        }
    };
    cuLaunchKernel(
        function: Handle,
        grid_x: c_uint,
        grid_y: c_uint,
        grid_z: c_uint,
        block_x: c_uint,
        block_y: c_uint,
        block_z: c_uint,
        shared: c_uint,
        stream: Handle,
        params: Params,
        _extra: *const c_void,
    ) = |state| {
        let function = function.number();
        let values = params.read(&state.parameters(function)?)?;
        let launch = Launch {
            grid: [grid_x, grid_y, grid_z],
            block: [block_x, block_y, block_z],
            shared,
            cluster: None,
        };
        state.launch(Recorded { function, launch, values }, stream.number())
    };
}

/// Writes the numbers of [`crate::COUNTERS`] since the library was loaded.
#[unsafe(no_mangle)]
extern "C" fn cudaStandInCounters(numbers: Out<[u64; crate::COUNTERS.len()]>) -> c_int {
    call(|state| {
        // this call is none of the driver
        state.counters.calls -= 1;
        let c = &state.counters;
        numbers.put([
            c.allocations,
            c.frees,
            c.copies,
            c.synchronisations,
            c.launches,
            c.modules,
            c.calls,
        ])
    })
}

/// Writes how many kernels ran on a stream.
#[unsafe(no_mangle)]
extern "C" fn cudaStandInLaunchesOn(stream: Handle, count: Out<u64>) -> c_int {
    call(|state| {
        state.counters.calls -= 1;
        let stream = state.streams.get(&stream.number()).ok_or(INVALID_HANDLE)?;
        count.put(stream.launches)
    })
}
