//! The container by itself.

use pvt_cuda::weights::{Dtype, TensorFile, WeightsError};

use crate::support::{Raw, Raws, file_of, file_with, reference};

#[test]
fn tensors_are_listed_by_name() {
    let file = TensorFile::open(reference("model.safetensors")).unwrap();
    let names: Vec<&str> = file.names().collect();
    assert_eq!(names.len(), 111);
    assert!(names.is_sorted());
    assert_eq!(file.metadata()["naming"], "official");
    assert!(file.name().ends_with("model.safetensors"));
    let tensor = file.get("patch_embed1.proj.weight").unwrap();
    assert_eq!(
        (tensor.shape, tensor.dtype),
        (&[16, 3, 4, 4][..], Dtype::F32)
    );
    assert_eq!((tensor.elements(), tensor.bytes.len()), (768, 3072));
    assert!(file.get("patch_embed1").is_none());
}

#[test]
fn values_are_read_at_any_alignment() {
    for padding in 0..4 {
        let header = format!(
            r#"{{"a":{{"dtype":"F32","shape":[2],"data_offsets":[0,8]}},"b":{{"dtype":"I64","shape":[1],"data_offsets":[8,16]}}}}{}"#,
            " ".repeat(padding)
        );
        let values = [1.5f32.to_le_bytes(), (-2.0f32).to_le_bytes()].concat();
        let bytes = file_of(&header, &[&values[..], &7i64.to_le_bytes()].concat());
        let file = TensorFile::from_bytes(bytes, "made").unwrap();
        assert_eq!(file.get("a").unwrap().to_f32().unwrap(), [1.5, -2.0]);
        assert_eq!(file.get("b").unwrap().to_i64().unwrap(), [7]);
    }
}

#[test]
fn types_are_not_guessed() {
    let mut tensors = Raws::new();
    for (dtype, width) in [
        ("F64", 8),
        ("I64", 8),
        ("I32", 4),
        ("U8", 1),
        ("F8_E4M3", 1),
    ] {
        tensors.insert(dtype.to_owned(), Raw::new(dtype, &[2], vec![0; 2 * width]));
    }
    tensors.insert("F4".to_owned(), Raw::new("F4", &[2], vec![0]));
    tensors.insert("F32".to_owned(), Raw::f32(&[], &[1.0]));
    let file = TensorFile::from_bytes(file_with(&tensors), "made").unwrap();
    for (name, tensor) in file.names().map(|name| (name, file.get(name).unwrap())) {
        let as_f32 = tensor.to_f32();
        assert_eq!(as_f32.is_ok(), name == "F32", "{name}");
        assert_eq!(tensor.to_i64().is_ok(), name == "I64", "{name}");
        if let Err(error) = as_f32 {
            assert!(matches!(error, WeightsError::Dtype { .. }));
            let text = error.to_string();
            assert!(
                text.contains(name) && text.contains("F32, F16 or BF16"),
                "{text}"
            );
        }
    }
    let scalar = file.get("F32").unwrap();
    assert_eq!(scalar.to_f32().unwrap(), [1.0]);
    let error = scalar.copy_f32_into(&mut [0.0; 2]).unwrap_err();
    assert!(matches!(
        error,
        WeightsError::Length {
            found: 2,
            expected: 1,
            ..
        }
    ));
}
