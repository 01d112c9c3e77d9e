//! A device that works: memory, copies, kernels, queues, contexts.

use pvt_cuda::Error;
use pvt_cuda::target::cuda::{CudaDevice, CudaError, detect, probe};
use pvt_cuda::target::device::{Bound, Device as _};

use crate::child::{Library, in_child, on_stand_in};
use crate::layernorm::{ROWS, bind, expected, launch, read, upload};
use crate::stand_in::StandIn;

fn cuda(result: pvt_cuda::Result<impl std::fmt::Debug>) -> CudaError {
    match result.unwrap_err() {
        Error::Cuda(error) => {
            println!("{error}");
            error
        }
        other => panic!("{other}"),
    }
}

#[test]
fn says_what_it_is() {
    let variables = [("CUDA_STAND_IN_CAPABILITY", "8.9")];
    in_child(&Library::StandIn, &variables, || {
        let driver = probe().unwrap();
        assert_eq!((driver.version().as_str(), driver.devices()), ("12.8", 1));
        assert_eq!(driver.library(), "libcuda.so.1");
        let device = CudaDevice::open(0).unwrap();
        let words = device.describe();
        assert!(words.starts_with("cuda:0 stand-in (ptx-emu)"), "{words}");
        assert!(words.contains("8.9") && words.contains("12.8"), "{words}");
        assert_eq!(device.limits().capability, 89);
        assert_eq!(device.limits().multiprocessors, 128);
        assert_eq!(device.limits().shared_per_block, 99 << 10);
        let found = detect();
        assert_eq!((found.len(), &found[0].name), (1, &words));
    });
}

#[test]
fn copies_what_it_is_given() {
    in_child(&Library::StandIn, &[], || {
        let device = CudaDevice::open(0).unwrap();
        let before = StandIn::new().counters();
        let memory = device.alloc("a tensor", 1000).unwrap();
        assert_eq!(device.address(&memory) % 256, 0);
        device.write(&memory, 0, &[7; 1000]).unwrap();
        device.write(&memory, 990, &[1, 2, 3]).unwrap();
        device.write(&memory, 1000, &[]).unwrap();
        let mut bytes = [0; 11];
        device.read(&memory, 989, &mut bytes).unwrap();
        assert_eq!(bytes, [7, 1, 2, 3, 7, 7, 7, 7, 7, 7, 7]);
        for (offset, count) in [(1000, 1), (990, 11), (u64::MAX, 2), (0, 1001)] {
            let wrong = cuda(device.write(&memory, offset, &vec![0; count]));
            let has = 1000;
            assert!(matches!(wrong, CudaError::Range { has: h, .. } if h == has));
            assert_eq!(
                cuda(device.read(&memory, offset, &mut vec![0; count])),
                wrong
            );
        }
        let empty = device.alloc("nothing", 0).unwrap();
        device.write(&empty, 0, &[]).unwrap();
        cuda(device.write(&empty, 0, &[1]));
        drop((memory, empty));
        let counted = StandIn::new().counters() - before;
        assert_eq!((counted.allocations, counted.frees), (2, 2));
        // each copy waits
        assert_eq!((counted.copies, counted.synchronisations), (3, 3));
    });
}

#[test]
fn too_little_memory_names_needed_and_free_bytes() {
    in_child(
        &Library::StandIn,
        &[("CUDA_STAND_IN_MEMORY", "4096")],
        || {
            let device = CudaDevice::open(0).unwrap();
            let first = device.alloc("weights", 1024).unwrap();
            assert_eq!(device.memory_info().unwrap(), (3072, 4096));
            let problem = cuda(device.alloc("workspace", 3073));
            let CudaError::OutOfMemory {
                what,
                needed,
                free,
                total,
                ..
            } = &problem
            else {
                panic!("{problem}");
            };
            assert_eq!(
                (*what, *needed, *free, *total),
                ("workspace", 3073, 3072, 4096)
            );
            let text = problem.to_string();
            assert!(text.contains("3073") && text.contains("3072"), "{text}");
            cuda(device.alloc("workspace", u64::MAX));
            // no harm done
            let rest = device.alloc("workspace", 3072).unwrap();
            drop(first);
            device.write(&rest, 0, &[1; 3072]).unwrap();
            assert_eq!(device.memory_info().unwrap(), (1024, 4096));
        },
    );
}

/// The same bits as the emulator gives when it is called directly, from PTX: the machine code that
/// suits the device is refused by the stand-in.
#[test]
fn a_kernel_gives_the_emulators_bits() {
    on_stand_in(&[], || {
        let device = CudaDevice::open(0).unwrap();
        let memory = upload(&device, 1);
        let launch = launch(ROWS);
        let function = device.function(&launch).unwrap();
        assert!(function.image().starts_with("PTX "), "{}", function.image());
        assert_eq!(function.entry(), "layernorm_fwd_f32");
        assert_eq!(function.local_bytes().unwrap(), 0);
        device
            .launch(&function, &launch, &bind(&launch, &memory))
            .unwrap();
        device.finish().unwrap();
        assert!(read(&device, &memory[3]) == expected(1));
        // once more: the module is there already
        device.function(&launch).unwrap();
        assert_eq!(StandIn::new().counters().modules, 1);
    });
}

#[test]
fn two_queues_share_modules_and_memory() {
    on_stand_in(&[], || {
        let first = CudaDevice::open(0).unwrap();
        let second = first.new_queue().unwrap();
        assert_ne!(first.stream(), second.stream());
        let launch = launch(ROWS);
        for (seed, device) in [(1, &first), (2, &second)] {
            let memory = upload(&first, seed);
            let function = device.function(&launch).unwrap();
            device
                .launch(&function, &launch, &bind(&launch, &memory))
                .unwrap();
            device.finish().unwrap();
            assert!(read(device, &memory[3]) == expected(seed));
        }
        let stand_in = StandIn::new();
        assert_eq!(stand_in.counters().modules, 1);
        for device in [&first, &second] {
            assert_eq!(stand_in.launches_on(device.stream()), 1);
        }
    });
}

