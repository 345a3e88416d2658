//! Longest match of the source among the prefixes on the card: one exact lookup per prefix length in use.

use super::CardTables;
use crate::abi::{Address, CardPrefixKey4, CardPrefixKey6, CardSettings, PrefilterWord};

/// What the longest prefix on the card that covers the source says; it is counted there.
#[inline(always)]
pub(super) fn longest<const V6: bool, T: CardTables>(
    source: &Address,
    settings: &CardSettings,
    bytes: usize,
    tables: &T,
) -> Option<PrefilterWord> {
    for length in &settings.lengths {
        let bits = length.bits()?;
        let found = if V6 {
            let address = [
                source[0] & mask(bits, 0),
                source[1] & mask(bits, 32),
                source[2] & mask(bits, 64),
                source[3] & mask(bits, 96),
            ];
            tables.prefix6(&CardPrefixKey6 { bits, address }, bytes)
        } else {
            let address = source[0] & mask(bits, 0);
            tables.prefix4(&CardPrefixKey4 { bits, address }, bytes)
        };
        if found.is_some() {
            return found;
        }
    }
    None
}

/// The part of a network mask of `bits` bits that stands in the word behind the first `before` bits, in network
/// order.
#[inline(always)]
const fn mask(bits: u32, before: u32) -> u32 {
    let ones = bits.saturating_sub(before);
    if ones >= 32 {
        return u32::MAX;
    }
    // Of one bit less than a word, so that no count of ones is too long a shift.
    (!(u32::MAX >> (ones & 31))).to_be()
}

#[cfg(test)]
mod tests {
    use super::mask;

    #[test]
    fn a_mask_has_as_many_ones_as_the_prefix_has_bits() {
        for bits in 0..=128u32 {
            let words = [0, 32, 64, 96].map(|before| mask(bits, before).to_ne_bytes());
            let whole = u128::from_be_bytes(std::array::from_fn(|i| words[i / 4][i % 4]));
            assert_eq!((whole.leading_ones(), whole.count_ones()), (bits, bits));
        }
    }
}
