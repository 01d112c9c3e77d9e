//! A configuration as this project's `config.json`.

use serde_json::{Map, Value, json};

use crate::config::{PvtConfig, Resize, StageConfig};
use crate::shape::ImageSize;

impl PvtConfig {
    /// The configuration in the schema of this project; [`from_json`](Self::from_json) of it gives
    /// the same one back.
    pub fn to_json(&self) -> String {
        let per_stage = |field: fn(&StageConfig) -> usize| json!(self.stages.each_ref().map(field));
        let mut out = json!({
            "family": "pvt_v1",
            "in_chans": self.in_chans,
            "img_size": image_size(self.img_size),
            "num_classes": self.num_classes,
            "patch_size": per_stage(|s| s.patch_size),
            "embed_dims": per_stage(|s| s.embed_dim),
            "num_heads": per_stage(|s| s.num_heads),
            "depths": per_stage(|s| s.depth),
            "mlp_ratios": per_stage(|s| s.mlp_ratio),
            "sr_ratios": per_stage(|s| s.sr_ratio),
            "qkv_bias": self.qkv_bias,
            "ln_eps": {
                "patch_embed": decimal(self.ln_eps.patch_embed),
                "sr": decimal(self.ln_eps.sr),
                "block": decimal(self.ln_eps.block),
                "final": decimal(self.ln_eps.final_norm),
            },
        });
        if let Some(preprocess) = &self.preprocess {
            let mut steps = Map::new();
            match preprocess.resize {
                Resize::None => None,
                Resize::ShorterSide(side) => steps.insert("resize".to_owned(), json!(side)),
                Resize::Exact(size) => {
                    let size = json!([size.height, size.width]);
                    steps.insert("resize".to_owned(), size)
                }
            };
            if let Some(crop) = preprocess.crop {
                steps.insert("crop".to_owned(), json!(crop));
            }
            let filter = preprocess.interpolation.to_string();
            steps.insert("interpolation".to_owned(), json!(filter));
            steps.insert("mean".to_owned(), json!(preprocess.mean.map(decimal)));
            steps.insert("std".to_owned(), json!(preprocess.std.map(decimal)));
            out["preprocess"] = Value::Object(steps);
        }
        if let Some(labels) = &self.labels {
            out["labels"] = json!(labels);
        }
        format!("{out:#}\n")
    }
}

/// A side, or `[height, width]`.
fn image_size(size: ImageSize) -> Value {
    if size.height == size.width {
        json!(size.height)
    } else {
        json!([size.height, size.width])
    }
}

/// The shortest decimal that reads as `value`: 0.1 and not 0.10000000149.
fn decimal(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::from(value))
}
