//! Arguments of a launch.

use std::ops::Range;

use crate::device::{Buffer, LaunchError, MemoryError};
use crate::memory::bytes::Storage;
use crate::program::Program;

/// One argument of a kernel.
#[derive(Clone, Debug, PartialEq)]
pub struct Arg {
    bytes: Vec<u8>,
    /// Bytes of the buffer, if it is one that the kernel must not write.
    input: Option<Buffer>,
    output: Option<Buffer>,
}

impl Arg {
    fn plain(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.to_vec(),
            input: None,
            output: None,
        }
    }

    /// A buffer that the kernel only reads: writing it is a violation.
    pub fn input(buffer: &Buffer) -> Self {
        Self {
            input: Some(*buffer),
            ..Self::u64(buffer.address())
        }
    }

    /// A buffer that the kernel writes.
    pub fn output(buffer: &Buffer) -> Self {
        Self {
            output: Some(*buffer),
            ..Self::u64(buffer.address())
        }
    }

    /// A buffer that the kernel reads and writes.
    pub fn in_out(buffer: &Buffer) -> Self {
        Self::output(buffer)
    }

    /// A null pointer.
    pub fn null() -> Self {
        Self::u64(0)
    }

    /// 8 bits.
    pub fn u8(value: u8) -> Self {
        Self::plain(&[value])
    }

    /// 16 bits: an integer, or the bits of a half-precision number.
    pub fn u16(value: u16) -> Self {
        Self::plain(&value.to_le_bytes())
    }

    /// 32 bits.
    pub fn u32(value: u32) -> Self {
        Self::plain(&value.to_le_bytes())
    }

    /// 32 bits.
    pub fn i32(value: i32) -> Self {
        Self::plain(&value.to_le_bytes())
    }

    /// 64 bits: an integer, or an address for which nothing is checked.
    pub fn u64(value: u64) -> Self {
        Self::plain(&value.to_le_bytes())
    }

    /// 64 bits.
    pub fn i64(value: i64) -> Self {
        Self::plain(&value.to_le_bytes())
    }

    /// A single-precision number.
    pub fn f32(value: f32) -> Self {
        Self::plain(&value.to_le_bytes())
    }

    /// A double-precision number.
    pub fn f64(value: f64) -> Self {
        Self::plain(&value.to_le_bytes())
    }

    /// A structure, as its bytes.
    pub fn bytes(bytes: &[u8]) -> Self {
        Self::plain(bytes)
    }
}

/// Arguments as the kernel finds them.
pub(super) struct Arguments {
    pub bytes: Storage,
    /// Ranges of addresses of inputs, and which argument it is.
    pub inputs: Vec<(u64, u64, usize)>,
    /// Addresses of buffers, and which argument each is.
    pub buffers: Vec<(Range<u64>, usize)>,
}

impl Arguments {
    pub(super) fn new(program: &Program, arguments: &[Arg]) -> Result<Self, LaunchError> {
        if arguments.len() != program.params.len() {
            return Err(LaunchError::ArgumentCount {
                kernel: program.name.clone(),
                expected: program.params.len(),
                found: arguments.len(),
            });
        }
        let size = program.param_bytes as usize;
        let bytes = Storage::zeroed(size).ok_or(MemoryError::Host { bytes: size as u64 })?;
        for (index, (param, argument)) in program.params.iter().zip(arguments).enumerate() {
            if argument.bytes.len() != param.bytes as usize {
                return Err(LaunchError::ArgumentSize {
                    kernel: program.name.clone(),
                    index,
                    name: param.name.clone(),
                    expected: param.bytes,
                    found: argument.bytes.len(),
                });
            }
            bytes
                .view()
                .copy_from(param.offset as usize, &argument.bytes);
        }
        let range = |buffer: &Buffer| (buffer.address(), buffer.address() + buffer.bytes());
        let buffers = arguments
            .iter()
            .enumerate()
            .filter_map(|(index, argument)| {
                let (start, end) = range(argument.input.as_ref().or(argument.output.as_ref())?);
                Some((start..end, index))
            });
        let outputs: Vec<_> = arguments.iter().filter_map(|a| a.output).collect();
        let inputs = arguments
            .iter()
            .enumerate()
            .filter_map(|(index, argument)| {
                let (start, end) = range(argument.input.as_ref()?);
                // what is an output as well may be written
                let written = outputs.iter().map(range);
                let written = written.filter(|(s, e)| *s <= start && *e >= end).count() > 0;
                (!written && end > start).then_some((start, end, index))
            });
        Ok(Self {
            bytes,
            inputs: inputs.collect(),
            buffers: buffers.collect(),
        })
    }
}
