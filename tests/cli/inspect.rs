//! `pvt inspect`: counts against the published tables.

use serde_json::Value;

use crate::{MICRO, pvt};

/// variant, parameters, parameters as a backbone, multiply-adds at 224 × 224 and, as a backbone, at
/// 800 × 1280 (1e9, three decimals).
const PUBLISHED: [(&str, u64, u64, &str, &str); 5] = [
    ("tiny", 13_229_288, 12_714_752, "1.933", "69.493"),
    ("small", 24_485_864, 23_971_328, "3.816", "134.144"),
    ("medium", 44_208_104, 43_693_568, "6.659", "221.389"),
    ("large", 61_369_320, 60_854_784, "9.814", "323.260"),
    ("huge", 304_945_512, 304_174_208, "50.493", "1392.759"),
];

fn giga(value: &Value) -> String {
    format!("{:.3}", value.as_u64().unwrap() as f64 / 1e9)
}

#[test]
fn parameters_and_multiply_adds_are_the_published_ones() {
    for (name, parameters, backbone, at_224, at_800) in PUBLISHED {
        let report = pvt(&["inspect", "config", "--variant", name, "--json"]).json();
        assert_eq!(report["parameters"], parameters, "{name}");
        assert_eq!(report["backbone_parameters"], backbone, "{name}");
        assert_eq!(giga(&report["macs"]), at_224, "{name}");
        let args = ["--size", "800x1280", "--backbone", "--json"];
        let large = pvt(&[&["inspect", "config", "--variant", name][..], &args].concat()).json();
        assert_eq!(giga(&large["macs"]), at_800, "{name}");
    }
}

#[test]
fn multiply_adds_of_each_operator_follow_from_the_shapes() {
    let report = pvt(&["inspect", "config", "--variant", "small", "--json"]).json();
    let mut total = 0;
    // C, N, M, depth, reduction, hidden, values of a patch, positions
    for (s, [c, n, m, depth, r, hidden, patch, positions]) in [
        [64, 3136, 49, 3, 8, 512, 48, 3136],
        [128, 784, 49, 4, 4, 1024, 256, 784],
        [320, 196, 49, 6, 2, 1280, 512, 196],
        [512, 50, 50, 3, 1, 2048, 1280, 49],
    ]
    .into_iter()
    .enumerate()
    {
        let found = &report["stages"][s]["macs"];
        let reduction = if r > 1 { depth * m * r * r * c * c } else { 0 };
        for (name, want) in [
            ("patch_embed", positions * patch * c),
            ("q", depth * n * c * c),
            ("sr", reduction),
            ("kv", depth * m * c * 2 * c),
            ("qk_pv", depth * 2 * n * m * c),
            ("proj", depth * n * c * c),
            ("fc1", depth * n * c * hidden),
            ("fc2", depth * n * c * hidden),
        ] {
            assert_eq!(
                found[name].as_u64().unwrap_or(0),
                want,
                "stage {} {name}",
                s + 1
            );
            total += want;
        }
    }
    assert_eq!(report["macs"].as_u64(), Some(total + 512 * 1000));
}

#[test]
fn a_plan_lists_its_steps_and_memory() {
    let plan = pvt(&[
        "inspect",
        "plan",
        "--variant",
        "tiny",
        "--batch",
        "2",
        "--json",
    ])
    .json();
    let steps = plan["steps"].as_array().unwrap();
    assert_eq!(plan["launches"], 0, "the CPU launches nothing");
    assert!(plan["workspace_bytes"].as_u64().unwrap() > 0);
    let flops: u64 = steps.iter().map(|s| s["flops"].as_u64().unwrap()).sum();
    assert_eq!(
        giga(&Value::from(flops / 4)),
        "1.933",
        "two images, two operations each"
    );
    for key in ["label", "op", "shapes", "bytes", "reads", "writes"] {
        assert!(!steps[0][key].is_null(), "{key}");
    }
    let gpu = ["inspect", "plan", "--variant", "tiny", "--target", "cuda"];
    let text = pvt(&[&gpu[..], &["--dtype", "bf16"]].concat());
    assert!(
        text.stdout.contains("attention_fwd_d64_bf16 grid"),
        "needs no GPU"
    );
    let plan = pvt(&[&gpu[..], &["--dtype", "tf32", "--json"]].concat()).json();
    let launches = plan["steps"].as_array().unwrap().iter();
    let launches = launches.map(|s| s["launches"].as_array().unwrap().len());
    assert_eq!(plan["launches"], launches.sum::<usize>());
    let text = pvt(&[
        "inspect",
        "plan",
        "--variant",
        "tiny",
        "--size",
        "256x192",
        "--backbone",
    ]);
    assert!(text.stdout.contains("pos_embed1.resized") && text.stdout.contains("workspace"));
    assert!(!text.stdout.contains("head"), "a backbone has no head");
}

