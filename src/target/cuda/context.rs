//! The primary context of a device, which it shares with every other user of the device in this
//! process; streams; and what becomes of an error.
#![allow(unsafe_code, reason = "calls into the CUDA driver")]

use std::collections::HashMap;
use std::ffi::{c_int, c_void};
use std::marker::PhantomData;
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use cudarc::driver::sys;

use super::error::{CudaError, is_fatal};
use super::ffi::{Functions, Handle};
use super::module::{Key, Loaded};
use super::probe::{Driver, Facts};

/// A device in use.
#[derive(Debug)]
pub(super) struct Context {
    driver: Driver,
    facts: Facts,
    raw: Handle<sys::CUctx_st>,
    /// The first fatal code, or 0; and what was being done then.
    lost: AtomicI32,
    lost_while: Mutex<&'static str>,
    modules: Mutex<HashMap<Key, Loaded>>,
}

/// Makes the context the current one of this thread, and gives back the former one when dropped.
pub(super) struct Current<'a> {
    functions: &'a Functions,
    /// The current context belongs to a thread.
    _thread: PhantomData<*mut ()>,
}

impl Drop for Current<'_> {
    fn drop(&mut self) {
        let mut popped = ptr::null_mut();
        // SAFETY: `enter` pushed onto the stack of this thread, which a `Current` does not leave.
        // A failure leaves nothing to be done.
        let _ = unsafe { (self.functions.cuCtxPopCurrent_v2)(&raw mut popped) };
    }
}

impl Context {
    /// The device's context in this process: that of an earlier opening, while it is in use.
    pub(super) fn shared(driver: Driver, facts: Facts) -> Result<Arc<Self>, CudaError> {
        static IN_USE: Mutex<Vec<Weak<Context>>> = Mutex::new(Vec::new());
        let mut in_use = IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
        in_use.retain(|context| context.strong_count() > 0);
        let mut known = in_use.iter().filter_map(Weak::upgrade);
        if let Some(context) = known.find(|known| known.facts.device == facts.device) {
            return Ok(context);
        }
        let context = Arc::new(Self::open(driver, facts)?);
        in_use.push(Arc::downgrade(&context));
        Ok(context)
    }

    fn open(driver: Driver, facts: Facts) -> Result<Self, CudaError> {
        let mut raw = ptr::null_mut();
        // SAFETY: writes the handle it is given; the driver gave the device.
        let code =
            unsafe { (driver.functions.cuDevicePrimaryCtxRetain)(&raw mut raw, facts.device) };
        let doing = "opening the device";
        if code != 0 {
            let name = driver.functions.error_name(code);
            return Err(CudaError::Call { doing, code, name });
        }
        Ok(Self {
            driver,
            facts,
            raw: Handle(raw),
            lost: AtomicI32::new(0),
            lost_while: Mutex::new(doing),
            modules: Mutex::default(),
        })
    }

    pub(super) fn functions(&self) -> &'static Functions {
        self.driver.functions
    }

    pub(super) fn driver(&self) -> Driver {
        self.driver
    }

    pub(super) fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Modules loaded so far.
    pub(super) fn modules(&self) -> MutexGuard<'_, HashMap<Key, Loaded>> {
        self.modules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An error if the device is lost; else the context is current until the result is dropped.
    pub(super) fn enter(&self, doing: &'static str) -> Result<Current<'_>, CudaError> {
        let lost = self.lost.load(Ordering::Acquire);
        if lost != 0 {
            return Err(self.is_lost(lost));
        }
        // SAFETY: the handle is retained until `drop`.
        let code = unsafe { (self.functions().cuCtxPushCurrent_v2)(self.raw.0) };
        self.check(code, doing)?;
        Ok(Current {
            functions: self.functions(),
            _thread: PhantomData,
        })
    }

    /// What a code means. A fatal one marks the device as lost.
    pub(super) fn check(&self, code: c_int, doing: &'static str) -> Result<(), CudaError> {
        if code == 0 {
            return Ok(());
        }
        if !is_fatal(code) {
            let name = self.functions().error_name(code);
            return Err(CudaError::Call { doing, code, name });
        }
        let order = Ordering::AcqRel;
        let first = self
            .lost
            .compare_exchange(0, code, order, Ordering::Acquire);
        if first.is_ok() {
            *self
                .lost_while
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = doing;
        }
        Err(self.is_lost(first.err().unwrap_or(code)))
    }

    fn is_lost(&self, code: c_int) -> CudaError {
        CudaError::DeviceLost {
            device: self.facts.words.clone(),
            doing: *self
                .lost_while
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
            code,
            name: self.functions().error_name(code),
        }
    }

    /// Free and all bytes of the device's memory.
    pub(super) fn memory_info(&self) -> Result<(u64, u64), CudaError> {
        let doing = "asking for the free memory";
        let _current = self.enter(doing)?;
        let (mut free, mut total) = (0, 0);
        // SAFETY: writes the two numbers it is given; the context is current.
        let code = unsafe { (self.functions().cuMemGetInfo_v2)(&raw mut free, &raw mut total) };
        self.check(code, doing)?;
        Ok((free as u64, total as u64))
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        if let Ok(_current) = self.enter("closing the device") {
            for loaded in self.modules().values() {
                // SAFETY: the module is loaded in this context; everything that could launch a
                // function of it keeps the context alive. A failure leaves nothing to be done.
                let _ = unsafe { (self.functions().cuModuleUnload)(loaded.raw.0) };
            }
        }
        // SAFETY: one release for the one `open`. A failure leaves nothing to be done.
        let _ = unsafe { (self.functions().cuDevicePrimaryCtxRelease_v2)(self.facts.device) };
    }
}

/// A queue of work, which waits for no other queue.
#[derive(Debug)]
pub(super) struct Stream {
    context: Arc<Context>,
    raw: Handle<sys::CUstream_st>,
}

impl Stream {
    pub(super) fn new(context: &Arc<Context>) -> Result<Self, CudaError> {
        let doing = "making a stream";
        let _current = context.enter(doing)?;
        let flags = sys::CUstream_flags::CU_STREAM_NON_BLOCKING as u32;
        let mut raw = ptr::null_mut();
        // SAFETY: writes the handle it is given; the context is current.
        let code = unsafe { (context.functions().cuStreamCreate)(&raw mut raw, flags) };
        context.check(code, doing)?;
        Ok(Self {
            context: Arc::clone(context),
            raw: Handle(raw),
        })
    }

    pub(super) fn context(&self) -> &Arc<Context> {
        &self.context
    }

    pub(super) fn raw(&self) -> sys::CUstream {
        self.raw.0
    }

    /// The handle, for other libraries.
    pub(super) fn address(&self) -> *mut c_void {
        self.raw.0.cast()
    }

    /// Waits until everything queued is done.
    pub(super) fn finish(&self, doing: &'static str) -> Result<(), CudaError> {
        let _current = self.context.enter(doing)?;
        // SAFETY: the stream lives, in the context that is current.
        let code = unsafe { (self.context.functions().cuStreamSynchronize)(self.raw.0) };
        self.context.check(code, doing)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Ok(_current) = self.context.enter("closing a stream") {
            // SAFETY: the last use of the handle; the driver keeps the stream until its work is
            // done. A failure leaves nothing to be done.
            let _ = unsafe { (self.context.functions().cuStreamDestroy_v2)(self.raw.0) };
        }
    }
}
