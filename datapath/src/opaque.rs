/// Makes the compiler forget what it knows of a number, so that it keeps the bounds check behind it: the
/// verifier doesn't know the ranges of enums.
#[inline(always)]
pub(crate) fn opaque(number: u32) -> u32 {
    #[allow(unsafe_code)]
    // SAFETY: a reference to a live number.
    unsafe {
        (&raw const number).read_volatile()
    }
}

/// Makes the compiler compute an address once and check and use that one register: the verifier does not see
/// that two sums of the same terms are the same address.
#[inline(always)]
pub(crate) fn settle(address: usize) -> usize {
    #[cfg(target_arch = "bpf")]
    {
        let mut address = address;
        // SAFETY: moves a register to itself.
        #[allow(unsafe_code)]
        unsafe {
            core::arch::asm!(
                "{0} = {0}",
                inout(reg) address,
                options(pure, nomem, nostack, preserves_flags)
            );
        }
        address
    }
    #[cfg(not(target_arch = "bpf"))]
    address
}