#[test]
fn every_call_leaves_the_callers_context_current() {
    on_stand_in(&[], || {
        let device = CudaDevice::open(0).unwrap();
        let stand_in = StandIn::new();
        for first in [true, false] {
            // none, then one that is not the device's
            let context = if first { 0 } else { stand_in.new_context() };
            let same = || assert_eq!(stand_in.current(), context);
            same();
            let memory = upload(&device, 1);
            same();
            let launch = launch(ROWS);
            let function = device.function(&launch).unwrap();
            same();
            device
                .launch(&function, &launch, &bind(&launch, &memory))
                .unwrap();
            same();
            device.finish().unwrap();
            device.memory_info().unwrap();
            same();
            assert!(read(&device, &memory[3]) == expected(1));
            drop(memory);
            cuda(device.alloc("too much", 1 << 40));
            same();
            device.new_queue().unwrap();
            same();
            drop(CudaDevice::open(0).unwrap());
            same();
        }
    });
}

#[test]
fn a_second_opening_shares_modules_and_memory() {
    on_stand_in(&[], || {
        let [one, two] = [0, 0].map(|index| CudaDevice::open(index).unwrap());
        assert_ne!(one.stream(), two.stream());
        let launch = launch(ROWS);
        let memory = upload(&one, 1);
        let functions = [&one, &two].map(|device| device.function(&launch).unwrap());
        assert_eq!(StandIn::new().counters().modules, 1);
        let args = bind(&launch, &memory);
        two.launch(&functions[0], &launch, &args).unwrap();
        drop((one, functions));
        assert!(read(&two, &memory[3]) == expected(1));
        // when nothing is left of it, a device is opened anew
        drop((two, memory));
        let again = CudaDevice::open(0).unwrap();
        again.function(&launch).unwrap();
        assert_eq!(StandIn::new().counters().modules, 2);
    });
}

#[test]
fn memory_and_kernels_of_another_device_are_refused() {
    on_stand_in(&[("CUDA_STAND_IN_DEVICES", "2")], || {
        let [one, two] = [0, 1].map(|index| CudaDevice::open(index).unwrap());
        assert!(two.describe().starts_with("cuda:1 "));
        assert_eq!(detect().len(), 2);
        let memory = one.alloc("x", 16).unwrap();
        let problem = cuda(two.write(&memory, 0, &[1]));
        assert!(matches!(problem, CudaError::Foreign { .. }));
        let launch = launch(ROWS);
        let function = one.function(&launch).unwrap();
        let args = bind(&launch, &upload(&two, 1));
        let problem = cuda(two.launch(&function, &launch, &args));
        assert!(matches!(problem, CudaError::Foreign { .. }));
        // memory outlives the handle of its device
        drop(one);
        assert_eq!(memory.bytes(), 16);
    });
}

#[test]
fn a_launch_that_cannot_be_is_refused_with_its_limits() {
    on_stand_in(&[], || {
        let device = CudaDevice::open(0).unwrap();
        let good = launch(ROWS);
        let refused = |change: &dyn Fn(&mut pvt_cuda::launch::Launch), words: &[&str]| {
            let mut launch = good.clone();
            change(&mut launch);
            let text = cuda(device.function(&launch)).to_string();
            assert!(words.iter().all(|word| text.contains(word)), "{text}");
        };
        refused(
            &|l| l.kernel.entry = "layernorm_bwd",
            &["layernorm_bwd_f32", "layernorm_fwd_f32"],
        );
        refused(&|l| l.kernel.dtype = "f8", &["layernorm_fwd_f8"]);
        refused(&|l| l.kernel.module = "none", &["none"]);
        refused(&|l| l.block = [32, 8, 1], &["256 threads", "at most 128"]);
        refused(&|l| l.block = [0, 1, 1], &["[0, 1, 1]", "1024"]);
        refused(&|l| l.block = [1, 1, 65], &["65", "64"]);
        refused(&|l| l.grid = [1, 70_000, 1], &["70000", "65535"]);
        refused(&|l| l.shared = 200 << 10, &["204800", "166912"]);
        refused(
            &|l| l.args.truncate(7),
            &["arguments", "[8, 8, 8, 8, 4, 4, 4] bytes"],
        );
        refused(
            &|l| l.args[4] = pvt_cuda::launch::Arg::U64(1),
            &["8, 8, 4, 4, 4]"],
        );
        let function = device.function(&good).unwrap();
        let memory = upload(&device, 1);
        let mut args = bind(&good, &memory);
        args[5] = Bound::U64(64);
        cuda(device.launch(&function, &good, &args));
        args.truncate(3);
        cuda(device.launch(&function, &good, &args));
        assert_eq!(StandIn::new().counters().launches, 0);
    });
}

/// More than 48 KiB must be asked for; the stand-in refuses a launch that did not.
#[test]
fn large_shared_memory_is_asked_for() {
    on_stand_in(&[], || {
        let device = CudaDevice::open(0).unwrap();
        let memory = upload(&device, 1);
        let (mut large, small) = (launch(ROWS), launch(ROWS));
        large.shared = 100 << 10;
        let without = device.function(&small).unwrap();
        cuda(device.launch(&without, &large, &bind(&large, &memory)));
        let function = device.function(&large).unwrap();
        // a smaller one does not take it back
        device.function(&small).unwrap();
        device
            .launch(&function, &large, &bind(&large, &memory))
            .unwrap();
        assert!(read(&device, &memory[3]) == expected(1));
    });
}
