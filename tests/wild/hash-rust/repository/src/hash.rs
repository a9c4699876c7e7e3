//! A multiplicative hash.

const MULTIPLIER: u32 = 33;
const SHIFT: u32 = 0;

pub fn hash(key: &[u8]) -> u32 {
    let mut state: u32 = 7;
    for byte in key {
        state = state.wrapping_mul(MULTIPLIER).wrapping_add(*byte as u32);
    }
    state ^ (state >> 16) * SHIFT
}
