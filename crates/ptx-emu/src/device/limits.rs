//! What a device allows a launch to be.

use crate::device::{Device, Launch, LaunchError};
use crate::program::Program;

impl Device {
    /// Blocks of a cluster, if the launch or the kernel asks for clusters.
    pub(super) fn check_limits(
        &self,
        program: &Program,
        launch: &Launch,
    ) -> Result<Option<[u32; 3]>, LaunchError> {
        let spec = &self.spec;
        let threads = launch.block.iter().map(|n| u64::from(*n)).product::<u64>();
        let sides = launch.block.iter().zip(&spec.max_block);
        if threads == 0
            || threads > u64::from(spec.max_threads_per_block)
            || sides.clone().any(|(n, most)| n > most)
        {
            return Err(LaunchError::Block {
                block: launch.block,
                most: spec.max_threads_per_block,
                sides: spec.max_block,
                device: spec.name.clone(),
            });
        }
        if program.max_threads.is_some_and(|most| threads > most) {
            return Err(LaunchError::LaunchBounds {
                threads,
                most: program.max_threads.unwrap_or(0),
                kernel: program.name.clone(),
            });
        }
        if program.required_block.is_some_and(|r| r != launch.block) {
            return Err(LaunchError::RequiredBlock {
                block: launch.block,
                required: program.required_block.unwrap_or_default(),
            });
        }
        let mut sides = launch.grid.iter().zip(&spec.max_grid);
        if sides.any(|(n, most)| *n == 0 || n > most) {
            return Err(LaunchError::Grid {
                grid: launch.grid,
                sides: spec.max_grid,
                device: spec.name.clone(),
            });
        }
        self.check_shared(program, launch)?;
        let cluster = launch.cluster.or(program.cluster);
        if let Some(cluster) = cluster {
            let blocks = cluster.iter().map(|n| u64::from(*n)).product::<u64>();
            let whole = launch.grid.iter().zip(&cluster);
            if blocks == 0
                || blocks > u64::from(spec.max_cluster_blocks_opt_in)
                || whole.clone().any(|(n, side)| n % side != 0)
                || spec.compute_capability.0 < 9
            {
                return Err(LaunchError::Cluster {
                    cluster,
                    grid: launch.grid,
                    most: spec.max_cluster_blocks_opt_in,
                    device: spec.name.clone(),
                });
            }
        }
        Ok(cluster)
    }

    fn check_shared(&self, program: &Program, launch: &Launch) -> Result<(), LaunchError> {
        let spec = &self.spec;
        let too_much = |requested: u64, most: u32| LaunchError::SharedMemory {
            requested,
            stat: program.static_shared,
            most,
            device: spec.name.clone(),
        };
        if program.static_shared > spec.shared_bytes_per_block {
            let requested = u64::from(program.static_shared);
            return Err(too_much(requested, spec.shared_bytes_per_block));
        }
        let requested = u64::from(program.static_shared) + u64::from(launch.shared);
        if requested > u64::from(spec.shared_bytes_per_block_opt_in) {
            return Err(too_much(requested, spec.shared_bytes_per_block_opt_in));
        }
        Ok(())
    }
}
