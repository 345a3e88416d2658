/// A value that is just bytes: map contents and packet headers.
///
/// # Safety
/// `repr(C)` (packed or not), no padding, and every bit pattern is a value.
#[allow(unsafe_code)]
pub unsafe trait Plain: 'static {}

macro_rules! plain {
    ($($t:ty),+ $(,)?) => {
        $(#[allow(unsafe_code)]
        // SAFETY: the author of the type listed it here after checking the conditions of `Plain`.
        unsafe impl $crate::abi::Plain for $t {})+
    };
}
pub(crate) use plain;

plain!(u8, u16, u32, u64, [u16; 3], [u32; 4], [u64; 2]);
