//! Bounds of approximations.

/// The f32 in the low half of 64 bits.
pub(crate) fn single_of(bits: u64) -> f32 {
    f32::from_bits(u32::try_from(bits & 0xffff_ffff).unwrap())
}

/// Whether `found` is at most `ulps` of f32 from the correctly rounded `exact`.
pub(crate) fn within_ulps(found: f64, exact: f64, ulps: f64, ftz: bool) -> Result<(), String> {
    let least = f64::from(f32::MIN_POSITIVE);
    if exact.is_nan() || found.is_nan() {
        return if exact.is_nan() && found.is_nan() {
            Ok(())
        } else {
            Err(format!("{found:e}, expected {exact:e}"))
        };
    }
    let size = exact.abs();
    let ulp = (size.log2().floor().max(-126.0) - 23.0).exp2();
    let overflows = size >= f64::from(f32::MAX) - 2.0 * 2_f64.powi(104);
    let right = if size.is_infinite() || found.is_infinite() {
        found.is_infinite() && overflows && found.is_sign_negative() == exact.is_sign_negative()
    } else if size == 0.0 {
        found == 0.0 && found.is_sign_negative() == exact.is_sign_negative()
    } else if ftz && size < least * (1.0 + 4.0 * f64::from(f32::EPSILON)) && found == 0.0 {
        true
    } else if ftz && size < least * (1.0 - 4.0 * f64::from(f32::EPSILON)) {
        false
    } else {
        (found - exact).abs() <= (ulps + 0.5) * ulp
    };
    if right {
        Ok(())
    } else {
        Err(format!("{found:e}, expected {exact:e} within {ulps} ulp"))
    }
}
