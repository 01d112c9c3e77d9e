//! Devices: limits and rates, from published sources.

use super::class::{ByMatrixType, MatrixType};
use super::table;
use serde::Serialize;
use std::fmt;
use std::str::FromStr;

/// Limits and peak rates of a device.
///
/// Three devices are described here; for another one, start from the nearest and change fields:
///
/// ```
/// use ptx_emu::DeviceSpec;
///
/// let mut spec = DeviceSpec::h200();
/// spec.name = "NVIDIA H100 SXM".to_owned();
/// spec.dram_bytes_per_s = 3.35e12;
/// ```
///
/// Sources are named by these letters.
/// - `CG`: *CUDA C++ Programming Guide*, appendix *Compute Capabilities*, table of technical
///   specifications; `CG-T`: its table of arithmetic throughput (results per clock cycle and
///   multiprocessor).
/// - `A100`: *NVIDIA A100 Tensor Core GPU Architecture* (white paper) and the data sheet of the
///   A100 80 GB SXM.
/// - `H100`: *NVIDIA H100 Tensor Core GPU Architecture* (white paper); the H200 has the same
///   processor. `H200`: data sheet of the H200 SXM.
/// - `ADA`: *NVIDIA Ada GPU Architecture* (white paper), column GeForce RTX 4090.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct DeviceSpec {
    /// Name that the driver gives.
    pub name: String,
    /// Compute capability, major and minor.
    pub compute_capability: (u32, u32),
    /// Multiprocessors (SMs).
    pub multiprocessors: u32,
    /// Highest clock of the multiprocessors that the maker states, in Hz.
    pub clock_hz: f64,
    /// Peak rate of device memory, in bytes per second.
    pub dram_bytes_per_s: f64,
    /// Size of the L2 cache, in bytes.
    pub l2_bytes: u64,
    /// Bytes that the whole L2 cache can deliver per clock.
    pub l2_bytes_per_clock: u32,
    /// Bytes that one multiprocessor can take from L2 per clock.
    pub l2_bytes_per_clock_per_sm: u32,
    /// Shared memory of a multiprocessor, in bytes (`CG`).
    pub shared_bytes_per_sm: u32,
    /// Shared memory of a block without opting in, and the limit of static shared memory, in
    /// bytes (`CG`).
    pub shared_bytes_per_block: u32,
    /// Shared memory of a block that opts in (`cudaFuncSetAttribute`), in bytes (`CG`).
    pub shared_bytes_per_block_opt_in: u32,
    /// Shared memory that the system keeps of every block, in bytes (`CG`).
    pub shared_bytes_reserved_per_block: u32,
    /// Threads of a block (`CG`).
    pub max_threads_per_block: u32,
    /// Dimensions of a block, x y z (`CG`).
    pub max_block: [u32; 3],
    /// Dimensions of a grid, x y z (`CG`).
    pub max_grid: [u32; 3],
    /// Warps resident on a multiprocessor (`CG`).
    pub max_warps_per_sm: u32,
    /// Blocks resident on a multiprocessor (`CG`).
    pub max_blocks_per_sm: u32,
    /// 32-bit registers of a multiprocessor (`CG`).
    pub registers_per_sm: u32,
    /// Blocks of a cluster that every kernel may have (`CG`); 1 where there are no clusters.
    pub max_cluster_blocks: u32,
    /// Blocks of a cluster that a kernel may have if it opts in to a size that not every device
    /// of its generation has (`H100`).
    pub max_cluster_blocks_opt_in: u32,
    /// Warp schedulers of a multiprocessor, each issuing one instruction per clock (`CG`).
    pub schedulers_per_sm: u32,
    /// `f32` lanes of a multiprocessor (`CG-T`).
    pub f32_lanes_per_sm: u32,
    /// `f64` lanes of a multiprocessor (`CG-T`).
    pub f64_lanes_per_sm: u32,
    /// Special-function lanes of a multiprocessor: `ex2`, `rsqrt` … (`CG-T`).
    pub special_lanes_per_sm: u32,
    /// Bytes of shared memory that a multiprocessor can move per clock: 32 banks of 4 bytes (`CG`).
    pub shared_bytes_per_clock_per_sm: u32,
    /// Peak rate of dense matrix operations by type, in FLOP (for integers: operations) per second.
    pub matrix_flops_per_s: ByMatrixType<f64>,
    /// Time from the end of a kernel to the start of the next that depends on it, in seconds. No
    /// maker states it: an order of magnitude, used for information and never for a bound.
    pub launch_seconds: f64,
}

