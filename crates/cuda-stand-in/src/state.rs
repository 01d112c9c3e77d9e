//! What the driver knows: its settings, handles, contexts and counters.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::env;
use std::ffi::c_int;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::str::FromStr;
use std::sync::{LazyLock, Mutex, PoisonError};

use ptx_emu::{Buffer, Checks, Device, DeviceSpec};

use crate::kernels::{Function, Loaded, Recorded};
use crate::recording::Stream;

/// A result, or a `CUresult` other than 0.
pub(crate) type Outcome<T = ()> = Result<T, c_int>;

pub(crate) const INVALID_VALUE: c_int = 1;
pub(crate) const OUT_OF_MEMORY: c_int = 2;
pub(crate) const NOT_INITIALIZED: c_int = 3;
pub(crate) const INVALID_DEVICE: c_int = 101;
pub(crate) const INVALID_IMAGE: c_int = 200;
pub(crate) const INVALID_CONTEXT: c_int = 201;
pub(crate) const INVALID_PTX: c_int = 218;
pub(crate) const INVALID_HANDLE: c_int = 400;
pub(crate) const NOT_FOUND: c_int = 500;
pub(crate) const ILLEGAL_ADDRESS: c_int = 700;
pub(crate) const CAPTURE_UNSUPPORTED: c_int = 900;
pub(crate) const CAPTURE_INVALIDATED: c_int = 901;
pub(crate) const ILLEGAL_STATE: c_int = 401;
const UNKNOWN: c_int = 999;

/// Names of the codes that this library gives or is told to give.
const NAMES: [(c_int, &std::ffi::CStr); 19] = [
    (0, c"CUDA_SUCCESS"),
    (INVALID_VALUE, c"CUDA_ERROR_INVALID_VALUE"),
    (OUT_OF_MEMORY, c"CUDA_ERROR_OUT_OF_MEMORY"),
    (NOT_INITIALIZED, c"CUDA_ERROR_NOT_INITIALIZED"),
    (34, c"CUDA_ERROR_STUB_LIBRARY"),
    (100, c"CUDA_ERROR_NO_DEVICE"),
    (INVALID_DEVICE, c"CUDA_ERROR_INVALID_DEVICE"),
    (INVALID_IMAGE, c"CUDA_ERROR_INVALID_IMAGE"),
    (INVALID_CONTEXT, c"CUDA_ERROR_INVALID_CONTEXT"),
    (INVALID_PTX, c"CUDA_ERROR_INVALID_PTX"),
    (222, c"CUDA_ERROR_UNSUPPORTED_PTX_VERSION"),
    (INVALID_HANDLE, c"CUDA_ERROR_INVALID_HANDLE"),
    (ILLEGAL_STATE, c"CUDA_ERROR_ILLEGAL_STATE"),
    (NOT_FOUND, c"CUDA_ERROR_NOT_FOUND"),
    (ILLEGAL_ADDRESS, c"CUDA_ERROR_ILLEGAL_ADDRESS"),
    (803, c"CUDA_ERROR_SYSTEM_DRIVER_MISMATCH"),
    (804, c"CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE"),
    (
        CAPTURE_UNSUPPORTED,
        c"CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED",
    ),
    (
        CAPTURE_INVALIDATED,
        c"CUDA_ERROR_STREAM_CAPTURE_INVALIDATED",
    ),
];

pub(crate) fn name(code: c_int) -> Option<&'static std::ffi::CStr> {
    let mut names = NAMES.iter();
    names
        .find(|(known, _)| *known == code)
        .map(|(_, name)| *name)
}

/// Handle of the first device's primary context; the others follow it.
const PRIMARY: usize = 0x10;
/// Streams that need not be made: the default one by its three names.
pub(crate) const DEFAULT_STREAMS: usize = 2;

thread_local! {
    /// Stack of contexts of this thread; the last is the current one.
    static CONTEXTS: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

/// Counts since the library was loaded, in the order of [`crate::COUNTERS`].
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) allocations: u64,
    pub(crate) frees: u64,
    pub(crate) copies: u64,
    pub(crate) synchronisations: u64,
    pub(crate) launches: u64,
    pub(crate) modules: u64,
    pub(crate) calls: u64,
}

pub(crate) struct State {
    pub(crate) init: c_int,
    pub(crate) version: c_int,
    pub(crate) total: u64,
    /// Code with which PTX is refused, or 0.
    pub(crate) ptx: c_int,
    pub(crate) started: bool,
    /// How often the primary context of each device was retained.
    pub(crate) retained: Vec<u32>,
    /// A code that every later call gives.
    pub(crate) sticky: c_int,
    next: usize,
    pub(crate) device: Device,
    pub(crate) buffers: BTreeMap<u64, Buffer>,
    pub(crate) used: u64,
    pub(crate) modules: HashMap<usize, Loaded>,
    pub(crate) functions: HashMap<usize, Function>,
    pub(crate) streams: HashMap<usize, Stream>,
    pub(crate) graphs: HashMap<usize, Vec<Recorded>>,
    pub(crate) contexts: Vec<usize>,
    pub(crate) counters: Counters,
}

