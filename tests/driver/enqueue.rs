//! Lists of launches that were made ready, and graphs of them.
#![allow(
    unsafe_code,
    reason = "queues work on streams and addresses of its own choice"
)]

use std::ffi::c_void;

use pvt_cuda::launch::Arg;
use pvt_cuda::plan::BufferId;
use pvt_cuda::target::cuda::{CudaDevice, CudaError, CudaMemory, Graph, Prepared};
use pvt_cuda::target::device::Device as _;

use crate::child::on_stand_in;
use crate::layernorm::{ROWS, bind, buffers, expected, launch, read, upload};
use crate::stand_in::{Counters, StandIn, host_allocations};

/// Three launches in a list: the same one, on the addresses x, gamma, beta, y.
const STEPS: usize = 3;

fn place(id: BufferId) -> Option<(usize, u64)> {
    buffers()
        .iter()
        .position(|known| *known == id)
        .map(|at| (at, 0))
}

fn prepared(device: &CudaDevice) -> Prepared {
    let list = vec![launch(ROWS); STEPS];
    device.prepare(&list, 4, place).unwrap()
}

fn addresses(memory: &[CudaMemory; 4]) -> [u64; 4] {
    [0, 1, 2, 3].map(|i: usize| memory[i].address())
}

/// Queues on memory that the caller keeps until it has waited.
fn enqueue(list: &Prepared, stream: *mut c_void, addresses: &[u64]) -> Result<(), CudaError> {
    // SAFETY: streams are those of living devices; addresses are of living memory of the sizes that
    // the launch was made for, or are refused.
    unsafe { list.enqueue(stream, addresses) }
}

fn replay(graph: &Graph, stream: *mut c_void) {
    // SAFETY: the stream is that of a living device; the memory lives until it was waited for.
    unsafe { graph.launch(stream) }.unwrap();
}

#[test]
fn enqueue_is_quiet_and_uses_the_given_stream() {
    on_stand_in(&[], || {
        let device = CudaDevice::open(0).unwrap();
        let other = device.new_queue().unwrap();
        let list = prepared(&device);
        assert_eq!(
            (list.len(), list.slots(), list.is_empty()),
            (STEPS, 4, false)
        );
        let memory = upload(&device, 1);
        let addresses = addresses(&memory);
        let stand_in = StandIn::new();
        let context = stand_in.current();

        let (before, allocated) = (stand_in.counters(), host_allocations());
        let done = enqueue(&list, other.stream(), &addresses);
        assert_eq!(host_allocations(), allocated);
        done.unwrap();
        let quiet = Counters {
            launches: STEPS as u64,
            // the launches, one context pushed and popped
            calls: STEPS as u64 + 2,
            ..Counters::default()
        };
        assert_eq!(stand_in.counters() - before, quiet);
        assert_eq!(stand_in.launches_on(other.stream()), STEPS as u64);
        assert_eq!(stand_in.launches_on(device.stream()), 0);
        assert_eq!(stand_in.current(), context);
        other.finish().unwrap();
        assert!(read(&other, &memory[3]) == expected(1));
    });
}

#[test]
fn one_list_serves_two_streams_and_other_addresses() {
    on_stand_in(&[], || {
        let device = CudaDevice::open(0).unwrap();
        let queues = [device.new_queue().unwrap(), device.new_queue().unwrap()];
        let list = prepared(&device);
        let memories = [1, 2].map(|seed| upload(&device, seed));
        std::thread::scope(|scope| {
            for (queue, memory) in queues.iter().zip(&memories) {
                let list = &list;
                scope.spawn(move || {
                    enqueue(list, queue.stream(), &addresses(memory)).unwrap();
                    queue.finish().unwrap();
                });
            }
        });
        for (seed, memory) in [1, 2].into_iter().zip(&memories) {
            assert!(read(&device, &memory[3]) == expected(seed));
        }
    });
}

