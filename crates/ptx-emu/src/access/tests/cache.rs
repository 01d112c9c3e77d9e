//! What is kept of earlier requests.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::{FULL, active, random_request};
use crate::access::{Pattern, PatternCache, Spot};
use crate::exec::access::{Memory, Pointers, Reached};
use crate::lanes::{Lane, Lanes, Registers};

#[test]
fn cache_returns_what_the_pattern_is() {
    let mut rng = StdRng::seed_from_u64(11);
    for kinds in [1, 3, 8, 12] {
        let requests: Vec<_> = (0..kinds).map(|_| random_request(&mut rng)).collect();
        let mut cache = PatternCache::default();
        for _ in 0..2000 {
            let (mut mask, bytes, mut addresses) = requests[rng.random_range(0..kinds)];
            for lane in active(!mask) {
                addresses[lane] = rng.random();
            }
            let shift = rng.random_range(0..1000_u64) * if rng.random() { 32 } else { 4 };
            for lane in active(mask) {
                addresses[lane] += shift;
            }
            match rng.random_range(0..20) {
                0 => addresses[rng.random_range(0..32)] ^= 1 << rng.random_range(0..64),
                1 => mask ^= 1 << rng.random_range(0..32),
                _ => {}
            }
            let expected = Pattern::of(mask, bytes, &addresses);
            let found = cache.find(mask, bytes, &addresses);
            assert_eq!(found.and_then(|()| cache.recent()), expected.as_ref());
        }
    }
}

/// Registers in which slots 0 and 1 hold 64-bit addresses, slot 2 their low halves.
fn registers(addresses: &[u64; 32]) -> Registers {
    let mut regs = Registers {
        slots: vec![Lanes::ZERO; 3],
        preds: Vec::new(),
    };
    u64::store(&mut regs, 0, FULL, addresses);
    let low = addresses.map(|address| address as u32);
    u32::store(&mut regs, 2, FULL, &low);
    regs
}

/// A request goes where the one before went only if it lies as that did, and in the same memory.
#[test]
fn the_same_way_again() {
    let mut rng = StdRng::seed_from_u64(12);
    let (mut followed, mut refused) = (0, 0);
    for _ in 0..20_000 {
        let (mask, bytes, mut addresses) = random_request(&mut rng);
        let Some(pattern) = Pattern::of(mask, bytes, &addresses) else {
            continue;
        };
        let start = 0x10_0000_0000;
        let len = 16_384;
        let narrow = rng.random_bool(0.3);
        let memory = Memory::Global(3);
        let mut cache = PatternCache::default();
        cache.find(mask, bytes, &addresses).unwrap();
        let (low, high) = (
            i64::from(pattern.steps.low()),
            i64::from(pattern.steps.high()),
        );
        let start = if narrow { 0x8000 } else { start };
        cache.note(Spot {
            memory,
            start,
            bases: start.wrapping_add_signed(-low)..(start + len + 1).wrapping_add_signed(-high),
        });
        // elsewhere in the memory, at its edges, or beyond them
        let shift = rng.random_range(-40..600_i64) * 32;
        for address in &mut addresses {
            *address = address.wrapping_add_signed(shift) - 0x10_0000_0000 + start;
        }
        if rng.random_bool(0.2) {
            addresses[rng.random_range(0..32)] ^= 1 << rng.random_range(0..32);
        }
        for lane in active(!mask) {
            addresses[lane] = rng.random();
        }
        let inside = active(mask).all(|lane| {
            let from = addresses[lane].wrapping_sub(start);
            from < len && from + u64::from(bytes) <= len
        });
        let same = inside && Pattern::of(mask, bytes, &addresses).as_ref() == Some(&pattern);
        let regs = registers(&addresses);
        let pointers = Pointers {
            slot: if narrow { 2 } else { 0 },
            narrow,
            offset: 0,
        };
        let base = addresses[mask.trailing_zeros() as usize];
        let found = cache.again(mask, bytes, base, &regs, pointers);
        let offset = base.wrapping_sub(start) as usize;
        assert_eq!(found, same.then_some(Reached { memory, offset }));
        followed += u32::from(same);
        refused += u32::from(!same);
    }
    assert!(followed > 2000 && refused > 2000, "{followed} {refused}");
}
