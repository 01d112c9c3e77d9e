//! Each table of names covers every parameter once.

use std::collections::{BTreeMap, BTreeSet};

use pvt_cuda::config::{Mode, Variant};
use pvt_cuda::weights::{KeyScheme, Manifest};

#[test]
fn every_scheme_is_a_bijection() {
    for variant in Variant::ALL {
        let config = variant.config();
        for mode in [Mode::Classify, Mode::Backbone] {
            let manifest = Manifest::for_config(&config, mode).unwrap();
            let names: BTreeSet<&str> = manifest.params().iter().map(|p| &*p.name).collect();
            assert_eq!(
                names.len(),
                manifest.params().len(),
                "{variant}: a name is there twice"
            );
            for scheme in KeyScheme::ALL {
                check(
                    &manifest,
                    scheme,
                    mode,
                    &format!("{variant} {scheme} {mode:?}"),
                );
            }
        }
    }
}

fn check(manifest: &Manifest, scheme: KeyScheme, mode: Mode, case: &str) {
    // By key, what of its tensor is used, and by how many values the tensor has.
    let mut used: BTreeMap<String, (usize, Vec<(usize, usize)>)> = BTreeMap::new();
    for param in manifest.params() {
        let pieces = scheme.pieces(param, mode);
        let classification = [
            "cls_token",
            "norm.weight",
            "norm.bias",
            "head.weight",
            "head.bias",
        ];
        if scheme == KeyScheme::Mmdetection && classification.contains(&&*param.name) {
            assert!(pieces.is_empty(), "{case}: {}", param.name);
            continue;
        }
        for form in 0..2 {
            let values = pieces
                .iter()
                .filter_map(|p| Some(p.forms.get(form)?.elements.len()));
            let values: usize = values.sum();
            assert!(
                values == param.elements() || form > 0 && values == 0,
                "{case}: {}",
                param.name
            );
        }
        for piece in pieces {
            assert!(!piece.key.contains(['{', '}']), "{case}: {}", piece.key);
            assert_eq!(scheme.canonical(&piece.key, "").as_ref(), Some(&piece.key));
            let form = &piece.forms[0];
            let entry = used.entry(piece.key).or_default();
            entry.0 = form.shape.iter().product();
            entry.1.push((form.elements.start, form.elements.end));
        }
    }
    for (key, (size, mut ranges)) in used {
        ranges.sort_unstable();
        let mut end = ranges[0].0;
        let skips_class_row = mode == Mode::Backbone && end > 0;
        assert!(
            end == 0 || skips_class_row && key.contains("pos"),
            "{case}: {key}"
        );
        for range in ranges {
            assert_eq!(range.0, end, "{case}: {key} has a hole or an overlap");
            end = range.1;
        }
        assert_eq!(end, size, "{case}: {key} is not used to its end");
    }
}

#[test]
fn patterns_are_filled_in() {
    let manifest = Manifest::for_config(&Variant::Tiny.config(), Mode::Classify).unwrap();
    let keys = |name: &str, scheme: KeyScheme| {
        let param = manifest.params().iter().find(|p| p.name == name).unwrap();
        let pieces = scheme.pieces(param, Mode::Classify);
        pieces
            .into_iter()
            .map(|p| (p.key, p.forms[0].elements.clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        keys("block3.1.attn.kv.weight", KeyScheme::HuggingFace),
        [
            (
                "encoder.block.2.1.attention.self.key.weight".to_owned(),
                0..320 * 320
            ),
            (
                "encoder.block.2.1.attention.self.value.weight".to_owned(),
                0..320 * 320
            ),
        ]
    );
    assert_eq!(
        keys("block3.1.attn.kv.weight", KeyScheme::Mmdetection),
        [(
            "layers.2.1.2.attn.attn.in_proj_weight".to_owned(),
            320 * 320..3 * 320 * 320
        )]
    );
    assert_eq!(
        keys("block1.0.attn.q.bias", KeyScheme::Mmdetection),
        [("layers.0.1.1.attn.attn.in_proj_bias".to_owned(), 0..64)]
    );
    assert_eq!(
        keys("cls_token", KeyScheme::HuggingFace),
        [("encoder.patch_embeddings.3.cls_token".to_owned(), 0..512)]
    );
}
