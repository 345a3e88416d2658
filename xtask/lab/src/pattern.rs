//! Bytes whose value follows from their position, so that either end notices what is lost, doubled or damaged.

use bytes::Bytes;

/// Prime, so that no lost segment or page shifts the pattern onto itself.
const PERIOD: u64 = 251;

fn byte_at(position: u64) -> u8 {
    // Below 251, so it fits.
    u8::try_from(position % PERIOD).unwrap_or_default()
}

/// The bytes of a body from a position on.
pub(crate) fn bytes(position: u64, length: usize) -> Bytes {
    (position..).take(length).map(byte_at).collect()
}

/// The position of the first byte that differs from the pattern.
pub(crate) fn first_difference(position: u64, data: &[u8]) -> Option<u64> {
    (position..)
        .zip(data)
        .find(|(position, byte)| byte_at(*position) != **byte)
        .map(|(position, _)| position)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hole_of_any_length_is_noticed() {
        let whole = bytes(0, 4000);
        assert_eq!(first_difference(0, &whole), None);
        assert_eq!(first_difference(1448, &whole[1448..]), None);
        for hole in [1, 250, 512, 1448, 2048] {
            let torn = [&whole[..100], &whole[100 + hole..]].concat();
            assert_eq!(first_difference(0, &torn), Some(100), "{hole}");
        }
    }
}
