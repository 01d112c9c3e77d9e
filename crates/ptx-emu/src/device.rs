//! A device: memory and launches.

mod arguments;
mod error;
mod finish;
mod limits;
mod options;

pub use arguments::Arg;
pub use error::{LaunchError, MemoryError};
pub use options::{Buffer, Checks, Launch, Schedule};

use std::collections::HashMap;
use std::thread::available_parallelism;

use crate::device::arguments::Arguments;
use crate::exec::{self, Grid};
use crate::memory::global::GlobalMemory;
use crate::memory::window;
use crate::module::Module;
use crate::report::{DeviceSpec, Report};

/// An emulated device.
///
/// ```
/// use ptx_emu::{Arg, Device, DeviceSpec, Launch, Module};
///
/// let module = Module::parse(
///     ".version 8.0 .target sm_80 .address_size 64
///     .visible .entry double(.param .u64 x, .param .u32 n) {
///         .reg .pred %p<2>; .reg .b32 %r<6>; .reg .b64 %rd<4>;
///         ld.param.u64 %rd1, [x];
///         ld.param.u32 %r1, [n];
///         mov.u32 %r2, %ctaid.x;
///         mov.u32 %r3, %ntid.x;
///         mov.u32 %r4, %tid.x;
///         mad.lo.s32 %r5, %r2, %r3, %r4;
///         setp.ge.u32 %p1, %r5, %r1;
///         @%p1 ret;
///         mul.wide.u32 %rd2, %r5, 4;
///         add.s64 %rd3, %rd1, %rd2;
///         ld.global.u32 %r1, [%rd3];
///         shl.b32 %r1, %r1, 1;
///         st.global.u32 [%rd3], %r1;
///         ret;
///     }",
/// )?;
/// let mut device = Device::new(DeviceSpec::h200());
/// let x = device.alloc(400)?;
/// let values: Vec<u8> = (0..100_u32).flat_map(u32::to_le_bytes).collect();
/// device.write(&x, &values)?;
/// let args = [Arg::in_out(&x), Arg::u32(100)];
/// let report = device.launch(&module, "double", &Launch::linear(2, 64), &args)?;
/// assert!(report.is_clean(), "{report}");
/// assert_eq!(report.counters.global_loads.bytes, 400);
/// assert_eq!(device.read(&x)?[4..8], 2_u32.to_le_bytes());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Device {
    spec: DeviceSpec,
    memory: GlobalMemory,
    /// Allocations of each module's variables.
    modules: HashMap<u64, Vec<usize>>,
    checks: Checks,
    schedule: Schedule,
    threads: usize,
    budget: u64,
}

impl Device {
    /// A device with all checks on, that uses all cores of this machine.
    pub fn new(spec: DeviceSpec) -> Self {
        Self {
            spec,
            memory: GlobalMemory::default(),
            modules: HashMap::new(),
            checks: Checks::ALL,
            schedule: Schedule::Forward,
            threads: available_parallelism().map_or(1, usize::from),
            budget: 1 << 32,
        }
    }

    /// What it describes.
    pub fn spec(&self) -> &DeviceSpec {
        &self.spec
    }

    /// Sets what later launches check and count.
    pub fn set_checks(&mut self, checks: Checks) {
        self.checks = checks;
    }

    /// Sets the order of later launches.
    pub fn set_schedule(&mut self, schedule: Schedule) {
        self.schedule = schedule;
    }

    /// Sets how many threads of the host later launches use; results do not depend on it.
    pub fn set_threads(&mut self, threads: usize) {
        self.threads = threads.max(1);
    }

    /// Sets how many warp instructions a block may run before it counts as run away.
    pub fn set_budget(&mut self, warp_instructions: u64) {
        self.budget = warp_instructions;
    }

    /// Takes memory, which holds no value yet.
    ///
    /// # Errors
    ///
    /// Where the host has no memory for it.
    pub fn alloc(&mut self, bytes: u64) -> Result<Buffer, MemoryError> {
        self.take(bytes, None)
    }

    /// As [`Device::alloc`], with a name for reports.
    ///
    /// # Errors
    ///
    /// As [`Device::alloc`].
    pub fn alloc_named(&mut self, name: &str, bytes: u64) -> Result<Buffer, MemoryError> {
        self.take(bytes, Some(name.to_owned()))
    }

    fn take(&mut self, bytes: u64, name: Option<String>) -> Result<Buffer, MemoryError> {
        let index = self.memory.alloc(bytes, name);
        let index = index.ok_or(MemoryError::Host { bytes })?;
        Ok(Buffer {
            address: self.memory.allocations[index].base,
            bytes,
        })
    }

    /// Where a buffer lies: the allocation and the offset in it.
    fn find(&self, buffer: &Buffer) -> Result<(usize, usize), MemoryError> {
        let index = self.memory.at_or_before(buffer.address);
        let unknown = MemoryError::Unknown {
            address: buffer.address,
        };
        let index = index.ok_or(unknown.clone())?;
        let allocation = &self.memory.allocations[index];
        if allocation.freed {
            return Err(MemoryError::Freed {
                address: buffer.address,
            });
        }
        let offset = buffer.address - allocation.base;
        if buffer.bytes > allocation.len || offset > allocation.len - buffer.bytes {
            return Err(unknown);
        }
        let offset = usize::try_from(offset).map_err(|_| unknown)?;
        Ok((index, offset))
    }

