//! Work that was recorded once, and is started as a whole.
#![allow(unsafe_code, reason = "calls into the CUDA driver")]

use std::cell::Cell;
use std::ffi::c_void;
use std::marker::PhantomData;
use std::ptr;
use std::sync::Arc;

use cudarc::driver::sys;

use super::context::{Context, Stream};
use super::error::CudaError;
use super::ffi::Handle;

/// Recorded work, ready to run. It may move to another thread, but not be used by two at a time. It
/// keeps the device open.
#[derive(Debug)]
pub struct Graph {
    context: Arc<Context>,
    raw: Handle<sys::CUgraphExec_st>,
    _one_thread_at_a_time: PhantomData<Cell<()>>,
}

/// A recording under way, which ends when this is dropped.
struct Recording<'a> {
    stream: &'a Stream,
    ended: bool,
}

impl<'a> Recording<'a> {
    fn begin(stream: &'a Stream) -> Result<Self, CudaError> {
        let doing = "beginning to record";
        let context = stream.context();
        let _current = context.enter(doing)?;
        // Calls that would spoil the recording are refused in this thread; other threads go on.
        let mode = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
        let begin = context.functions().cuStreamBeginCapture_v2;
        // SAFETY: the stream lives, in the context that is current.
        let code = unsafe { begin(stream.raw(), mode) };
        context.check(code, doing)?;
        let ended = false;
        Ok(Self { stream, ended })
    }

    fn end(&mut self) -> Result<Recorded<'a>, CudaError> {
        self.ended = true;
        let doing = "recording";
        let context = self.stream.context();
        let _current = context.enter(doing)?;
        let mut raw = ptr::null_mut();
        // SAFETY: writes the handle it is given; the stream lives.
        let code =
            unsafe { (context.functions().cuStreamEndCapture)(self.stream.raw(), &raw mut raw) };
        let recorded = Recorded { context, raw };
        context.check(code, doing)?;
        Ok(recorded)
    }
}

impl Drop for Recording<'_> {
    fn drop(&mut self) {
        if !self.ended {
            // what went wrong before is reported already
            let _ = self.end();
        }
    }
}

/// What was recorded.
struct Recorded<'a> {
    context: &'a Arc<Context>,
    raw: sys::CUgraph,
}

impl Drop for Recorded<'_> {
    fn drop(&mut self) {
        if self.raw.is_null() {
            return;
        }
        if let Ok(_current) = self.context.enter("closing a recording") {
            // SAFETY: the last use of the handle. A failure leaves nothing to be done.
            let _ = unsafe { (self.context.functions().cuGraphDestroy)(self.raw) };
        }
    }
}

/// Records what `work` queues on the stream that it is given, which nothing else uses.
pub(super) fn capture<E: From<CudaError>>(
    context: &Arc<Context>,
    work: impl FnOnce(*mut c_void) -> Result<(), E>,
) -> Result<Graph, E> {
    let stream = Stream::new(context)?;
    let mut recording = Recording::begin(&stream)?;
    work(stream.address())?;
    let recorded = recording.end()?;
    Ok(Graph::new(&recorded, &stream)?)
}

impl Graph {
    fn new(recorded: &Recorded<'_>, stream: &Stream) -> Result<Self, CudaError> {
        let doing = "making a graph";
        let context = recorded.context;
        let _current = context.enter(doing)?;
        let mut raw = ptr::null_mut();
        let instantiate = context.functions().cuGraphInstantiateWithFlags;
        // SAFETY: writes the handle it is given; the recording lives; 0 is no flag.
        let code = unsafe { instantiate(&raw mut raw, recorded.raw, 0) };
        context.check(code, doing)?;
        let graph = Self {
            context: Arc::clone(context),
            raw: Handle(raw),
            _one_thread_at_a_time: PhantomData,
        };
        // SAFETY: graph and stream live, in the context that is current.
        let code = unsafe { (context.functions().cuGraphUpload)(raw, stream.raw()) };
        context.check(code, doing)?;
        stream.finish(doing)?;
        Ok(graph)
    }

    /// Queues everything that was recorded on `stream`; does not wait.
    ///
    /// # Errors
    /// What the driver says.
    ///
    /// # Safety
    /// - `stream` is a live `CUstream` of this device's primary context, or null for its default
    ///   stream;
    /// - all memory that was bound when the graph was recorded lives until the work is done, and
    ///   nothing else uses it in a conflicting way meanwhile.
    pub unsafe fn launch(&self, stream: *mut c_void) -> Result<(), CudaError> {
        let doing = "launching a graph";
        let _current = self.context.enter(doing)?;
        // SAFETY: the graph lives; the caller vouches for the stream and the memory.
        let code = unsafe { (self.context.functions().cuGraphLaunch)(self.raw.0, stream.cast()) };
        self.context.check(code, doing)
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        if let Ok(_current) = self.context.enter("closing a graph") {
            // SAFETY: the last use of the handle; the driver keeps the graph until its work is done.
            // A failure leaves nothing to be done.
            let _ = unsafe { (self.context.functions().cuGraphExecDestroy)(self.raw.0) };
        }
    }
}
