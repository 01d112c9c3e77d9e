//! A plan as text: one line per step.

use std::fmt;

use super::{BufferId, Place, Plan, Step};

impl Plan {
    /// Where a buffer lies and how large it is, such as `ws+0x1c00[200704]`; sizes in elements,
    /// offsets in bytes.
    pub fn describe(&self, id: BufferId) -> String {
        let buffer = &self.buffers[id.index()];
        match buffer.place {
            Place::Input(0) => format!("input[{}]", buffer.len),
            Place::Input(offset) => format!("input+{offset:#x}[{}]", buffer.len),
            Place::Param(offset) => self
                .params
                .iter()
                .find(|p| p.offset == offset)
                .map_or_else(|| format!("param+{offset:#x}"), |p| p.name.clone()),
            Place::Workspace(offset) => {
                format!("ws+{offset:#x}[{}]", buffer.len)
            }
            Place::Grad(offset) => self
                .gradients
                .iter()
                .find(|g| g.offset == offset)
                .map_or_else(|| format!("grad+{offset:#x}"), |g| format!("d {}", g.name)),
        }
    }

    /// Workspace and input buffers of a step, read and written; parameters are left out.
    pub fn activations(&self, step: &Step) -> (Vec<String>, Vec<String>) {
        let (reads, writes) = step.buffers();
        let place = |id: &BufferId| self.buffers[id.index()].place;
        let named = |ids: Vec<BufferId>| {
            ids.iter()
                .filter(|id| !matches!(place(id), Place::Param(_)))
                .map(|&id| self.describe(id))
                .collect()
        };
        (named(reads), named(writes))
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self
            .setup
            .iter()
            .chain(&self.steps)
            .map(|s| s.label.len())
            .max()
            .unwrap_or(0);
        let line = |f: &mut fmt::Formatter<'_>, at: String, step: &Step| {
            let (reads, writes) = self.activations(step);
            writeln!(
                f,
                "{at:>5}  {:width$}  {:10}  {:44}  {:>12}  {:>12}  {} -> {}",
                step.label,
                step.op(),
                step.shapes(),
                step.cost.flops(),
                step.cost.bytes,
                reads.join(" "),
                writes.join(" "),
            )?;
            step.launches.iter().try_for_each(|launch| {
                let [x, y, _] = launch.grid;
                writeln!(
                    f,
                    "{:>5}  {:width$}  {} grid {x}x{y} block {} shared {}",
                    "",
                    "",
                    launch.kernel,
                    launch.threads(),
                    launch.shared
                )
            })
        };
        let head = ["step", "label", "op", "shapes", "FLOPs", "bytes", "buffers"];
        writeln!(
            f,
            "{:>5}  {:width$}  {:10}  {:44}  {:>12}  {:>12}  {}",
            head[0], head[1], head[2], head[3], head[4], head[5], head[6]
        )?;
        for step in &self.setup {
            line(f, "once".to_owned(), step)?;
        }
        for (i, step) in self.steps.iter().enumerate() {
            if self.backward == Some(i) {
                writeln!(f, "{:>5}  backward", "")?;
            }
            line(f, i.to_string(), step)?;
        }
        let cost = self.cost();
        writeln!(
            f,
            "{} steps, {} FLOPs, {} bytes of operands; parameters {} bytes, workspace {} bytes, \
             scratch {} bytes per CPU thread",
            self.steps.len(),
            cost.flops(),
            cost.bytes,
            self.param_bytes(),
            self.workspace_bytes(),
            self.lane_bytes()
        )?;
        match self.backward {
            Some(_) => writeln!(f, "{}", self.memory()),
            None => Ok(()),
        }
    }
}