#[test]
fn a_plan_of_training_lists_both_passes_and_all_memory() {
    let plan = |options: &[&str]| {
        let args = ["inspect", "plan", "--variant", "small", "--json"];
        pvt(&[&args[..], options].concat()).json()
    };
    let gpu = ["--train", "--target", "cuda", "--dtype", "bf16"];
    let with = |options: &[&str]| plan(&[&gpu[..], options].concat());
    let number = |plan: &Value, key: &str| plan["memory"][key].as_u64().unwrap();
    let all = with(&[]);
    let steps = all["steps"].as_array().unwrap();
    let first = all["first_backward_step"].as_u64().unwrap();
    let first = usize::try_from(first).unwrap();
    assert_eq!(steps[first]["label"], "loss");
    assert!(
        steps[first + 1..]
            .iter()
            .all(|step| step["label"] != "head")
    );
    assert_eq!(steps.last().unwrap()["label"], "d patch_embed1.proj");
    assert_eq!(number(&all, "optimizer"), 12 * PUBLISHED[1].1);
    let sum = [
        "inputs",
        "parameters",
        "gradients",
        "workspace",
        "optimizer",
    ];
    let sum: u64 = sum.iter().map(|key| number(&all, key)).sum();
    assert_eq!(number(&all, "total"), sum);

    // sizes that no machine has, in no time
    let [some, fewer, fewest] = ["everything", "recompute", "blocks"].map(|keep| {
        let plan = with(&["--keep", keep, "--batch", "65536"]);
        number(&plan, "saved")
    });
    assert!(fewest > 1 << 38 && fewer > fewest && some > fewer);
    assert_eq!(some, 65536 * number(&all, "saved"));

    let options = ["--drop-path", "--frozen", "2", "--backbone"];
    let frozen = with(&options);
    assert!(number(&frozen, "gradients") < number(&all, "gradients"));
    let reads = |plan: &Value| plan["steps"].to_string().matches("residual").count();
    assert!(reads(&frozen) > reads(&all), "branches have factors");
    let pixels = with(&["--input-gradient"]);
    let steps = pixels["steps"].as_array().unwrap();
    assert_eq!(steps.last().unwrap()["label"], "d patch_embed1.proj.input");

    let cpu = plan(&["--train"]);
    assert_eq!(cpu["launches"], 0);
    assert!(number(&cpu, "saved") > number(&all, "saved"), "f32");
    let inference = plan(&[]);
    assert!(inference["first_backward_step"].is_null());
    assert_eq!(number(&inference, "saved"), 0);
    let text = pvt(&["inspect", "plan", "--variant", "tiny", "--train"]).stdout;
    assert!(text.contains("\n       backward\n") && text.contains("saved for the backward pass"));
}

#[test]
fn weights_and_device_are_described() {
    let file = format!("{MICRO}/model.hf.safetensors");
    let report = pvt(&["inspect", "weights", &file, "--json"]).json();
    assert_eq!(report["elements"], 214_378);
    assert_eq!(report["tensors"][0]["dtype"], "F32");
    assert!(
        pvt(&["inspect", "weights", &file])
            .stdout
            .contains("214378 elements")
    );
    let device = pvt(&["inspect", "device", "--json"]).json();
    assert!(device["cpu"]["threads"].as_u64().unwrap() >= 1);
    let gpus = device["cuda"].as_array().unwrap();
    assert!(!gpus.is_empty());
    for gpu in gpus {
        assert_eq!(gpu["usable"].as_bool().unwrap(), gpu["why_not"].is_null());
    }
}

#[test]
fn bench_prints_its_measurement() {
    let config = format!("{MICRO}/config.json");
    let args = [
        "bench",
        "--config",
        &config,
        "--batch",
        "2",
        "--seconds",
        "0.05",
        "--steps",
        "--json",
    ];
    let report = pvt(&args).json();
    let number = |key: &str| report[key].as_f64().unwrap();
    assert!(number("min_ms") <= number("lower_quartile_ms"));
    assert!(number("lower_quartile_ms") <= number("median_ms"));
    assert!(number("median_ms") <= number("upper_quartile_ms"));
    assert!(
        (number("images_per_s") - 2e3 / number("median_ms")).abs() < 1e-6 * number("images_per_s")
    );
    assert_eq!(report["times_ms"].as_array().unwrap().len(), report["runs"]);
    assert!(!report["steps"].as_array().unwrap().is_empty());
}
