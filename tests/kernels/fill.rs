//! `fill_fwd`

use ptx_emu::Launch;
use pvt_cuda::kernels::tuning::FILL_THREADS;

use crate::run::{Value, run};

#[test]
fn writes_every_element_and_no_other() {
    for len in [1_u32, 31, 255, 256, 257, 1000] {
        for value in [0.0, -1.5] {
            let launch = Launch {
                grid: [len.div_ceil(FILL_THREADS), 1, 1],
                block: [FILL_THREADS, 1, 1],
                shared: 0,
                cluster: None,
            };
            let bytes = 4 * len as usize;
            let arguments = [Value::Out(bytes), Value::U32(len), Value::F32(value)];
            let (found, report) = run(("fill", "fwd", "f32"), &launch, &arguments);
            let exact: Vec<u8> = [value; 1000].iter().flat_map(|v| v.to_le_bytes()).collect();
            assert!(found == exact[..bytes], "{len} elements of {value}");
            // counted by sectors
            let written = bytes.next_multiple_of(32) as u64;
            assert_eq!(report.counters.distinct_bytes_written, written);
        }
    }
}