/// Two buffers may lie in one piece of memory.
#[test]
fn buffers_lie_at_offsets() {
    on_stand_in(&[], || {
        let device = CudaDevice::open(0).unwrap();
        let [_, gamma, beta, y] = buffers();
        let both = move |id: BufferId| match id {
            id if id == gamma => Some((1, 0)),
            id if id == beta => Some((1, 256)),
            id if id == y => Some((2, 0)),
            _ => Some((0, 0)),
        };
        let list = device.prepare(&[launch(ROWS)], 3, both).unwrap();
        let [x, gamma, beta, y] = upload(&device, 1);
        let two = device.alloc("gamma and beta", 512).unwrap();
        device.write(&two, 0, &read(&device, &gamma)).unwrap();
        device.write(&two, 256, &read(&device, &beta)).unwrap();
        let addresses = [x.address(), two.address(), y.address()];
        enqueue(&list, device.stream(), &addresses).unwrap();
        device.finish().unwrap();
        assert!(read(&device, &y) == expected(1));
    });
}

#[test]
fn wrong_addresses_and_places_are_refused_before_anything_runs() {
    on_stand_in(&[], || {
        let device = CudaDevice::open(0).unwrap();
        let list = prepared(&device);
        let memory = upload(&device, 1);
        let good = addresses(&memory);
        let stand_in = StandIn::new();
        let before = stand_in.counters();
        let refused = |addresses: &[u64], words: &[&str]| {
            let text = enqueue(&list, device.stream(), addresses)
                .unwrap_err()
                .to_string();
            assert!(words.iter().all(|word| text.contains(word)), "{text}");
        };
        refused(&good[..3], &["3 addresses", "4 needed"]);
        refused(
            &[good.as_slice(), &[16]].concat(),
            &["5 addresses", "4 needed"],
        );
        refused(
            &[good[0], 0, good[2], good[3]],
            &["address 1", "0x0", "null"],
        );
        refused(
            &[good[0], good[1], good[2] + 8, good[3]],
            &["address 2", "multiple of 16"],
        );
        assert_eq!(stand_in.counters(), before);

        let place = |at: Option<(usize, u64)>| {
            let error = device.prepare(&[launch(ROWS)], 4, |_| at).unwrap_err();
            error.to_string()
        };
        assert!(place(None).contains("argument 0 has no place"));
        assert!(place(Some((4, 0))).contains("buffer 4 of 4"));
        assert!(place(Some((0, 8))).contains("multiples of 16"));
        let mut many = launch(ROWS);
        many.args = vec![Arg::U32(0); 25];
        assert!(device.prepare(&[many], 0, |_| None).is_err());
        assert!(device.prepare(&[], 0, |_| None).unwrap().is_empty());
    });
}

#[test]
fn a_graph_gives_the_same_bits_each_time() {
    on_stand_in(&[], || {
        let device = CudaDevice::open(0).unwrap();
        let list = prepared(&device);
        let memory = upload(&device, 1);
        let addresses = addresses(&memory);
        let stand_in = StandIn::new();
        let before = stand_in.counters();
        let graph: Graph = device
            .capture(|stream| enqueue(&list, stream, &addresses))
            .unwrap();
        // recorded, not run
        let recorded = stand_in.counters() - before;
        assert_eq!(
            (recorded.launches, recorded.allocations, recorded.copies),
            (0, 0, 0)
        );
        drop(list);

        let mut replayed = 0;
        for seed in [1, 2, 1] {
            let fresh = upload(&device, seed);
            for (to, from) in memory.iter().zip(&fresh).take(3) {
                device.write(to, 0, &read(&device, from)).unwrap();
            }
            let (before, allocated) = (stand_in.counters(), host_allocations());
            replay(&graph, device.stream());
            assert_eq!(host_allocations(), allocated);
            let counted = stand_in.counters() - before;
            assert_eq!((counted.launches, counted.calls), (STEPS as u64, 3));
            replayed += counted.launches;
            assert_eq!(stand_in.launches_on(device.stream()), replayed);
            device.finish().unwrap();
            assert!(read(&device, &memory[3]) == expected(seed));
        }
        // a graph may go to another thread
        std::thread::spawn(move || drop(graph)).join().unwrap();
    });
}

