//! In what the kernels differ.

/// What a kernel's netdevsim does that another's doesn't.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expectations {
    /// The series, as in `6.12`.
    pub series: &'static str,
    /// Whether a flower filter is taken by the device.
    pub flower_in_hardware: bool,
    /// Whether an XDP program in the driver sees packets of a cable.
    pub driver_program_runs: bool,
    /// Whether tcx, a hook of the host, takes programs that were loaded for a device.
    pub tcx_takes_device_programs: bool,
    /// Whether the device's offload of ESP can be switched off.
    pub esp_offload_has_switch: bool,
}

/// Every kernel that was tried, oldest first.
pub const EXPECTATIONS: &[Expectations] = &[
    Expectations {
        series: "6.12",
        flower_in_hardware: false,
        driver_program_runs: false,
        tcx_takes_device_programs: false,
        esp_offload_has_switch: false,
    },
    Expectations {
        series: "7.2",
        flower_in_hardware: true,
        driver_program_runs: true,
        tcx_takes_device_programs: false,
        esp_offload_has_switch: true,
    },
];

/// What is expected of this kernel: of one that was never tried, what is expected of the newest.
///
/// # Panics
/// When the kernel doesn't say its version.
#[must_use]
pub fn expectations() -> Expectations {
    let uname = nix::sys::utsname::uname().unwrap_or_else(|errno| panic!("uname: {errno}"));
    let release = uname.release().to_string_lossy().into_owned();
    let is_of =
        |series: &str| release.strip_prefix(series).is_some_and(|rest| rest.starts_with('.'));
    let known = EXPECTATIONS.iter().find(|expected| is_of(expected.series));
    known.copied().unwrap_or_else(|| {
        println!("{release} was never tried: the newest kernel's behaviour is expected");
        *EXPECTATIONS.last().unwrap_or_else(|| panic!("no kernel was tried"))
    })
}
