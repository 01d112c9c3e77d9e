//! Names of special registers (PTX ISA 10).

use crate::program::Special;

/// The special register of this name, if its value is fixed while a warp runs.
pub(crate) fn named(name: &str) -> Option<Special> {
    let (base, side) = match name.rsplit_once('.') {
        Some((base, "x")) => (base, Some(0)),
        Some((base, "y")) => (base, Some(1)),
        Some((base, "z")) => (base, Some(2)),
        _ => (name, None),
    };
    let of_side: Option<fn(u8) -> Special> = match base {
        "%tid" => Some(Special::Tid),
        "%ntid" => Some(Special::Ntid),
        "%ctaid" => Some(Special::Ctaid),
        "%nctaid" => Some(Special::Nctaid),
        "%clusterid" => Some(Special::ClusterId),
        "%nclusterid" => Some(Special::NclusterId),
        "%cluster_ctaid" => Some(Special::ClusterCtaid),
        "%cluster_nctaid" => Some(Special::ClusterNctaid),
        _ => None,
    };
    if let Some(of_side) = of_side {
        return side.map(of_side);
    }
    Some(match name {
        "%laneid" => Special::LaneId,
        "%warpid" => Special::WarpId,
        "%nwarpid" => Special::NwarpId,
        "%lanemask_eq" => Special::MaskEq,
        "%lanemask_lt" => Special::MaskLt,
        "%lanemask_le" => Special::MaskLe,
        "%lanemask_gt" => Special::MaskGt,
        "%lanemask_ge" => Special::MaskGe,
        "%smid" => Special::SmId,
        "%nsmid" => Special::NsmId,
        "%gridid" => Special::GridId,
        "%dynamic_smem_size" => Special::DynamicSharedBytes,
        "%total_smem_size" => Special::TotalSharedBytes,
        "%cluster_ctarank" => Special::ClusterCtaRank,
        "%cluster_nctarank" => Special::ClusterNctaRank,
        _ => return None,
    })
}
