//! Patterns of bulk copies: one lane, any number of bytes.

use super::{Cells, Pattern, Span, Steps};

impl Pattern {
    /// The pattern of an access by `lane` to `bytes` bytes, at least one and below 2^30, from an address that
    /// is `line` modulo 128.
    pub(crate) fn range(lane: u32, line: u32, bytes: u32) -> Pattern {
        let start = line & 3;
        let words = (start + bytes).div_ceil(4);
        let whole_words = start == 0 && bytes.is_multiple_of(4);
        let mut word_bytes = vec![0xf_u8; words as usize];
        if let Some(first) = word_bytes.first_mut() {
            *first &= 0xf << start;
        }
        if let Some(last) = word_bytes.last_mut() {
            *last &= 0xf >> (4 * words - start - bytes);
        }
        let cells = run(lane, 0, words);
        Pattern {
            mask: 1 << (lane & 31),
            bytes,
            phase: line & 31,
            steps: Steps::none(bytes),
            bits: 0,
            word_bytes,
            whole_words,
            byte_cells: (!whole_words).then(|| Box::new(run(lane, start, bytes))),
            cells,
            overlap: false,
            sectors: (line % 32 + bytes).div_ceil(32),
            lines: (line % 128 + bytes).div_ceil(128),
            distinct_bytes: bytes,
            wavefronts: bytes.div_ceil(128),
            min_wavefronts: bytes.div_ceil(128),
        }
    }
}

/// `count` cells of one lane that follow each other.
fn run(lane: u32, first: u32, count: u32) -> Cells {
    Cells {
        spans: vec![Span {
            word: first.cast_signed(),
            words: count,
            at: 0,
        }],
        tags: vec![lane; count as usize],
        places: (0..count).collect(),
        extent: count as usize,
        scattered: false,
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    /// Where a range is as long as a lane's access can be, both ways must agree.
    #[test]
    fn short_ranges_are_those_of_one_lane() {
        for line in 0..128_u32 {
            for bytes in [1_u32, 2, 4, 8, 16, 32] {
                let mut expected = Pattern::of(1 << 5, bytes, &[u64::from(line); 32]).unwrap();
                let found = Pattern::range(5, line, bytes);
                // passes through the banks, and lines of 128 bytes, are counted otherwise
                expected.wavefronts = found.wavefronts;
                expected.min_wavefronts = found.min_wavefronts;
                expected.lines = found.lines;
                assert_eq!(found, expected, "{bytes} bytes at {line}");
            }
        }
    }
}
