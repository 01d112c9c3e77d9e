//! Streams, recordings of what is queued on them, and graphs.

use std::thread::{self, ThreadId};

use crate::kernels::Recorded;
use crate::state::{
    CAPTURE_INVALIDATED, CAPTURE_UNSUPPORTED, DEFAULT_STREAMS, ILLEGAL_STATE, INVALID_HANDLE,
    Outcome, State,
};

#[derive(Default)]
pub(crate) struct Stream {
    /// Kernels that ran on it.
    pub(crate) launches: u64,
    recording: Option<Recording>,
}

struct Recording {
    thread: ThreadId,
    valid: bool,
    steps: Vec<Recorded>,
}

impl State {
    pub(crate) fn new_stream(&mut self) -> Outcome<usize> {
        self.in_context()?;
        let handle = self.fresh();
        self.streams.insert(handle, Stream::default());
        Ok(handle)
    }

    /// Closes a stream, unless it still records.
    pub(crate) fn end_stream(&mut self, stream: usize) -> Outcome {
        self.in_context()?;
        let known = self.streams.get(&stream).ok_or(INVALID_HANDLE)?;
        if known.recording.is_some() {
            return Err(ILLEGAL_STATE);
        }
        self.streams
            .remove(&stream)
            .map(|_| ())
            .ok_or(INVALID_HANDLE)
    }

    /// Takes a call that would spoil a recording of this thread: it spoils the recording, and fails.
    pub(crate) fn forbidden_while_recording(&mut self) -> Outcome {
        let here = thread::current().id();
        let mut outcome = Ok(());
        for stream in self.streams.values_mut() {
            if let Some(recording) = &mut stream.recording
                && recording.thread == here
            {
                recording.valid = false;
                outcome = Err(CAPTURE_UNSUPPORTED);
            }
        }
        outcome
    }

    /// What is recorded on a stream, if it records.
    pub(crate) fn recording(&mut self, stream: usize) -> Outcome<Option<&mut Vec<Recorded>>> {
        if stream <= DEFAULT_STREAMS {
            return Ok(None);
        }
        let stream = self.streams.get_mut(&stream).ok_or(INVALID_HANDLE)?;
        match &mut stream.recording {
            Some(recording) if recording.valid => Ok(Some(&mut recording.steps)),
            Some(_) => Err(CAPTURE_INVALIDATED),
            None => Ok(None),
        }
    }

    /// Refuses what a recording cannot hold.
    pub(crate) fn not_recorded(&mut self, stream: usize) -> Outcome {
        if self.recording(stream)?.is_none() {
            return Ok(());
        }
        self.forbidden_while_recording()?;
        Err(CAPTURE_UNSUPPORTED)
    }

    pub(crate) fn synchronise(&mut self, stream: usize) -> Outcome {
        self.in_context()?;
        self.not_recorded(stream)?;
        self.counters.synchronisations += 1;
        Ok(())
    }

    pub(crate) fn begin(&mut self, stream: usize) -> Outcome {
        self.in_context()?;
        let stream = self.streams.get_mut(&stream).ok_or(INVALID_HANDLE)?;
        if stream.recording.is_some() {
            return Err(ILLEGAL_STATE);
        }
        stream.recording = Some(Recording {
            thread: thread::current().id(),
            valid: true,
            steps: Vec::new(),
        });
        Ok(())
    }

    pub(crate) fn end(&mut self, stream: usize) -> Outcome<usize> {
        self.in_context()?;
        let stream = self.streams.get_mut(&stream).ok_or(INVALID_HANDLE)?;
        let recording = stream.recording.take().ok_or(ILLEGAL_STATE)?;
        if !recording.valid {
            return Err(CAPTURE_INVALIDATED);
        }
        let graph = self.fresh();
        self.graphs.insert(graph, recording.steps);
        Ok(graph)
    }

    pub(crate) fn instantiate(&mut self, graph: usize) -> Outcome<usize> {
        self.in_context()?;
        let steps = self.graphs.get(&graph).ok_or(INVALID_HANDLE)?.clone();
        let exec = self.fresh();
        self.graphs.insert(exec, steps);
        Ok(exec)
    }

    pub(crate) fn replay(&mut self, exec: usize, stream: usize) -> Outcome {
        self.in_context()?;
        self.not_recorded(stream)?;
        for step in self.graphs.get(&exec).ok_or(INVALID_HANDLE)?.clone() {
            if let Some(stream) = self.streams.get_mut(&stream) {
                stream.launches += 1;
            }
            self.run(&step)?;
        }
        Ok(())
    }

    pub(crate) fn end_graph(&mut self, graph: usize) -> Outcome {
        self.in_context()?;
        self.graphs.remove(&graph).map(|_| ()).ok_or(INVALID_HANDLE)
    }
}
