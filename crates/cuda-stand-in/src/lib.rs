//! A `libcuda.so.1` for tests on machines without a GPU: the functions of the CUDA driver that
//! `pvt-cuda` calls, executed by [`ptx_emu`]. Its device is called `stand-in (ptx-emu)`.
//!
//! Kernels run at once, on the calling thread, from PTX only; machine code is refused with code 200. A
//! finding of the emulator becomes code 700 in every later call, as an illegal address on a GPU does.
//! Streams are numbers. A recording (stream capture) holds launches and nothing else, and forbids its
//! thread what the driver forbids, with code 900.
//!
//! | variable | what |
//! | --- | --- |
//! | `CUDA_STAND_IN_INIT` | code that `cuInit` gives |
//! | `CUDA_STAND_IN_VERSION` | version of CUDA, 12080 if not set |
//! | `CUDA_STAND_IN_DEVICES` | number of devices, 1 if not set; they share their memory and a failure |
//! | `CUDA_STAND_IN_CAPABILITY` | compute capability, `8.0` if not set |
//! | `CUDA_STAND_IN_MEMORY` | bytes of the device, 1 GiB if not set |
//! | `CUDA_STAND_IN_PTX` | code with which PTX is refused |
//! | `CUDA_STAND_IN_CHECKS` | `none` for the emulator's quickest way |
//!
//! Two functions are no part of the driver: `cudaStandInCounters` and `cudaStandInLaunchesOn`.

mod abi;
mod exports;
mod kernels;
mod memory;
mod recording;
mod state;

/// Numbers that `cudaStandInCounters` writes, in this order.
pub const COUNTERS: [&str; 7] = [
    "allocations",
    "frees",
    "copies",
    "synchronisations",
    "launches",
    "modules",
    "calls",
];
