//! Configurations and image processors as JSON.

mod hugging_face;
mod own;
mod value;
mod write;

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::{ConfigError, Preprocess, PvtConfig};
use value::Object;

/// Longest configuration file that is read, in bytes.
pub const MAX_JSON_BYTES: u64 = 1 << 20;

impl PvtConfig {
    /// Reads a configuration, in the schema of this project (with a `family` key) or of Hugging
    /// Face (with a `model_type` key), and checks it.
    ///
    /// # Errors
    /// The first thing found wrong: the JSON itself, a key, a value, or sizes that
    /// [`validate`](Self::validate) refuses.
    pub fn from_json(text: &str) -> Result<Self, ConfigError> {
        let object = Object::parse(text)?;
        let config = if object.has("model_type") {
            hugging_face::config(&object)?
        } else if object.has("family") {
            own::config(&object)?
        } else {
            return Err(ConfigError::MissingKey {
                key: "family".to_owned(),
                expected: "\"family\": \"pvt_v1\", or \"model_type\": \"pvt\" as Hugging Face writes",
            });
        };
        config.validate()?;
        Ok(config)
    }

    /// [`from_json`](Self::from_json) of a file of at most [`MAX_JSON_BYTES`].
    ///
    /// # Errors
    /// [`ConfigError::Io`], [`ConfigError::TooLong`], and those of `from_json`.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        Self::from_json(&read(path.as_ref())?)
    }
}

impl Preprocess {
    /// Reads Hugging Face's `preprocessor_config.json`. Where it does not say how to interpolate,
    /// bilinear is meant.
    ///
    /// # Errors
    /// The first thing found wrong: the JSON itself, a value, or a step that is not offered.
    pub fn from_hf_json(text: &str) -> Result<Self, ConfigError> {
        let preprocess = hugging_face::preprocess(&Object::parse(text)?)?;
        preprocess.validate()?;
        Ok(preprocess)
    }
}

fn read(path: &Path) -> Result<String, ConfigError> {
    let io = |source| ConfigError::Io {
        path: path.to_owned(),
        source,
    };
    let mut text = String::new();
    let file = File::open(path).map_err(io)?;
    file.take(MAX_JSON_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(io)?;
    if text.len() as u64 > MAX_JSON_BYTES {
        return Err(ConfigError::TooLong {
            path: path.to_owned(),
            limit: MAX_JSON_BYTES,
        });
    }
    Ok(text)
}
