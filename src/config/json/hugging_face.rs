//! Hugging Face's `config.json` and `preprocessor_config.json`.

use super::own::image_size;
use super::value::{Object, Value};
use crate::config::variants::stages;
use crate::config::{
    ConfigError, IMAGENET_MEAN, IMAGENET_STD, Interpolation, LnEps, Preprocess, PvtConfig, Resize,
    STAGES,
};
use crate::shape::ImageSize;

/// Defaults are those of transformers' `PvtConfig`. Keys it does not know are left alone: the
/// library writes dozens that have nothing to do with the model.
pub(super) fn config(object: &Object) -> Result<PvtConfig, ConfigError> {
    let model_type = object.require("model_type", "\"pvt\"")?.text()?;
    match model_type {
        "pvt" => {}
        "pvt_v2" => {
            return Err(ConfigError::NotYetSupported {
                what: format!("model_type \"{model_type}\""),
            });
        }
        _ => {
            let valid = ["pvt", "pvt_v2"];
            return Err(ConfigError::unknown_name(
                "model_type",
                model_type,
                model_type,
                &valid,
            ));
        }
    }
    if let Some(act) = object.get("hidden_act")
        && act.text()? != "gelu"
    {
        return Err(ConfigError::out_of_range("hidden_act", act.text()?, "gelu"));
    }
    if let Some(count) = object.get("num_encoder_blocks")
        && count.usize()? != STAGES
    {
        return Err(ConfigError::out_of_range(
            "num_encoder_blocks",
            count.usize()?,
            STAGES.to_string(),
        ));
    }
    let require = |key| object.require(key, "a list of four numbers")?.per_stage();
    let or = |key, default| object.get(key).map_or(Ok(default), |v| v.per_stage());
    let patch_sizes = or("patch_sizes", [4, 2, 2, 2])?;
    let strides = or("strides", patch_sizes)?;
    if strides != patch_sizes {
        return Err(ConfigError::out_of_range(
            "strides",
            format!("{strides:?}"),
            format!("{patch_sizes:?}, the same as patch_sizes"),
        ));
    }
    let (num_classes, labels) = classes(object)?;
    Ok(PvtConfig {
        in_chans: object.get("num_channels").map_or(Ok(3), |v| v.usize())?,
        img_size: object
            .get("image_size")
            .map_or(Ok(ImageSize::square(224)), |v| image_size(&v))?,
        num_classes,
        qkv_bias: object.get("qkv_bias").map_or(Ok(true), |v| v.bool())?,
        ln_eps: LnEps::uniform(object.get("layer_norm_eps").map_or(Ok(1e-6), |v| v.f32())?),
        stages: stages(
            require("hidden_sizes")?,
            require("num_attention_heads")?,
            require("depths")?,
            or("mlp_ratios", [8, 8, 4, 4])?,
            or("sequence_reduction_ratios", [8, 4, 2, 1])?,
            patch_sizes,
        ),
        preprocess: None,
        labels,
    })
}

/// Number of classes, and their names where they are more than `LABEL_0`, `LABEL_1` …
fn classes(object: &Object) -> Result<(usize, Option<Vec<String>>), ConfigError> {
    let stated = object.get("num_labels").map(|v| v.usize()).transpose()?;
    let Some(names) = object.get("id2label") else {
        return Ok((stated.unwrap_or(1000), None));
    };
    let names = names.object()?;
    let mut labels = Vec::new();
    for (key, value) in names.entries() {
        let id: usize = key.parse().map_err(|_| {
            ConfigError::out_of_range("a key of id2label", key, "a class index, such as \"0\"")
        })?;
        labels.push((id, value.text()?.to_owned()));
    }
    labels.sort_unstable();
    if let Some((index, (id, _))) = labels
        .iter()
        .enumerate()
        .find(|(index, (id, _))| index != id)
    {
        return Err(ConfigError::out_of_range(
            "a key of id2label",
            id,
            format!("{index}: class indices count up from 0, each once"),
        ));
    }
    if let Some(stated) = stated
        && stated != labels.len()
    {
        return Err(ConfigError::out_of_range(
            "num_labels",
            stated,
            format!("{}, the number of entries in id2label", labels.len()),
        ));
    }
    let named = labels
        .iter()
        .any(|(id, name)| *name != format!("LABEL_{id}"));
    let count = labels.len();
    let labels = named.then(|| labels.into_iter().map(|(_, name)| name).collect());
    Ok((count, labels))
}

pub(super) fn preprocess(object: &Object) -> Result<Preprocess, ConfigError> {
    let flag = |key, default| object.get(key).map_or(Ok(default), |v| v.bool());
    let channels = |key, default| object.get(key).map_or(Ok(default), |v| v.array(Value::f32));
    if !flag("do_rescale", true)? {
        return Err(ConfigError::out_of_range("do_rescale", false, "true"));
    }
    if let Some(factor) = object.get("rescale_factor")
        && (factor.f32()? * 255.0 - 1.0).abs() > 1e-5
    {
        let expected = "1/255 (0.00392156862745098)";
        return Err(ConfigError::out_of_range(
            "rescale_factor",
            factor.f32()?,
            expected,
        ));
    }
    let (mean, std) = if flag("do_normalize", true)? {
        let mean = channels("image_mean", IMAGENET_MEAN)?;
        (mean, channels("image_std", IMAGENET_STD)?)
    } else {
        ([0.0; 3], [1.0; 3])
    };
    let resize = if flag("do_resize", true)? {
        resize(&object.require("size", "pixels per side, or {height, width}")?)?
    } else {
        Resize::None
    };
    let crop = if flag("do_center_crop", false)? {
        Some(crop(&object.require("crop_size", "pixels per side")?)?)
    } else {
        None
    };
    let interpolation = match object.get("resample").map_or(Ok(2), |v| v.usize())? {
        2 => Interpolation::Bilinear,
        3 => Interpolation::Bicubic,
        other => {
            return Err(ConfigError::out_of_range(
                "resample",
                other,
                "2 (bilinear) or 3 (bicubic)",
            ));
        }
    };
    Ok(Preprocess {
        resize,
        crop,
        interpolation,
        mean,
        std,
    })
}

/// `224`, `{"height": 224, "width": 224}` or `{"shortest_edge": 256}`.
fn resize(value: &Value<'_>) -> Result<Resize, ConfigError> {
    if value.is_number() {
        return Ok(Resize::Exact(ImageSize::square(value.usize()?)));
    }
    let size = value.object()?;
    if let Some(edge) = size.get("shortest_edge") {
        size.only(&["shortest_edge"])?;
        return Ok(Resize::ShorterSide(edge.usize()?));
    }
    exact(&size).map(Resize::Exact)
}

fn exact(size: &Object) -> Result<ImageSize, ConfigError> {
    size.only(&["height", "width", "shortest_edge"])?;
    Ok(ImageSize {
        height: size.require("height", "pixels")?.usize()?,
        width: size.require("width", "pixels")?.usize()?,
    })
}

/// A square, as a side or as `{height, width}`.
fn crop(value: &Value<'_>) -> Result<usize, ConfigError> {
    if value.is_number() {
        return value.usize();
    }
    let size = exact(&value.object()?)?;
    if size.height == size.width {
        Ok(size.height)
    } else {
        Err(ConfigError::out_of_range(value.path(), size, "a square"))
    }
}
