//! What goes wrong on a device that works.

use pvt_cuda::Error;
use pvt_cuda::launch::Arg;
use pvt_cuda::target::cuda::{CudaDevice, CudaError};
use pvt_cuda::target::device::{Bound, Device as _};

use crate::child::on_stand_in;
use crate::layernorm::{ROWS, bind, launch, upload};
use crate::stand_in::StandIn;

/// A kernel told of more rows than there are: every later call says so, at once.
#[test]
fn an_access_out_of_bounds_loses_the_device() {
    on_stand_in(&[], || {
        let device = CudaDevice::open(0).unwrap();
        let clone = device.new_queue().unwrap();
        let memory = upload(&device, 1);
        let mut beyond = launch(ROWS);
        beyond.grid[0] += 4;
        beyond.args[4] = Arg::U32(ROWS + 16);
        let function = device.function(&beyond).unwrap();
        device
            .launch(&function, &beyond, &bind(&beyond, &memory))
            .unwrap();
        let lost = |result: pvt_cuda::Result<()>| {
            let Err(Error::Cuda(CudaError::DeviceLost {
                doing, code, name, ..
            })) = result
            else {
                panic!("{result:?}");
            };
            assert_eq!((code, name.as_str()), (700, "CUDA_ERROR_ILLEGAL_ADDRESS"));
            doing
        };
        assert_eq!(lost(device.finish()), "waiting for the device");
        let calls = || StandIn::new().counters().calls;
        let before = calls();
        for device in [&device, &clone] {
            assert_eq!(lost(device.finish()), "waiting for the device");
            lost(device.write(&memory[0], 0, &[0; 4]));
            lost(device.read(&memory[0], 0, &mut [0; 4]));
            lost(device.alloc("more", 4).map(drop));
            lost(device.function(&beyond).map(drop));
            lost(device.launch(&function, &beyond, &bind(&beyond, &memory)));
            lost(device.new_queue().map(drop).map_err(Into::into));
        }
        // the driver was asked for nothing but the name of the code
        assert_eq!(calls() - before, 14);
        let text = device.finish().unwrap_err().to_string();
        assert!(text.contains("restart the program"), "{text}");
        drop((memory, function, clone, device));
    });
}

#[test]
fn no_image_tells_what_there_was() {
    let variables = [
        ("CUDA_STAND_IN_PTX", "222"),
        ("CUDA_STAND_IN_VERSION", "12040"),
    ];
    on_stand_in(&variables, || {
        let device = CudaDevice::open(0).unwrap();
        let problem = device.function(&launch(ROWS)).unwrap_err();
        let text = problem.to_string();
        println!("{text}");
        let Error::Cuda(CudaError::NoImage { refused, .. }) = problem else {
            panic!("{text}");
        };
        let of = |image: &str| {
            let found = refused
                .0
                .iter()
                .find(|r| r.image.starts_with(image))
                .unwrap();
            assert!(text.contains(&found.why));
            found.why.clone()
        };
        assert!(of("machine code for 8.0").contains("INVALID_IMAGE (code 200)"));
        assert_eq!(of("machine code for 8.9"), "needs capability 8.9 or more");
        assert_eq!(of("machine code for 9.0"), "runs on capability 9.0 only");
        let ptx = of("PTX ");
        // the name, the compiler's own words, and what to do
        assert!(ptx.contains("UNSUPPORTED_PTX_VERSION (code 222)"), "{ptx}");
        assert!(
            ptx.contains("CUDA_STAND_IN_PTX says") && ptx.contains("12.4"),
            "{ptx}"
        );
        // the device is as good as before
        device.alloc("more", 4).unwrap();
    });
}

/// A read of memory that nothing wrote is found by the emulator, and ends like the rest.
#[test]
fn an_address_that_is_none_loses_the_device() {
    on_stand_in(&[], || {
        let device = CudaDevice::open(0).unwrap();
        let memory = upload(&device, 1);
        let launch = launch(ROWS);
        let function = device.function(&launch).unwrap();
        let mut args = bind(&launch, &memory);
        args[1] = Bound::Null;
        device.launch(&function, &launch, &args).unwrap();
        let mut bytes = [0; 4];
        let problem = device.read(&memory[3], 0, &mut bytes).unwrap_err();
        assert!(matches!(
            problem,
            Error::Cuda(CudaError::DeviceLost { code: 700, .. })
        ));
    });
}
