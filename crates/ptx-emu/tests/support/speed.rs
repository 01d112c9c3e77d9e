//! The kernels by which the emulator's speed is judged.

use ptx_emu::{Arg, Buffer, Checks, Device, DeviceSpec, Launch, Module, Report};

use super::compile::ptx;
use super::kernels::{gemm_mma, gemm_naive, gemm_tiled, layernorm_warp};

/// A kernel with its arguments on a device that runs it on one thread.
pub(crate) struct Timed {
    pub(crate) name: &'static str,
    /// Millions of warp instructions (of `mma`, for those) per second and core to be reached,
    /// without checks and with all.
    pub(crate) goal: [f64; 2],
    module: Module,
    entry: &'static str,
    launch: Launch,
    arguments: Vec<Arg>,
    device: Device,
}

fn input(device: &mut Device, bytes: usize) -> Buffer {
    let buffer = device.alloc(bytes as u64).unwrap();
    // 16-bit patterns that are small numbers in f32, f16 and bf16
    let values =
        (0..bytes / 2).flat_map(|i| (0x3c00 + u16::try_from(i * 37 % 128).unwrap()).to_le_bytes());
    device.write(&buffer, &values.collect::<Vec<_>>()).unwrap();
    buffer
}

/// `mma` after `mma`, and nothing else worth mention: 50 rounds of 20 by each warp.
fn mma_loop() -> String {
    let mma = "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%f1,%f2,%f3,%f4}, \
               {%r1,%r2,%r3,%r4}, {%r1,%r2}, {%f1,%f2,%f3,%f4};\n";
    format!(
        ".version 7.0 .target sm_80 .address_size 64
        .visible .entry mma_loop() {{
            .reg .pred %p1; .reg .b32 %r<6>; .reg .f32 %f<5>;
            mov.b32 %r1, 0x3f803f80; mov.b32 %r2, 0x40003f80;
            mov.b32 %r3, 0x3f804000; mov.b32 %r4, 0xbf803f80;
            mov.f32 %f1, 0f00000000; mov.f32 %f2, 0f00000000;
            mov.f32 %f3, 0f00000000; mov.f32 %f4, 0f00000000;
            mov.u32 %r5, 0;
            AGAIN: {}
            add.u32 %r5, %r5, 1;
            setp.ne.u32 %p1, %r5, 50;
            @%p1 bra AGAIN;
            ret;
        }}",
        mma.repeat(20)
    )
}

impl Timed {
    /// One of `naive`, `tiled` and `bf16` (a product of `n` cubed), `layernorm` (`n` rows) and `mma`
    /// (`n` warps).
    pub(crate) fn new(name: &'static str, n: u32) -> Self {
        if name == "mma" {
            let mut device = Device::new(DeviceSpec::h200());
            device.set_threads(1);
            return Self {
                name,
                goal: [10.0, 10.0],
                module: Module::parse(&mma_loop()).unwrap(),
                entry: "mma_loop",
                launch: Launch::linear(n, 32),
                arguments: Vec::new(),
                device,
            };
        }
        let size = n as usize;
        let mut device = Device::new(DeviceSpec::h200());
        device.set_threads(1);
        let product = |device: &mut Device, bytes: usize| {
            let a = input(device, size * size * bytes);
            let b = input(device, size * size * bytes);
            let c = device.alloc((size * size * 4) as u64).unwrap();
            let mut arguments = vec![Arg::input(&a), Arg::input(&b), Arg::output(&c)];
            arguments.extend([Arg::u32(n), Arg::u32(n), Arg::u32(n)]);
            arguments
        };
        let (file, options, entry, shape, arguments, goal): (_, &[&str], _, _, _, _) = match name {
            "naive" => (
                "kernels/gemm_naive.cu",
                &[],
                "gemm_naive",
                gemm_naive(n, n),
                product(&mut device, 4),
                [60.0, 10.0],
            ),
            "tiled" => (
                "kernels/gemm_tiled.cu",
                &[],
                "gemm_tiled",
                gemm_tiled(n, n),
                product(&mut device, 4),
                [100.0, 20.0],
            ),
            "bf16" => (
                "kernels/gemm_mma.cu",
                &["-DGEMM_BF16"],
                "gemm_mma",
                gemm_mma(n, n),
                product(&mut device, 2),
                [0.0, 0.0],
            ),
            _ => {
                let columns = 1024;
                let x = input(&mut device, size * columns * 4);
                let gamma = input(&mut device, columns * 4);
                let beta = input(&mut device, columns * 4);
                let y = device.alloc((size * columns * 4) as u64).unwrap();
                let mut arguments = vec![Arg::input(&x), Arg::input(&gamma), Arg::input(&beta)];
                arguments.extend([Arg::output(&y), Arg::u32(n), Arg::u32(1024), Arg::f32(1e-6)]);
                (
                    "kernels/layernorm.cu",
                    &[],
                    "layernorm_warp",
                    layernorm_warp(n),
                    arguments,
                    [100.0, 20.0],
                )
            }
        };
        Self {
            name,
            goal,
            module: Module::parse(&ptx(file, options, 80)).unwrap(),
            entry,
            launch: shape.launch(),
            arguments,
            device,
        }
    }

    /// Uses so many threads.
    pub(crate) fn on_threads(mut self, threads: usize) -> Self {
        self.device.set_threads(threads);
        self
    }

    /// One launch.
    pub(crate) fn run(&mut self, checks: Checks) -> Report {
        self.device.set_checks(checks);
        let launched = self
            .device
            .launch(&self.module, self.entry, &self.launch, &self.arguments);
        let report = launched.unwrap();
        assert!(report.is_clean(), "{}: {report}", self.name);
        report
    }

    /// Operations of one launch that the goal counts.
    pub(crate) fn operations(&mut self) -> u64 {
        let counters = self.run(Checks::ALL).counters;
        if matches!(self.name, "bf16" | "mma") {
            counters.matrix_operations.total()
        } else {
            counters.warp_instructions.total()
        }
    }
}
