//! This project's `config.json`.

use super::value::{Object, Value};
use crate::config::variants::stages;
use crate::config::{
    ConfigError, IMAGENET_MEAN, IMAGENET_STD, Interpolation, LnEps, Preprocess, PvtConfig, Resize,
};
use crate::shape::ImageSize;

/// Keys that describe the model.
const READ: [&str; 15] = [
    "family",
    "in_chans",
    "img_size",
    "num_classes",
    "patch_size",
    "embed_dims",
    "num_heads",
    "depths",
    "mlp_ratios",
    "sr_ratios",
    "qkv_bias",
    "linear",
    "ln_eps",
    "preprocess",
    "labels",
];

/// Keys that say where the model comes from and change nothing.
const INFORMATIONAL: [&str; 7] = [
    "name",
    "seed",
    "input_size",
    "batch",
    "residual_scale",
    "num_parameters",
    "versions",
];

pub(super) fn config(object: &Object) -> Result<PvtConfig, ConfigError> {
    object.only(&[&READ[..], &INFORMATIONAL[..]].concat())?;
    family(object)?;
    let per_stage = |key| object.require(key, "a list of four numbers")?.per_stage();
    let patch_sizes = match object.get("patch_size") {
        None => [4, 2, 2, 2],
        Some(value) if value.is_list() => value.per_stage()?,
        Some(value) => [value.usize()?, 2, 2, 2],
    };
    Ok(PvtConfig {
        in_chans: object.get("in_chans").map_or(Ok(3), |v| v.usize())?,
        img_size: image_size(&object.require("img_size", "pixels per side, or [height, width]")?)?,
        num_classes: object
            .require("num_classes", "the number of classes")?
            .usize()?,
        qkv_bias: object.get("qkv_bias").map_or(Ok(true), |v| v.bool())?,
        ln_eps: object
            .get("ln_eps")
            .map_or(Ok(LnEps::OFFICIAL), |v| ln_eps(&v))?,
        stages: stages(
            per_stage("embed_dims")?,
            per_stage("num_heads")?,
            per_stage("depths")?,
            per_stage("mlp_ratios")?,
            per_stage("sr_ratios")?,
            patch_sizes,
        ),
        preprocess: object
            .get("preprocess")
            .map(|v| preprocess(&v.object()?))
            .transpose()?,
        labels: object.get("labels").map(|v| labels(&v)).transpose()?,
    })
}

/// Refuses everything but the first version.
fn family(object: &Object) -> Result<(), ConfigError> {
    let family = object.require("family", "\"pvt_v1\"")?.text()?;
    match family {
        "pvt_v1" => {}
        "pvt_v2" => {
            return Err(ConfigError::NotYetSupported {
                what: format!("family \"{family}\""),
            });
        }
        _ => {
            let valid = ["pvt_v1", "pvt_v2"];
            return Err(ConfigError::unknown_name("family", family, family, &valid));
        }
    }
    if object.get("linear").map_or(Ok(false), |v| v.bool())? {
        return Err(ConfigError::NotYetSupported {
            what: "\"linear\": true".to_owned(),
        });
    }
    Ok(())
}

/// A side, or `[height, width]`.
pub(super) fn image_size(value: &Value<'_>) -> Result<ImageSize, ConfigError> {
    if value.is_list() {
        let [height, width] = value.array(Value::usize)?;
        Ok(ImageSize { height, width })
    } else if value.is_number() {
        Ok(ImageSize::square(value.usize()?))
    } else {
        Err(value.wrong_type("pixels per side, or [height, width]"))
    }
}

/// One number for every norm, or an object with a number for each kind.
fn ln_eps(value: &Value<'_>) -> Result<LnEps, ConfigError> {
    if value.is_number() {
        return Ok(LnEps::uniform(value.f32()?));
    }
    let object = value.object()?;
    object.only(&["patch_embed", "sr", "block", "final"])?;
    let eps = |key, default| object.get(key).map_or(Ok(default), |v| v.f32());
    Ok(LnEps {
        patch_embed: eps("patch_embed", LnEps::OFFICIAL.patch_embed)?,
        sr: eps("sr", LnEps::OFFICIAL.sr)?,
        block: eps("block", LnEps::OFFICIAL.block)?,
        final_norm: eps("final", LnEps::OFFICIAL.final_norm)?,
    })
}

fn preprocess(object: &Object) -> Result<Preprocess, ConfigError> {
    object.only(&["resize", "crop", "interpolation", "mean", "std"])?;
    let channels = |key, default| object.get(key).map_or(Ok(default), |v| v.array(Value::f32));
    Ok(Preprocess {
        resize: match object.get("resize") {
            None => Resize::None,
            Some(value) if value.is_list() => Resize::Exact(image_size(&value)?),
            Some(value) => Resize::ShorterSide(value.usize()?),
        },
        crop: object.get("crop").map(|v| v.usize()).transpose()?,
        interpolation: object
            .get("interpolation")
            .map_or(Ok(Interpolation::Bilinear), |v| v.text()?.parse())?,
        mean: channels("mean", IMAGENET_MEAN)?,
        std: channels("std", IMAGENET_STD)?,
    })
}

fn labels(value: &Value<'_>) -> Result<Vec<String>, ConfigError> {
    let items = value.list()?;
    items.iter().map(|v| v.text().map(str::to_owned)).collect()
}
