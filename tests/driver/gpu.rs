//! A real GPU, where there is one: it gives what the emulator gives.
#![allow(unsafe_code, reason = "queues work on raw streams and addresses")]

use pvt_cuda::Error;
use pvt_cuda::target::cuda::{CudaDevice, CudaError};
use pvt_cuda::target::device::{Bound, Device as _};
use pvt_testkit::compare::rel_l2;

use crate::child::{Library, in_child};
use crate::layernorm::{ROWS, bind, buffers, expected, launch, read, upload};

/// The first GPU, and nothing where there is none or where this build has no kernels.
fn gpu() -> Option<CudaDevice> {
    let device = match (CudaDevice::open(0), pvt_cuda::kernels::modules()) {
        (Ok(device), Ok(_)) => device,
        (Err(problem), _) => {
            println!("skipped: {problem}");
            return None;
        }
        (_, Err(problem)) => {
            println!("skipped: {problem}");
            return None;
        }
    };
    println!("{}", device.describe());
    Some(device)
}

#[test]
fn a_gpu_agrees_with_the_emulator() {
    in_child(&Library::System, &[], || {
        let Some(device) = gpu() else { return };
        let launch = launch(ROWS);
        let function = device.function(&launch).unwrap();
        println!(
            "{} from {}: {} registers",
            function.entry(),
            function.image(),
            function.registers().unwrap()
        );
        assert_eq!(function.local_bytes().unwrap(), 0);
        let memory = upload(&device, 1);
        let args = bind(&launch, &memory);
        device.launch(&function, &launch, &args).unwrap();
        let first = read(&device, &memory[3]);
        let wide = |bytes: &[u8]| -> Vec<f32> {
            let (values, _) = bytes.as_chunks();
            values.iter().map(|b| f32::from_le_bytes(*b)).collect()
        };
        let exact: Vec<f64> = wide(&expected(1)).into_iter().map(f64::from).collect();
        let error = rel_l2(&wide(&first), &exact);
        println!("relative distance to the emulator {error:e}");
        assert!(error < 1e-6, "{error:e}");

        // a list and a graph of it give the same bits
        let place = |id| Some((buffers().iter().position(|b| *b == id)?, 0));
        let list = device.prepare(&[launch], 4, place).unwrap();
        let addresses = [0, 1, 2, 3].map(|i: usize| memory[i].address());
        let clear = || device.write(&memory[3], 0, &vec![0; first.len()]).unwrap();
        clear();
        // SAFETY: the stream is the device's; the memory has the sizes of the launch, and lives on.
        unsafe { list.enqueue(device.stream(), &addresses) }.unwrap();
        assert!(read(&device, &memory[3]) == first);
        clear();
        // SAFETY: as above; the graph runs while the memory lives.
        let graph = device.capture(|stream| unsafe { list.enqueue(stream, &addresses) });
        let graph = graph.unwrap();
        assert!(read(&device, &memory[3]) != first);
        // SAFETY: as above.
        unsafe { graph.launch(device.stream()) }.unwrap();
        assert!(read(&device, &memory[3]) == first);
    });
}

#[test]
fn a_gpu_refuses_what_it_has_no_room_for() {
    in_child(&Library::System, &[], || {
        let Some(device) = gpu() else { return };
        let Err(Error::Cuda(problem)) = device.alloc("everything", 1 << 50) else {
            panic!("more memory than there is");
        };
        println!("{problem}");
        assert!(matches!(problem, CudaError::OutOfMemory { needed, free, .. } if free < needed));
        device.alloc("a little", 16).unwrap();
    });
}

#[test]
fn a_gpu_is_lost_after_an_address_that_is_none() {
    in_child(&Library::System, &[], || {
        let Some(device) = gpu() else { return };
        let memory = upload(&device, 1);
        let launch = launch(ROWS);
        let function = device.function(&launch).unwrap();
        let mut args = bind(&launch, &memory);
        args[1] = Bound::Null;
        device.launch(&function, &launch, &args).unwrap();
        for _ in 0..2 {
            let problem = device.finish().unwrap_err();
            println!("{problem}");
            let Error::Cuda(CudaError::DeviceLost { code, .. }) = problem else {
                panic!("{problem}");
            };
            assert_eq!(code, 700);
        }
    });
}