#[test]
fn a_failure_while_recording_ends_it() {
    on_stand_in(&[], || {
        let device = CudaDevice::open(0).unwrap();
        let list = prepared(&device);
        let memory = upload(&device, 1);
        let addresses = addresses(&memory);
        // an error of the work itself
        let problem = device.capture(|stream| enqueue(&list, stream, &addresses[..2]));
        assert!(matches!(problem, Err(CudaError::Addresses { .. })));
        // taking memory spoils the recording
        let problem = device.capture(|stream| {
            enqueue(&list, stream, &addresses)?;
            device.alloc("not now", 16)?;
            Ok::<_, pvt_cuda::Error>(())
        });
        let text = problem.unwrap_err().to_string();
        assert!(
            text.contains("taking memory failed") && text.contains("(code 900)"),
            "{text}"
        );
        // also where the work hides it
        let problem = device.capture(|stream| {
            let _ = device.alloc("not now", 16);
            let _ = enqueue(&list, stream, &addresses);
            Ok::<_, CudaError>(())
        });
        let text = problem.unwrap_err().to_string();
        assert!(text.contains("CAPTURE_INVALIDATED (code 901)"), "{text}");
        // and nothing is left of it
        device.alloc("now", 16).unwrap();
        let stand_in = StandIn::new();
        assert_eq!(stand_in.counters().launches, 0);
        let graph = device.capture(|stream| enqueue(&list, stream, &addresses));
        replay(&graph.unwrap(), device.stream());
        assert!(read(&device, &memory[3]) == expected(1));
    });
}

/// A list that goes wrong in its midst ends there, and so does everything after it.
#[test]
fn a_lost_device_is_told_at_once() {
    on_stand_in(&[], || {
        let device = CudaDevice::open(0).unwrap();
        let mut beyond = launch(ROWS);
        beyond.grid[0] += 4;
        beyond.args[4] = Arg::U32(ROWS + 16);
        let steps = [launch(ROWS), beyond, launch(ROWS)];
        let list = device.prepare(&steps, 4, place).unwrap();
        let memory = upload(&device, 1);
        let addresses = addresses(&memory);
        let is_lost = |result| {
            assert!(
                matches!(result, Err(CudaError::DeviceLost { code: 700, .. })),
                "{result:?}"
            );
        };
        let graph = device
            .capture(|stream| enqueue(&list, stream, &addresses))
            .unwrap();
        is_lost(enqueue(&list, device.stream(), &addresses));
        assert_eq!(StandIn::new().counters().launches, 2);
        is_lost(enqueue(&list, device.stream(), &addresses));
        // SAFETY: as in `replay`.
        is_lost(unsafe { graph.launch(device.stream()) });
        is_lost(
            device
                .capture(|stream| enqueue(&list, stream, &addresses))
                .map(drop),
        );
        assert_eq!(StandIn::new().counters().launches, 2);
    });
}

/// Work in the plain queue of the device is not drawn into a recording.
#[test]
fn a_recording_takes_nothing_else_in() {
    on_stand_in(&[], || {
        let device = CudaDevice::open(0).unwrap();
        let launch = launch(ROWS);
        let memory = upload(&device, 1);
        let function = device.function(&launch).unwrap();
        let args = bind(&launch, &memory);
        let graph = device.capture(|_| device.launch(&function, &launch, &args));
        assert_eq!(StandIn::new().counters().launches, 1);
        replay(&graph.unwrap(), device.stream());
        assert_eq!(StandIn::new().counters().launches, 1);
    });
}

/// Lists may be shared between threads; graphs may move to another one.
#[test]
fn what_threads_may_do() {
    fn shared<T: Send + Sync>() {}
    fn moved<T: Send>() {}
    shared::<CudaDevice>();
    shared::<CudaMemory>();
    shared::<Prepared>();
    moved::<Graph>();
}
