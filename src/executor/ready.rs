//! Launches with their arguments, ready to be queued.

use crate::error::Result;
use crate::launch::{Arg, Launch};
use crate::plan::BufferId;
use crate::target::device::{Bound, Device};

/// Memory of a device: its first byte, and its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) address: u64,
    pub(crate) bytes: u64,
}

/// One launch with its arguments.
#[derive(Debug)]
pub(crate) struct Ready<D: Device> {
    function: D::Function,
    launch: Launch,
    args: Vec<Bound>,
}

impl<D: Device> Ready<D> {
    /// Loads the kernels of `launches`, whose buffers lie where `place` says.
    ///
    /// # Errors
    /// What the device says.
    pub(crate) fn all(
        device: &D,
        launches: &[Launch],
        place: impl Fn(BufferId) -> Piece,
    ) -> Result<Vec<Self>> {
        let bound = |arg: &Arg| match *arg {
            Arg::Buffer(id, access) => {
                let Piece { address, bytes } = place(id);
                Bound::Buffer {
                    address,
                    bytes,
                    access,
                }
            }
            Arg::Null => Bound::Null,
            Arg::U32(value) => Bound::U32(value),
            Arg::U64(value) => Bound::U64(value),
            Arg::F32(value) => Bound::F32(value),
        };
        let ready = launches.iter().map(|launch| {
            Ok(Self {
                function: device.function(launch)?,
                launch: launch.clone(),
                args: launch.args.iter().map(bound).collect(),
            })
        });
        ready.collect()
    }

    /// Queues `all`.
    ///
    /// # Errors
    /// What the device says.
    pub(crate) fn queue(device: &D, all: &[Self]) -> Result<()> {
        all.iter()
            .try_for_each(|one| device.launch(&one.function, &one.launch, &one.args))
    }
}
