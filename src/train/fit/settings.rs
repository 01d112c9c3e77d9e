//! What a run is: the folder that it has to itself, and the settings that it must keep.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::path::Path;

use serde_json::Value;

use super::Job;
use crate::error::Result;
use crate::train::TrainError;
use crate::train::checkpoint::io;

const LOCK: &str = ".lock";

/// Makes the folder and keeps other processes out of it until the file is closed, by whatever ends
/// the process.
pub(super) fn lock(folder: &Path) -> Result<File, TrainError> {
    fs::create_dir_all(folder).map_err(io(folder, "made"))?;
    let path = folder.join(LOCK);
    let file = File::create(&path).map_err(io(&path, "written"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(TrainError::Busy {
            folder: folder.to_owned(),
        }),
        Err(TryLockError::Error(error)) => Err(io(&path, "locked")(error)),
    }
}

/// Everything that the result of a run depends on, by name.
pub(super) fn settings(job: &Job<'_>) -> Result<BTreeMap<String, Value>> {
    let describe = |error: serde_json::Error| TrainError::State {
        detail: error.to_string(),
    };
    let mut settings = BTreeMap::new();
    let recipe = serde_json::to_value(job.recipe).map_err(describe)?;
    flatten("", &recipe, &mut settings);
    let config = serde_json::from_str(&job.config.to_json()).map_err(describe)?;
    flatten("config", &config, &mut settings);
    for (name, value) in job.identity {
        settings.insert(name.clone(), Value::String(value.clone()));
    }
    Ok(settings)
}

/// Entries of objects under their paths, with dots between.
fn flatten(path: &str, value: &Value, into: &mut BTreeMap<String, Value>) {
    if let Value::Object(entries) = value {
        for (key, value) in entries {
            let path = match path {
                "" => key.clone(),
                _ => format!("{path}.{key}"),
            };
            flatten(&path, value, into);
        }
    } else {
        into.insert(path.to_owned(), value.clone());
    }
}
