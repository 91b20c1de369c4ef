//! The same code for processors of different width, chosen where it runs.
//!
//! Loops without a branch become vector instructions. What is compiled for any processor of a kind can use only those
//! that each of them has: on x86-64, sixteen bytes at once. [`widest`] has a kernel compiled once more, for processors with
//! AVX2, and takes that where it can. It is the same code, of whole numbers: so it gives the same.

/// How many bytes are looked at at once: as many as a number has bits.
pub const BLOCK: usize = 64;

/// What looks at many bytes or numbers in a row.
pub trait Kernel {
    /// What comes of it.
    type Output;

    /// Does it with vectors of some width. This and all that it spends its time in has to be `#[inline(always)]`: what is
    /// not inlined is compiled for any processor.
    fn run<W: Width>(self) -> Self::Output;
}

/// What processors of some width have an instruction for that no loop becomes.
pub trait Width {
    /// The highest bits of the bytes of a block in one number, that of the first byte lowest.
    fn high_bits(block: &[u8; BLOCK]) -> u64;
}

/// Any processor.
pub struct Any;

impl Width for Any {
    #[inline(always)]
    fn high_bits(block: &[u8; BLOCK]) -> u64 {
        let eights = block.chunks_exact(8).map(|eight| u64::from_le_bytes(eight.try_into().expect("eight bytes")));
        // The product brings one bit of each of eight bytes together in the highest byte.
        let bits = eights.map(|eight| (eight >> 7 & 0x0101_0101_0101_0101).wrapping_mul(0x0102_0408_1020_4080) >> 56);
        bits.zip((0..).step_by(8)).fold(0, |all, (eight, shift)| all | eight << shift)
    }
}

/// All bits for `true`, none for `false`: what comparing vectors gives.
#[inline(always)]
pub fn mask(is: bool) -> u8 {
    0u8.wrapping_sub(u8::from(is))
}

/// The `N` bytes from `at` on. Where there are fewer, `padded` is given, with what there is and zeros after it.
#[inline(always)]
pub fn bytes_at<'b, const N: usize>(bytes: &'b [u8], at: usize, padded: &'b mut [u8; N]) -> &'b [u8; N] {
    let rest = bytes.get(at..).unwrap_or_default();
    if let Some(whole) = rest.first_chunk() {
        return whole;
    }
    padded.fill(0);
    padded[..rest.len()].copy_from_slice(rest);
    padded
}

/// Runs a kernel with the widest vectors that this processor has.
#[inline]
pub fn widest<K: Kernel>(kernel: K) -> K::Output {
    #[cfg(target_arch = "x86_64")]
    if wide::is_here() {
        return wide::run(kernel);
    }
    kernel.run::<Any>()
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "what is compiled for more than the least processor is called by promise only")]
mod wide {
    use std::arch::x86_64::{_mm256_loadu_si256, _mm256_movemask_epi8};

    use super::{BLOCK, Kernel, Width};

    /// Processors with AVX2. Not known outside of this module, so that nobody else runs a kernel with it.
    struct Avx2;

    impl Width for Avx2 {
        #[inline(always)]
        fn high_bits(block: &[u8; BLOCK]) -> u64 {
            let (halves, _) = block.as_chunks::<{ BLOCK / 2 }>();
            // Not by a closure: one is compiled for any processor, and then each half is a call.
            // SAFETY: only `with_avx2` runs kernels of this width, and it runs where there is AVX2; each half is as long
            // as such a vector, and need not be aligned.
            let (first, second) = unsafe {
                (
                    _mm256_movemask_epi8(_mm256_loadu_si256(halves[0].as_ptr().cast())),
                    _mm256_movemask_epi8(_mm256_loadu_si256(halves[1].as_ptr().cast())),
                )
            };
            u64::from(first.cast_unsigned()) | u64::from(second.cast_unsigned()) << 32
        }
    }

    /// Whether this processor has all that [`with_avx2`] is compiled for. Looked up once and remembered.
    #[inline]
    pub(super) fn is_here() -> bool {
        is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("lzcnt")
            && is_x86_feature_detected!("popcnt")
    }

    #[inline]
    pub(super) fn run<K: Kernel>(kernel: K) -> K::Output {
        debug_assert!(is_here());
        // SAFETY: the only caller has just seen that this processor has what the function is compiled for.
        unsafe { with_avx2(kernel) }
    }

    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    fn with_avx2<K: Kernel>(kernel: K) -> K::Output {
        kernel.run::<Avx2>()
    }

    #[cfg(test)]
    mod tests {
        use proptest::prelude::*;

        use super::super::{Any, widest};
        use super::*;

        struct HighBits<'b>(&'b [u8; BLOCK]);

        impl Kernel for HighBits<'_> {
            type Output = u64;

            #[inline(always)]
            fn run<W: Width>(self) -> u64 {
                W::high_bits(self.0)
            }
        }

        proptest! {
            #[test]
            fn high_bits_are_those_of_the_bytes_in_order(block in prop::array::uniform32(any::<[u8; 2]>())) {
                let block: [u8; BLOCK] = block.concat().try_into().expect("64 bytes");
                let expected = (0..BLOCK).fold(0, |all, i| all | u64::from(block[i] >> 7) << i);
                prop_assert_eq!(HighBits(&block).run::<Any>(), expected);
                prop_assert_eq!(widest(HighBits(&block)), expected);
            }
        }
    }
}
