//! The same code for processors of different width, chosen where it runs.
//!
//! Loops without a branch become vector instructions. What is compiled for any processor of a kind can use only those
//! that each of them has: on x86-64, sixteen bytes at once. [`widest`] has a kernel compiled once more, for processors with
//! AVX2, and takes that where it can. It is the same code, of whole numbers: so it gives the same.

/// What looks at many bytes or numbers in a row.
pub trait Kernel {
    /// What comes of it.
    type Output;

    /// Does it. This and all that it spends its time in has to be `#[inline(always)]`: what is not inlined is compiled
    /// for any processor.
    fn run(self) -> Self::Output;
}

/// Runs a kernel with the widest vectors that this processor has.
#[inline]
pub fn widest<K: Kernel>(kernel: K) -> K::Output {
    #[cfg(target_arch = "x86_64")]
    if wide::is_here() {
        return wide::run(kernel);
    }
    kernel.run()
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "what is compiled for more than the least processor is called by promise only")]
mod wide {
    use super::Kernel;

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
        kernel.run()
    }
}
