//! Places buffers in one block of memory so that those alive at the same time never overlap.

/// Every buffer starts at a multiple of this many bytes.
pub(super) const ALIGN: usize = 256;

/// A buffer's size and the first and last step that touch it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) len: usize,
    pub(super) first: usize,
    pub(super) last: usize,
}

impl Request {
    fn meets(&self, other: &Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// Offset of each request and the total length, in bytes: largest first, each at the lowest
/// place that is free during its whole life.
pub(super) fn place(requests: &[Request]) -> (Vec<usize>, usize) {
    let mut order: Vec<usize> = (0..requests.len()).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(requests[i].len), i));
    let mut offsets = vec![0; requests.len()];
    let mut total = 0;
    // (offset, end, request) of what is placed, by offset
    let mut placed: Vec<(usize, usize, usize)> = Vec::with_capacity(requests.len());
    for i in order {
        let len = requests[i].len.next_multiple_of(ALIGN);
        let mut at = 0;
        for &(offset, end, other) in &placed {
            if requests[i].meets(&requests[other]) {
                if at + len <= offset {
                    break;
                }
                at = at.max(end);
            }
        }
        offsets[i] = at;
        total = total.max(at + len);
        let index = placed.partition_point(|&(offset, ..)| offset <= at);
        placed.insert(index, (at, at + len, i));
    }
    (offsets, total)
}

#[cfg(test)]
mod tests {
    use super::{ALIGN, Request, place};

    #[test]
    fn buffers_alive_together_never_overlap_and_others_share() {
        let mut seed = 1u64;
        let mut next = |n: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            usize::try_from(seed >> 33).unwrap() % n
        };
        for _ in 0..50 {
            let requests: Vec<Request> = (0..40)
                .map(|_| {
                    let first = next(30);
                    Request {
                        len: 1 + next(500),
                        first,
                        last: first + next(8),
                    }
                })
                .collect();
            let (offsets, total) = place(&requests);
            for (i, a) in requests.iter().enumerate() {
                assert!(offsets[i] % ALIGN == 0 && offsets[i] + a.len <= total);
                for (j, b) in requests.iter().enumerate().skip(i + 1) {
                    let apart =
                        offsets[i] + a.len <= offsets[j] || offsets[j] + b.len <= offsets[i];
                    assert!(
                        apart || !a.meets(b),
                        "{a:?} at {} and {b:?} at {}",
                        offsets[i],
                        offsets[j]
                    );
                }
            }
        }
        let one = |t| Request {
            len: 256,
            first: t,
            last: t,
        };
        assert_eq!(
            place(&[one(0), one(1), one(2)]).1,
            256,
            "buffers of different times share one place"
        );
    }
}