    /// Copies bytes from the host to the beginning of a buffer.
    ///
    /// # Errors
    ///
    /// If they are more than it has, or it was freed.
    pub fn write(&mut self, buffer: &Buffer, bytes: &[u8]) -> Result<(), MemoryError> {
        let (index, offset) = self.find(buffer)?;
        let given = bytes.len() as u64;
        if given > buffer.bytes {
            return Err(MemoryError::Size {
                given,
                has: buffer.bytes,
            });
        }
        let allocation = &self.memory.allocations[index];
        allocation.storage.view().copy_from(offset, bytes);
        allocation.shadow.init(offset as u64, given);
        Ok(())
    }

    /// The bytes of a buffer; those that nothing wrote are zero.
    ///
    /// # Errors
    ///
    /// If it was freed.
    pub fn read(&self, buffer: &Buffer) -> Result<Vec<u8>, MemoryError> {
        let (index, offset) = self.find(buffer)?;
        let len = usize::try_from(buffer.bytes).unwrap_or(usize::MAX);
        let mut bytes = vec![0; len];
        let view = self.memory.allocations[index].storage.view();
        view.copy_to(offset, &mut bytes);
        Ok(bytes)
    }

    /// Frees a buffer. What still uses its address is then told so.
    ///
    /// # Errors
    ///
    /// If it was freed already, or is only part of an allocation.
    pub fn free(&mut self, buffer: Buffer) -> Result<(), MemoryError> {
        let (index, offset) = self.find(&buffer)?;
        if offset != 0 || self.memory.allocations[index].len != buffer.bytes {
            return Err(MemoryError::Part {
                address: buffer.address,
            });
        }
        self.memory.free(index);
        Ok(())
    }

    /// A variable of a module, in global or constant memory.
    ///
    /// # Errors
    ///
    /// If the module has none of this name, or the host no memory.
    pub fn variable(&mut self, module: &Module, name: &str) -> Result<Buffer, MemoryError> {
        self.load(module)?;
        let globals = &module.decoded.globals;
        let at = globals.iter().position(|g| g.name == name);
        let at = at.ok_or_else(|| MemoryError::NoVariable {
            name: name.to_owned(),
        })?;
        let allocation = &self.memory.allocations[self.modules[&module.id][at]];
        Ok(Buffer {
            address: allocation.base,
            bytes: allocation.len,
        })
    }

    /// Gives a module's variables their memory and initial values, once.
    fn load(&mut self, module: &Module) -> Result<(), MemoryError> {
        if self.modules.contains_key(&module.id) {
            return Ok(());
        }
        let mut indices = Vec::new();
        for global in &module.decoded.globals {
            let index = self.memory.alloc(global.bytes, Some(global.name.clone()));
            indices.push(index.ok_or(MemoryError::Host {
                bytes: global.bytes,
            })?);
        }
        for (global, index) in module.decoded.globals.iter().zip(&indices) {
            let mut initial = global.initial.clone();
            for (at, variable, offset) in &global.relocations {
                let base = self.memory.allocations[indices[*variable as usize]].base;
                let at = usize::try_from(*at).unwrap_or(usize::MAX);
                let address = base.wrapping_add_signed(*offset);
                if let Some(place) = initial.get_mut(at..at + 8) {
                    place.copy_from_slice(&address.to_le_bytes());
                }
            }
            let allocation = &mut self.memory.allocations[*index];
            allocation.storage.view().copy_from(0, &initial);
            allocation.shadow.init(0, global.bytes);
            allocation.read_only = global.constant;
        }
        self.modules.insert(module.id, indices);
        Ok(())
    }

    /// Runs a kernel to its end.
    ///
    /// # Errors
    ///
    /// If it cannot begin: no such kernel, wrong arguments, limits of the device. What goes wrong
    /// while it runs is in the report.
    pub fn launch(
        &mut self,
        module: &Module,
        kernel: &str,
        launch: &Launch,
        arguments: &[Arg],
    ) -> Result<Report, LaunchError> {
        let program = module
            .program(kernel)
            .ok_or_else(|| LaunchError::NoKernel {
                name: kernel.to_owned(),
                known: module.kernels().collect::<Vec<_>>().join(", "),
            })?;
        let cluster = self.check_limits(program, launch)?;
        self.load(module)?;
        let arguments = Arguments::new(program, arguments)?;
        let threads = if program.sequential { 1 } else { self.threads };
        for allocation in &mut self.memory.allocations {
            if !allocation.freed {
                allocation.shadow.begin_launch(threads == 1);
            }
        }
        let checks = self.checks;
        let align = program.dynamic_align.unwrap_or(16).max(16);
        let start = window::SHARED_START + program.static_shared.next_multiple_of(align);
        let shared_bytes = match launch.shared {
            0 => program.static_shared,
            dynamic => start - window::SHARED_START + dynamic,
        };
        let grid = Grid {
            program,
            memory: &self.memory,
            spec: &self.spec,
            checks,
            checked: checks != Checks::NONE,
            schedule: self.schedule,
            blocks: launch.grid,
            threads: launch.block,
            cluster: cluster.unwrap_or([1; 3]),
            clustered: cluster.is_some(),
            shared_bytes,
            dynamic_shared: launch.shared,
            dynamic_start: start,
            params: arguments.bytes,
            globals: self.modules[&module.id]
                .iter()
                .map(|index| self.memory.allocations[*index].base)
                .collect(),
            inputs: if checks.inputs {
                arguments.inputs
            } else {
                Vec::new()
            },
            buffers: arguments.buffers,
            reads_by_proxy: program.reads_by_proxy(),
            budget: self.budget,
        };
        let worker = exec::launch::run(&grid, threads);
        let worker = worker.ok_or(MemoryError::Host {
            bytes: u64::from(shared_bytes),
        })?;
        Ok(finish::report(&grid, worker))
    }
}
