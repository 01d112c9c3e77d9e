//! Batches, prepared on other threads while a step runs.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use rayon::prelude::*;

use super::augment::augment;
use super::data::Dataset;
use super::random::{Purpose, Stream};
use super::recipe::Augment;
use super::{Batch, DataError};

/// Batches that wait for their step at most.
const AHEAD: usize = 2;

/// Planes of a picture.
const CHANNELS: usize = 3;

/// The pictures of an epoch, from 0, in the order in which they are used.
pub(super) fn order(pictures: usize, seed: u64, epoch: u32) -> Vec<usize> {
    let mut order: Vec<usize> = (0..pictures).collect();
    Stream::new(seed, Purpose::Shuffle, 0, u64::from(epoch)).shuffle(&mut order);
    order
}

/// The pictures number `indices`, changed as `augment` says in the epoch `epoch`.
pub(super) fn training_batch(
    data: &Dataset,
    changes: &Augment,
    seed: u64,
    epoch: u32,
    indices: &[usize],
) -> Result<Batch, DataError> {
    batch(data, indices, |index, out| {
        let picture = match changes.crop {
            Some(_) => data.picture(index)?,
            None => data.prepared(index)?,
        };
        let at = (epoch, u32::try_from(index).unwrap_or(u32::MAX));
        let form = (data.size(), data.preprocess().interpolation);
        let changed = augment(picture, changes, form, seed, at).map_err(data.refuse(index))?;
        data.normalise(index, &changed, out)
    })
}

/// The pictures number `indices` as they are.
pub(super) fn testing_batch(data: &Dataset, indices: &[usize]) -> Result<Batch, DataError> {
    batch(data, indices, |index, out| {
        data.normalise(index, &*data.prepared(index)?, out)
    })
}

fn batch(
    data: &Dataset,
    indices: &[usize],
    prepare: impl Fn(usize, &mut [f32]) -> Result<(), DataError> + Sync,
) -> Result<Batch, DataError> {
    let per_picture = CHANNELS * data.size().height * data.size().width;
    let mut pixels = vec![0.0; indices.len() * per_picture];
    let pictures = pixels.par_chunks_exact_mut(per_picture).zip(indices);
    let failed: Vec<_> = pictures
        .filter_map(|(out, &index)| prepare(index, out).err())
        .collect();
    failed.into_iter().next().map_or(Ok(()), Err)?;
    Ok(Batch {
        pixels,
        labels: indices.iter().map(|&index| data.class(index)).collect(),
    })
}

/// Makes an item of each of `jobs` on another thread, in order, and hands them to `consume` as they
/// are ready. Ends early where `consume` does.
pub(super) fn ahead<J, T: Send, R>(
    pool: &rayon::ThreadPool,
    jobs: impl Iterator<Item = J> + Send,
    make: impl Fn(J) -> T + Send + Sync,
    consume: impl FnOnce(Receiver<T>) -> R,
) -> R
where
    J: Send,
{
    let (sender, receiver) = sync_channel(AHEAD);
    thread::scope(|scope| {
        scope.spawn(move || {
            for job in jobs {
                // nobody to send it to: the consumer has all that it wants
                if sender.send(pool.install(|| make(job))).is_err() {
                    return;
                }
            }
        });
        consume(receiver)
    })
}