/// The value of a variable, if it is set and understood.
fn setting<T: FromStr>(name: &str) -> Option<T> {
    env::var(name).ok()?.parse().ok()
}

impl State {
    fn new() -> Self {
        let capability = setting::<String>("CUDA_STAND_IN_CAPABILITY").unwrap_or_default();
        let numbers = capability.split_once('.');
        let numbers = numbers.and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
        let capability = numbers.unwrap_or((8, 0));
        let mut spec = match capability {
            (9.., _) => DeviceSpec::h200(),
            (8, 9) => DeviceSpec::rtx4090(),
            _ => DeviceSpec::a100(),
        };
        spec.compute_capability = capability;
        let mut device = Device::new(spec);
        if setting::<String>("CUDA_STAND_IN_CHECKS").as_deref() == Some("none") {
            device.set_checks(Checks::NONE);
        }
        Self {
            init: setting("CUDA_STAND_IN_INIT").unwrap_or(0),
            version: setting("CUDA_STAND_IN_VERSION").unwrap_or(12_080),
            total: setting("CUDA_STAND_IN_MEMORY").unwrap_or(1 << 30),
            ptx: setting("CUDA_STAND_IN_PTX").unwrap_or(0),
            started: false,
            retained: vec![0; setting("CUDA_STAND_IN_DEVICES").unwrap_or(1).min(16)],
            sticky: 0,
            next: 0x100,
            device,
            buffers: BTreeMap::new(),
            used: 0,
            modules: HashMap::new(),
            functions: HashMap::new(),
            streams: HashMap::new(),
            graphs: HashMap::new(),
            contexts: Vec::new(),
            counters: Counters::default(),
        }
    }

    /// A number that no handle had before.
    pub(crate) fn fresh(&mut self) -> usize {
        self.next += 0x10;
        self.next
    }

    /// An error unless `cuInit` was called.
    pub(crate) fn running(&self) -> Outcome {
        if self.started {
            Ok(())
        } else {
            Err(NOT_INITIALIZED)
        }
    }

    /// Index of a device.
    pub(crate) fn index(&self, device: c_int) -> Outcome<usize> {
        self.running()?;
        let index = usize::try_from(device).ok();
        let index = index.filter(|index| *index < self.retained.len());
        index.ok_or(INVALID_DEVICE)
    }

    pub(crate) fn retain(&mut self, device: c_int) -> Outcome<usize> {
        let index = self.index(device)?;
        self.retained[index] += 1;
        Ok(PRIMARY + index)
    }

    pub(crate) fn release(&mut self, device: c_int) -> Outcome {
        let index = self.index(device)?;
        let left = self.retained[index].checked_sub(1);
        self.retained[index] = left.ok_or(INVALID_CONTEXT)?;
        Ok(())
    }

    /// Whether a handle is that of a retained primary context, or of one that a caller made.
    pub(crate) fn is_context(&self, handle: usize) -> bool {
        let primary = handle.checked_sub(PRIMARY);
        let retained = primary.and_then(|index| self.retained.get(index));
        retained.is_some_and(|times| *times > 0) || self.contexts.contains(&handle)
    }

    /// An error unless this thread has a current context, or where the device has failed.
    pub(crate) fn in_context(&self) -> Outcome {
        self.running()?;
        let current = current().ok_or(INVALID_CONTEXT)?;
        if !self.is_context(current) {
            return Err(INVALID_CONTEXT);
        }
        if self.sticky == 0 {
            Ok(())
        } else {
            Err(self.sticky)
        }
    }
}

/// The current context of this thread.
pub(crate) fn current() -> Option<usize> {
    CONTEXTS.with_borrow(|stack| stack.last().copied())
}

pub(crate) fn push(context: usize) {
    CONTEXTS.with_borrow_mut(|stack| stack.push(context));
}

pub(crate) fn pop() -> Option<usize> {
    CONTEXTS.with_borrow_mut(Vec::pop)
}

/// Runs one call of the driver; a panic does not leave the library.
pub(crate) fn call(work: impl FnOnce(&mut State) -> Outcome) -> c_int {
    static STATE: LazyLock<Mutex<State>> = LazyLock::new(|| Mutex::new(State::new()));
    let guarded = AssertUnwindSafe(|| {
        let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
        state.counters.calls += 1;
        work(&mut state)
    });
    match catch_unwind(guarded) {
        Ok(Ok(())) => 0,
        Ok(Err(code)) => code,
        Err(_) => UNKNOWN,
    }
}