/// Typical for kernels in one stream or graph, on all three devices.
const LAUNCH_SECONDS: f64 = 2e-6;
/// Width of the way from L2 into one multiprocessor since compute capability 7.0, as profilers
/// state it; an upper limit wherever the rate of the whole cache is not published.
const L2_PORT: u32 = 64;
const KIB: u32 = 1024;

impl DeviceSpec {
    /// Names that [`DeviceSpec::from_str`] knows.
    pub const NAMES: [&'static str; 3] = ["h200", "a100", "rtx4090"];

    /// NVIDIA H200 SXM, 141 GB.
    ///
    /// `H100`: 132 multiprocessors; boost 1980 MHz for `f32` and `f64` and 1830 MHz for matrix
    /// operations of 32 bits and less; per clock and multiprocessor 4096 FLOP in `f16` and `bf16`,
    /// 2048 in `tf32`, 8192 in 8-bit integers, 256 in `f64` matrix operations; 60 MB L2 on the full
    /// chip, which is what the H200 reports. `H200`: 4.8 TB/s. `CG` 9.0: 228 KB shared memory per
    /// multiprocessor, 227 KB per block, 64 warps, 32 blocks. No L2 rate is published: ports of
    /// 64 bytes are taken as its limit.
    pub fn h200() -> Self {
        let (sms, clock, matrix_clock) = (132, 1.98e9, 1.83e9);
        Self {
            name: "NVIDIA H200".to_owned(),
            compute_capability: (9, 0),
            dram_bytes_per_s: 4.8e12,
            l2_bytes: 60 << 20,
            l2_bytes_per_clock: sms * L2_PORT,
            shared_bytes_per_sm: 228 * KIB,
            shared_bytes_per_block_opt_in: 227 * KIB,
            max_cluster_blocks: 8,
            max_cluster_blocks_opt_in: 16,
            f32_lanes_per_sm: 128,
            f64_lanes_per_sm: 64,
            matrix_flops_per_s: matrix_rates(
                sms,
                [
                    (MatrixType::F16AccF32, 4096, matrix_clock),
                    (MatrixType::F16AccF16, 4096, matrix_clock),
                    (MatrixType::Bf16, 4096, matrix_clock),
                    (MatrixType::Tf32, 2048, matrix_clock),
                    (MatrixType::Int8, 8192, matrix_clock),
                    (MatrixType::F64, 256, clock),
                ],
            ),
            ..Self::common(sms, clock)
        }
    }

    /// NVIDIA A100 SXM, 80 GB.
    ///
    /// `A100`: 108 multiprocessors at 1410 MHz, 64 `f32` and 32 `f64` lanes each; per clock and
    /// multiprocessor 2048 FLOP in `f16` and `bf16`, 1024 in `tf32`, 4096 in 8-bit integers, 128 in
    /// `f64` matrix operations; 40 MB L2 that delivers 5120 bytes per clock; 2039 GB/s. `CG` 8.0:
    /// 164 KB shared memory per multiprocessor, 163 KB per block, 64 warps, 32 blocks.
    pub fn a100() -> Self {
        let (sms, clock) = (108, 1.41e9);
        Self {
            name: "NVIDIA A100-SXM4-80GB".to_owned(),
            compute_capability: (8, 0),
            dram_bytes_per_s: 2.039e12,
            l2_bytes: 40 << 20,
            l2_bytes_per_clock: 5120,
            shared_bytes_per_sm: 164 * KIB,
            shared_bytes_per_block_opt_in: 163 * KIB,
            f32_lanes_per_sm: 64,
            f64_lanes_per_sm: 32,
            matrix_flops_per_s: matrix_rates(
                sms,
                [
                    (MatrixType::F16AccF32, 2048, clock),
                    (MatrixType::F16AccF16, 2048, clock),
                    (MatrixType::Bf16, 2048, clock),
                    (MatrixType::Tf32, 1024, clock),
                    (MatrixType::Int8, 4096, clock),
                    (MatrixType::F64, 128, clock),
                ],
            ),
            ..Self::common(sms, clock)
        }
    }

    /// NVIDIA GeForce RTX 4090, 24 GB.
    ///
    /// `ADA`: 128 multiprocessors at 2520 MHz, 128 `f32` and 2 `f64` lanes each; per clock and
    /// multiprocessor 512 FLOP in `f16` and `bf16` with `f32` sums, 1024 with `f16` sums, 256 in
    /// `tf32`, 2048 in 8-bit integers; 72 MB L2; 1008 GB/s. `CG` 8.9: 100 KB shared memory per
    /// multiprocessor, 99 KB per block, 48 warps, 24 blocks. No rate of `f64` matrix operations is
    /// published: that of the `f64` lanes is taken. No L2 rate is published: ports of 64 bytes are
    /// taken as its limit.
    pub fn rtx4090() -> Self {
        let (sms, clock) = (128, 2.52e9);
        Self {
            name: "NVIDIA GeForce RTX 4090".to_owned(),
            compute_capability: (8, 9),
            dram_bytes_per_s: 1.008e12,
            l2_bytes: 72 << 20,
            l2_bytes_per_clock: sms * L2_PORT,
            shared_bytes_per_sm: 100 * KIB,
            shared_bytes_per_block_opt_in: 99 * KIB,
            max_warps_per_sm: 48,
            max_blocks_per_sm: 24,
            f32_lanes_per_sm: 128,
            f64_lanes_per_sm: 2,
            matrix_flops_per_s: matrix_rates(
                sms,
                [
                    (MatrixType::F16AccF32, 512, clock),
                    (MatrixType::F16AccF16, 1024, clock),
                    (MatrixType::Bf16, 512, clock),
                    (MatrixType::Tf32, 256, clock),
                    (MatrixType::Int8, 2048, clock),
                    (MatrixType::F64, 2 * 2, clock),
                ],
            ),
            ..Self::common(sms, clock)
        }
    }

    /// What is the same from compute capability 8.0 to 9.0; the rest is to be filled in.
    fn common(multiprocessors: u32, clock_hz: f64) -> Self {
        Self {
            name: String::new(),
            compute_capability: (8, 0),
            multiprocessors,
            clock_hz,
            dram_bytes_per_s: 0.0,
            l2_bytes: 0,
            l2_bytes_per_clock: 0,
            l2_bytes_per_clock_per_sm: L2_PORT,
            shared_bytes_per_sm: 0,
            shared_bytes_per_block: 48 * KIB,
            shared_bytes_per_block_opt_in: 0,
            shared_bytes_reserved_per_block: KIB,
            max_threads_per_block: 1024,
            max_block: [1024, 1024, 64],
            max_grid: [(1 << 31) - 1, 65_535, 65_535],
            max_warps_per_sm: 64,
            max_blocks_per_sm: 32,
            registers_per_sm: 65_536,
            max_cluster_blocks: 1,
            max_cluster_blocks_opt_in: 1,
            schedulers_per_sm: 4,
            f32_lanes_per_sm: 0,
            f64_lanes_per_sm: 0,
            special_lanes_per_sm: 16,
            shared_bytes_per_clock_per_sm: 128,
            matrix_flops_per_s: ByMatrixType::default(),
            launch_seconds: LAUNCH_SECONDS,
        }
    }

    /// Threads resident on a multiprocessor.
    pub fn max_threads_per_sm(&self) -> u32 {
        self.max_warps_per_sm * 32
    }

    /// Peak rate of `f32` arithmetic, in FLOP per second: two per lane and clock.
    pub fn f32_flops_per_s(&self) -> f64 {
        f64::from(self.multiprocessors) * f64::from(self.f32_lanes_per_sm) * 2.0 * self.clock_hz
    }

    /// Peak rate of `f64` arithmetic outside of matrix operations, in FLOP per second.
    pub fn f64_flops_per_s(&self) -> f64 {
        f64::from(self.multiprocessors) * f64::from(self.f64_lanes_per_sm) * 2.0 * self.clock_hz
    }

    /// Peak rate of the L2 cache, in bytes per second.
    pub fn l2_bytes_per_s(&self) -> f64 {
        f64::from(self.l2_bytes_per_clock) * self.clock_hz
    }

    /// Peak rate of all shared memories together, in bytes per second.
    pub fn shared_bytes_per_s(&self) -> f64 {
        f64::from(self.multiprocessors)
            * f64::from(self.shared_bytes_per_clock_per_sm)
            * self.clock_hz
    }

    /// Blocks of `threads` threads and `shared_bytes` of shared memory that fit on one
    /// multiprocessor, as far as warps, blocks and shared memory limit it (registers are not known
    /// from PTX). Zero where not one fits.
    pub fn resident_blocks(&self, threads: u32, shared_bytes: u32) -> u32 {
        if threads > self.max_threads_per_block || shared_bytes > self.shared_bytes_per_block_opt_in
        {
            return 0;
        }
        let with_reserved = shared_bytes + self.shared_bytes_reserved_per_block;
        let by_shared = self
            .shared_bytes_per_sm
            .checked_div(with_reserved)
            .unwrap_or(u32::MAX);
        let by_warps = self.max_warps_per_sm / threads.div_ceil(32).max(1);
        self.max_blocks_per_sm.min(by_shared).min(by_warps)
    }
}

fn matrix_rates(sms: u32, per_clock: [(MatrixType, u32, f64); 6]) -> ByMatrixType<f64> {
    let mut rates = ByMatrixType::default();
    for (ty, flops, clock) in per_clock {
        rates[ty] = f64::from(sms) * f64::from(flops) * clock;
    }
    rates
}

/// There is no description of the device of this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no device `{name}`: known are {}", DeviceSpec::NAMES.join(", "))]
pub struct UnknownDevice {
    /// The name that was asked for.
    pub name: String,
}

impl FromStr for DeviceSpec {
    type Err = UnknownDevice;

    /// By a short name of [`DeviceSpec::NAMES`]; case, blanks and hyphens do not matter.
    fn from_str(name: &str) -> Result<Self, UnknownDevice> {
        let kept = name.chars().filter(char::is_ascii_alphanumeric);
        match kept.collect::<String>().to_ascii_lowercase().as_str() {
            "h200" => Ok(Self::h200()),
            "a100" => Ok(Self::a100()),
            "rtx4090" => Ok(Self::rtx4090()),
            _ => Err(UnknownDevice {
                name: name.to_owned(),
            }),
        }
    }
}

impl fmt::Display for DeviceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor) = self.compute_capability;
        write!(
            f,
            "{} (compute capability {major}.{minor}, {} multiprocessors at {:.2} GHz, {}, {} in f32, {} in bf16)",
            self.name,
            self.multiprocessors,
            self.clock_hz / 1e9,
            table::bytes_per_s(self.dram_bytes_per_s),
            table::flops_per_s(self.f32_flops_per_s()),
            table::flops_per_s(self.matrix_flops_per_s[MatrixType::Bf16]),
        )
    }
}

#[cfg(test)]
mod tests;
