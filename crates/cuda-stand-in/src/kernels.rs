//! Modules, their kernels, and launches.

use std::ffi::c_int;

use ptx_emu::{Arg, Launch, Module};

use crate::state::{
    ILLEGAL_ADDRESS, INVALID_HANDLE, INVALID_IMAGE, INVALID_PTX, INVALID_VALUE, NOT_FOUND, Outcome,
    State,
};

/// Shared memory that a block has without asking for more.
const SHARED_BY_RIGHT: u32 = 48 << 10;

pub(crate) struct Loaded {
    module: Module,
    text: String,
}

pub(crate) struct Function {
    module: usize,
    name: String,
    /// Most dynamic shared memory.
    dynamic: u32,
}

/// One launch with the values of its parameters.
#[derive(Clone)]
pub(crate) struct Recorded {
    pub(crate) function: usize,
    pub(crate) launch: Launch,
    pub(crate) values: Vec<Vec<u8>>,
}

impl State {
    /// Loads a text; an error comes with what the compiler says. No text is machine code.
    pub(crate) fn load(&mut self, text: Option<String>) -> Result<usize, (c_int, String)> {
        let plain = |code| (code, String::new());
        self.in_context().map_err(plain)?;
        self.forbidden_while_recording().map_err(plain)?;
        let text = text.ok_or(plain(INVALID_IMAGE))?;
        if self.ptx != 0 {
            return Err((self.ptx, "refused, as CUDA_STAND_IN_PTX says".to_owned()));
        }
        let module = Module::parse(&text).map_err(|e| (INVALID_PTX, e.to_string()))?;
        let handle = self.fresh();
        self.counters.modules += 1;
        self.modules.insert(handle, Loaded { module, text });
        Ok(handle)
    }

    pub(crate) fn unload(&mut self, module: usize) -> Outcome {
        self.in_context()?;
        self.functions
            .retain(|_, function| function.module != module);
        self.modules
            .remove(&module)
            .map(|_| ())
            .ok_or(INVALID_HANDLE)
    }

    pub(crate) fn function(&mut self, module: usize, name: String) -> Outcome<usize> {
        self.in_context()?;
        let loaded = self.modules.get(&module).ok_or(INVALID_HANDLE)?;
        if !loaded.module.kernels().any(|kernel| kernel == name) {
            return Err(NOT_FOUND);
        }
        let mut known = self.functions.iter();
        let known = known.find(|(_, f)| f.module == module && f.name == name);
        if let Some((handle, _)) = known {
            return Ok(*handle);
        }
        let fixed = loaded.module.static_shared_bytes(&name).unwrap_or(0);
        let dynamic = SHARED_BY_RIGHT.saturating_sub(fixed);
        let handle = self.fresh();
        let function = Function {
            module,
            name,
            dynamic,
        };
        self.functions.insert(handle, function);
        Ok(handle)
    }

    fn kernel(&self, function: usize) -> Outcome<(&Function, &Loaded)> {
        let function = self.functions.get(&function).ok_or(INVALID_HANDLE)?;
        let loaded = self.modules.get(&function.module).ok_or(INVALID_HANDLE)?;
        Ok((function, loaded))
    }

    /// `CUfunction_attribute` by its number.
    pub(crate) fn function_attribute(&self, function: usize, attribute: c_int) -> Outcome<c_int> {
        self.in_context()?;
        let (function, loaded) = self.kernel(function)?;
        let fixed = loaded.module.static_shared_bytes(&function.name);
        let number = match attribute {
            0 => most_threads(&loaded.text, &function.name),
            1 => fixed.unwrap_or(0),
            // constants, local memory, registers: none that the emulator knows of
            2..=4 => 0,
            8 => function.dynamic,
            _ => return Err(INVALID_VALUE),
        };
        c_int::try_from(number).map_err(|_| INVALID_VALUE)
    }

    pub(crate) fn set_dynamic(&mut self, function: usize, bytes: c_int) -> Outcome {
        self.in_context()?;
        let bytes = u32::try_from(bytes).map_err(|_| INVALID_VALUE)?;
        let (kernel, loaded) = self.kernel(function)?;
        let fixed = loaded.module.static_shared_bytes(&kernel.name).unwrap_or(0);
        if fixed.saturating_add(bytes) > self.device.spec().shared_bytes_per_block_opt_in {
            return Err(INVALID_VALUE);
        }
        let function = self.functions.get_mut(&function).ok_or(INVALID_HANDLE)?;
        function.dynamic = bytes;
        Ok(())
    }

    /// Bytes of each parameter.
    pub(crate) fn parameters(&self, function: usize) -> Outcome<Vec<u32>> {
        self.in_context()?;
        let (function, loaded) = self.kernel(function)?;
        let list = loaded.module.parameters(&function.name).ok_or(NOT_FOUND)?;
        Ok(list.iter().map(|parameter| parameter.bytes).collect())
    }

    /// Runs or records a launch.
    pub(crate) fn launch(&mut self, recorded: Recorded, stream: usize) -> Outcome {
        self.in_context()?;
        let (function, _) = self.kernel(recorded.function)?;
        if recorded.launch.shared > function.dynamic {
            return Err(INVALID_VALUE);
        }
        if let Some(steps) = self.recording(stream)? {
            steps.push(recorded);
            return Ok(());
        }
        if let Some(stream) = self.streams.get_mut(&stream) {
            stream.launches += 1;
        }
        self.run(&recorded)
    }

    /// Runs a launch. What the emulator finds shows in the calls after this one, as on a device,
    /// where a launch returns before the kernel runs.
    pub(crate) fn run(&mut self, recorded: &Recorded) -> Outcome {
        let (function, loaded) = self.kernel(recorded.function)?;
        let (module, name) = (loaded.module.clone(), function.name.clone());
        let args: Vec<Arg> = recorded.values.iter().map(|v| Arg::bytes(v)).collect();
        let report = self.device.launch(&module, &name, &recorded.launch, &args);
        match report {
            Ok(report) => {
                self.counters.launches += 1;
                if let Some(first) = report.violations.first() {
                    eprintln!("stand-in: {first}");
                    self.sticky = ILLEGAL_ADDRESS;
                }
                Ok(())
            }
            Err(problem) => {
                eprintln!("stand-in: {problem}");
                Err(INVALID_VALUE)
            }
        }
    }
}

/// Threads that a kernel was compiled for: the product of its `.maxntid`.
fn most_threads(text: &str, entry: &str) -> u32 {
    let declared = text.split(".entry ").skip(1);
    let mut declared = declared.filter(|text| {
        let name = text.split('(').next().unwrap_or_default();
        name.trim() == entry
    });
    let head = declared.next().and_then(|text| text.split('{').next());
    let list = head.and_then(|head| head.split_once(".maxntid"));
    let Some((_, list)) = list else {
        return 1024;
    };
    let line = list.lines().next().unwrap_or_default();
    let numbers = line.split(',').filter_map(|n| n.trim().parse::<u32>().ok());
    numbers.product()
}
