//! Bad input: the exit code, and a text that names what was found and what to do.

use std::fs;

use crate::{MICRO, pvt};

/// Arguments, exit code, and what stderr must name.
const TABLE: &[(&[&str], i32, &[&str])] = &[
    (&[], 2, &["Usage"]),
    (&["classify"], 2, &["IMG|DIR"]),
    (&["classify", "x.png", "--batch", "0"], 2, &["--batch", "0"]),
    (
        &["classify", "x.png", "--variant", "tinny"],
        2,
        &["tinny", "pvt_tiny"],
    ),
    (
        &["classify", "x.png", "--variant", "pvt_v2_b2"],
        2,
        &["pvt_v2_b2", "not supported yet"],
    ),
    (
        &["classify", "x.png", "--variant", "tiny"],
        2,
        &["--weights"],
    ),
    (
        &["classify", "x.png", "--model", "no-owner"],
        2,
        &["no-owner", "owner/name"],
    ),
    (
        &["classify", "x.png", "--target", "gpu"],
        2,
        &["gpu", "auto, cpu, cuda, cuda:N or emu"],
    ),
    (
        &["inspect", "plan", "--variant", "tiny", "--keep", "blocks"],
        2,
        &["--train"],
    ),
    (
        &[
            "inspect",
            "plan",
            "--variant",
            "tiny",
            "--train",
            "--keep",
            "all",
        ],
        2,
        &["all", "everything, recompute or blocks"],
    ),
    (
        &[
            "inspect",
            "plan",
            "--variant",
            "tiny",
            "--train",
            "--frozen",
            "5",
        ],
        2,
        &["5", "0..=4"],
    ),
    (
        &["classify", "x.png", "--dtype", "f8"],
        2,
        &["f8", "f32, tf32, f16 or bf16"],
    ),
    (
        &[
            "classify",
            "x.png",
            "--weights",
            "tests/fixtures/pth/none.safetensors",
        ],
        4,
        &["none.safetensors", "cannot be read"],
    ),
    (
        &[
            "classify",
            "x.png",
            "--weights",
            "tests/fixtures/reference/sra-op.safetensors",
        ],
        2,
        &["config.json", "--variant"],
    ),
    (
        &["classify", "nowhere.png"],
        4,
        &["nowhere.png", "cannot be read"],
    ),
    (&["classify", "src"], 4, &["src", "no pictures found"]),
    (
        &[
            "classify",
            "assets/digits/test/3",
            "--preset",
            "model",
            "--variant",
            "tiny",
            "--weights",
            "assets/digits/model.safetensors",
        ],
        4,
        &[
            "official scheme",
            "missing (50)",
            "wrong shape (111)",
            "`block1.0.attn.q.weight` is [32, 32], expected [64, 64]",
        ],
    ),
    (
        &["classify", "x.png", "--target", "cuda:99"],
        3,
        &["cuda", "--target cpu"],
    ),
    (
        &["verify", MICRO, "--target", "cuda:99"],
        3,
        &["cuda", "--target cpu"],
    ),
    (
        &["verify", MICRO, "--target", "cpu", "--dtype", "bf16"],
        3,
        &["bf16", "f32"],
    ),
    (
        &["verify", "tests/fixtures"],
        4,
        &["config.json", "cannot be read"],
    ),
    (
        &[
            "features",
            "assets/digits/test/3/0059.png",
            "--out",
            "x",
            "--size",
            "31x64",
        ],
        4,
        &["31x64", "32"],
    ),
    (
        &[
            "features",
            "assets/digits/test/3/0059.png",
            "--out",
            "x",
            "--size",
            "wide",
        ],
        2,
        &["wide", "HEIGHTxWIDTH"],
    ),
    (&["classify", "x.png", "--top", "0"], 2, &["--top", "0"]),
    (
        &["bench", "--variant", "tiny", "--batch", "100000000"],
        4,
        &["workspace", "bytes", "smaller image or batch"],
    ),
    (
        &["bench", "--variant", "tiny", "--batch", "0"],
        4,
        &["batch", "1 or more"],
    ),
    (
        &[
            "bench",
            "--variant",
            "tiny",
            "--batch",
            "4611686018427387904",
        ],
        4,
        &["4611686018427387904"],
    ),
    (
        &["bench", "--variant", "tiny", "--size", "20000"],
        4,
        &["20000", "16384"],
    ),
    (
        &["bench", "--variant", "tiny", "--seconds", "0"],
        2,
        &["--seconds"],
    ),
    (&["bench"], 2, &["--variant"]),
    (
        &[
            "inspect",
            "plan",
            "--variant",
            "tiny",
            "--target",
            "cpu",
            "--dtype",
            "bf16",
        ],
        3,
        &["bf16", "f32"],
    ),
    (&["inspect", "weights", "Cargo.toml"], 4, &["Cargo.toml"]),
    (
        &["inspect", "config", "--config", "Cargo.toml"],
        4,
        &["Cargo.toml", "JSON"],
    ),
];

#[test]
fn each_row_of_the_table() {
    for (args, code, words) in TABLE {
        let run = pvt(args);
        assert_eq!(run.code, Some(*code), "{args:?}: {}", run.stderr);
        assert!(
            run.stdout.is_empty(),
            "{args:?} printed to stdout: {}",
            run.stdout
        );
        for word in *words {
            assert!(
                run.stderr.contains(word),
                "{args:?}: no {word:?} in: {}",
                run.stderr
            );
        }
        assert!(!run.stderr.contains("panicked"), "{args:?}: {}", run.stderr);
    }
}

#[test]
fn a_pickle_is_answered_with_the_convert_command() {
    let folder = tempfile::tempdir().unwrap();
    for magic in [&b"PK\x03\x04 and more"[..], &b"\x80\x02 and more"[..]] {
        let path = folder.path().join("pvt_tiny.pth");
        fs::write(&path, magic).unwrap();
        let run = pvt(&[
            "classify",
            "x.png",
            "--variant",
            "tiny",
            "--weights",
            path.to_str().unwrap(),
        ]);
        assert_eq!(run.code, Some(4));
        assert!(
            run.stderr.contains("scripts/convert_pth.py"),
            "{}",
            run.stderr
        );
    }
}

#[test]
fn without_network_the_file_to_fetch_by_hand_is_named() {
    let cache = tempfile::tempdir().unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_pvt"))
        .args(["classify", "x.png", "--model", "Zetatech/pvt-tiny-224"])
        .env("HF_HUB_CACHE", cache.path())
        .env("HF_ENDPOINT", "http://127.0.0.1:9")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(4), "{text}");
    for word in [
        "http://127.0.0.1:9/Zetatech/pvt-tiny-224",
        "model.safetensors",
        "--weights",
    ] {
        assert!(text.contains(word), "no {word} in: {text}");
    }
}
