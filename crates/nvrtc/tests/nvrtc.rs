//! The library found, refused and used. Tests that compile need NVRTC: `scripts/fetch-nvrtc.py` puts it
//! where they look.

use std::fs;
use std::path::{Path, PathBuf};

use nvrtc_lite::{CompileError, Nvrtc, OpenError, Search};

const TWICE: &str = r#"
extern "C" __global__ void twice(float* x) {
    x[threadIdx.x] *= 2.0f;
}
"#;

fn cached() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache/nvrtc")
}

fn nvrtc() -> Nvrtc {
    let search = Search::from_env()
        .explicit(Some(cached()).filter(|folder| folder.is_dir()))
        .cure("run `python3 scripts/fetch-nvrtc.py` in the root of the repository");
    match Nvrtc::find(&search) {
        Ok(nvrtc) => nvrtc,
        Err(error) => panic!("{error}"),
    }
}

/// A folder of this name for one test, empty.
fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn not_found_lists_what_was_tried() {
    let empty = scratch("not_found");
    let absent = empty.join("absent");
    let search = Search::nowhere()
        .folder(&empty)
        .folder(&absent)
        .cure("fetch it");
    let error = Nvrtc::find(&search).unwrap_err();
    assert_eq!(error.tried.len(), 2);
    assert_eq!(error.tried[0].place, empty);
    assert!(matches!(error.tried[0].reason, OpenError::Empty { .. }));
    assert!(matches!(
        error.tried[1].reason,
        OpenError::Unreadable { .. }
    ));
    let text = error.to_string();
    assert!(text.contains(&absent.display().to_string()), "{text}");
    assert!(text.ends_with("fetch it"), "{text}");
}

#[test]
fn an_explicit_place_that_fails_is_not_replaced() {
    let absent = scratch("explicit").join("libnvrtc.so.12");
    let search = Search::from_env().folder(cached()).explicit(Some(&absent));
    let error = Nvrtc::find(&search).unwrap_err();
    assert_eq!(error.tried.len(), 1);
    assert_eq!(error.tried[0].place, absent);
}

#[test]
fn garbage_is_an_error() {
    let folder = scratch("garbage");
    for (name, bytes) in [
        ("libnvrtc.so.12", &b"not a library"[..]),
        ("libnvrtc.so.13", &[0x7f; 4096][..]),
        ("nvrtc64_120_0.dll", &b"MZ and nothing"[..]),
    ] {
        fs::write(folder.join(name), bytes).unwrap();
        let error = Nvrtc::open(folder.join(name)).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
    }
    assert!(Nvrtc::open(&folder).is_err());
}

#[cfg(target_os = "linux")]
#[test]
fn a_truncated_library_is_an_error() {
    let folder = scratch("truncated");
    let whole = fs::read(nvrtc().path()).unwrap();
    let cut = folder.join("libnvrtc.so.12");
    for length in [0, 40, 100, 4096, 1 << 20, whole.len() / 2] {
        fs::write(&cut, &whole[..length]).unwrap();
        let error = Nvrtc::open(&cut).unwrap_err();
        assert!(
            matches!(error, OpenError::Damaged { .. }),
            "{length}: {error}"
        );
    }
    fs::remove_dir_all(folder).unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn another_library_is_an_error() {
    let builtins = fs::read_dir(nvrtc().path().parent().unwrap()).unwrap();
    let other = builtins
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_string_lossy().contains("libnvrtc-builtins.so"))
        .unwrap();
    let error = Nvrtc::open(other).unwrap_err();
    assert!(matches!(error, OpenError::Function { .. }), "{error}");
}

#[test]
fn compiles_to_ptx() {
    let nvrtc = nvrtc();
    assert!(nvrtc.version() >= (11, 2));
    let archs = nvrtc.archs().unwrap();
    assert!(archs.contains(&80) && archs.contains(&90), "{archs:?}");
    let image = nvrtc
        .compile(TWICE, "twice.cu", &["-arch=compute_80", "-lineinfo"])
        .unwrap();
    assert!(image.ptx.contains(".visible .entry twice("));
    assert!(image.ptx.contains(".target sm_80"));
    assert!(image.ptx.contains("twice.cu\""));
    assert!(!image.ptx.contains('\0'));
    assert!(image.cubin.is_empty());
}

#[test]
fn compiles_to_machine_code() {
    let image = nvrtc()
        .compile(TWICE, "twice.cu", &["-arch=sm_90a", "--ptxas-options=-v"])
        .unwrap();
    assert_eq!(image.cubin[..4], *b"\x7fELF");
    assert!(image.log.contains("registers"), "{}", image.log);
}

#[test]
fn equal_sources_give_equal_images() {
    let nvrtc = nvrtc();
    let compile = || nvrtc.compile(TWICE, "twice.cu", &["-arch=sm_80"]).unwrap();
    let (first, second) = (compile(), compile());
    assert_eq!(first.ptx, second.ptx);
    assert_eq!(first.cubin, second.cubin);
}

#[test]
fn a_compile_error_carries_the_log() {
    let source = TWICE.replace("2.0f", "factor");
    let error = nvrtc()
        .compile(&source, "broken.cu", &["-arch=compute_80"])
        .unwrap_err();
    assert!(matches!(error, CompileError::Refused { .. }));
    assert!(error.log().contains("broken.cu(3)"), "{}", error.log());
    assert!(error.log().contains("factor"), "{}", error.log());
    assert!(error.to_string().contains(error.log()));
}

#[test]
fn an_unknown_option_is_an_error() {
    let error = nvrtc()
        .compile(TWICE, "twice.cu", &["-arch=compute_12"])
        .unwrap_err();
    assert!(
        error.to_string().contains("compute_12") || error.log().contains("arch"),
        "{error}"
    );
}

#[test]
fn zero_bytes_are_refused() {
    let nvrtc = nvrtc();
    let none: [&str; 0] = [];
    for (source, name, options, wrong) in [
        ("\0", "a.cu", &none[..], "source"),
        (TWICE, "a\0.cu", &none[..], "name"),
        (TWICE, "a.cu", &["-DA=\0"][..], "option"),
    ] {
        let error = nvrtc.compile(source, name, options).unwrap_err();
        assert!(matches!(error, CompileError::ZeroByte { what, .. } if what == wrong));
    }
}

#[test]
fn threads_may_share_it() {
    let nvrtc = nvrtc();
    std::thread::scope(|scope| {
        for value in 0..4 {
            let nvrtc = &nvrtc;
            scope.spawn(move || {
                let source = TWICE.replace("2.0f", &format!("{value}.0f"));
                let define = format!("-DVALUE={value}");
                nvrtc
                    .compile(
                        &source,
                        "twice.cu",
                        &["-arch=compute_80".to_owned(), define],
                    )
                    .unwrap();
            });
        }
    });
}
