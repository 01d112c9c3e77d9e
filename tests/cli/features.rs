//! `pvt features`: maps of a photograph.

use pvt_cuda::picture::Picture;
use pvt_cuda::weights::TensorFile;

use crate::pvt;

#[test]
fn a_photograph_of_any_size_gives_four_maps_and_their_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("maps.safetensors");
    let png = folder.path().join("stage");
    let report = pvt(&[
        "features",
        "assets/photos/china.jpg",
        "--out",
        out.to_str().unwrap(),
        "--png",
        png.to_str().unwrap(),
        "--json",
    ])
    .json();
    // 427 x 640 pixels; channels of the embedded model
    let shapes = [
        [1, 32, 106, 160],
        [1, 64, 53, 80],
        [1, 96, 26, 40],
        [1, 128, 13, 20],
    ];
    let file = TensorFile::open(&out).unwrap();
    for (i, shape) in shapes.iter().enumerate() {
        let map = &report["maps"][i];
        assert_eq!(map["stride"], 4 << i);
        assert_eq!(map["shape"], serde_json::json!(shape));
        let tensor = file.get(&format!("feature{}", i + 1)).unwrap();
        assert_eq!(tensor.shape, shape);
        assert!(tensor.to_f32().unwrap().iter().all(|v| v.is_finite()));
        let picture = Picture::open(folder.path().join(format!("stage{}.png", i + 1))).unwrap();
        assert_eq!((picture.size().height, picture.size().width), (427, 640));
        for channel in 0..3 {
            let values = || picture.rgb().iter().skip(channel).step_by(3);
            let (low, high) = (values().min().unwrap(), values().max().unwrap());
            assert!(
                *low < 20 && *high > 235,
                "stage {} uses the whole range of colours",
                i + 1
            );
        }
    }
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 5, "no partial file is left: {left:?}");
}

#[test]
fn layouts_hold_the_same_values() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let picture = [
        "features",
        "assets/digits/test/3/0059.png",
        "--size",
        "33x47",
        "--out",
    ];
    for layout in ["nchw", "nhwc"] {
        let run = pvt(&[&picture[..], &[&path(layout), "--layout", layout]].concat());
        assert_eq!(run.code, Some(0), "{}", run.stderr);
    }
    let (nchw, nhwc) = (
        TensorFile::open(path("nchw")).unwrap(),
        TensorFile::open(path("nhwc")).unwrap(),
    );
    for stage in 1..=4 {
        let name = format!("feature{stage}");
        let (a, b) = (nchw.get(&name).unwrap(), nhwc.get(&name).unwrap());
        let &[_, c, h, w] = a.shape else {
            panic!("{:?}", a.shape)
        };
        assert_eq!(b.shape, [1, h, w, c]);
        let (a, b) = (a.to_f32().unwrap(), b.to_f32().unwrap());
        for k in 0..c {
            for p in 0..h * w {
                assert!(a[k * h * w + p].to_bits() == b[p * c + k].to_bits());
            }
        }
    }
}

#[test]
fn an_output_that_cannot_be_written_is_an_error() {
    let gone = tempfile::tempdir().unwrap().path().join("maps");
    let run = pvt(&[
        "features",
        "assets/digits/test/3/0059.png",
        "--out",
        gone.to_str().unwrap(),
    ]);
    assert_eq!(run.code, Some(4));
    assert!(run.stderr.contains("cannot be written"), "{}", run.stderr);
}
