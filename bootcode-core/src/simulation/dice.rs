//! Chance, by seed.

/// SplitMix64 (Steele, Lea and Flood 2014): the same numbers for the same seed, everywhere.
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 bits.
    pub(super) const fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From 0 to below `sides`.
    pub(super) const fn roll(&mut self, sides: u64) -> u64 {
        if sides == 0 { 0 } else { self.bits() % sides }
    }

    /// From `least` to `most`.
    pub(super) const fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.roll(most - least + 1)
    }

    /// In so many of a thousand cases.
    pub(super) const fn chance(&mut self, in_thousand: u64) -> bool {
        self.roll(1000) < in_thousand
    }

    /// One of them; `None` of none.
    pub(super) fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        let place = self.roll(of.len() as u64);
        of.get(usize::try_from(place).unwrap_or(0))
    }

    /// Another die that this one's further throws do not change.
    pub(super) const fn fork(&mut self) -> Self {
        Self(self.bits())
    }
}
