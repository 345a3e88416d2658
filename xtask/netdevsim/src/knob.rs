//! What a simulated NIC can be made to refuse.

/// Knobs of a whole device. All are turned to 'accept' on a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceKnob {
    /// Whether programs may be loaded for the device at all.
    Bind,
    /// Whether the device's part of the verification passes.
    Verify,
}

impl DeviceKnob {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Bind, Self::Verify];

    /// The name of the knob in the debug file system.
    #[must_use]
    pub fn file(self) -> &'static str {
        match self {
            Self::Bind => "bpf_bind_accept",
            Self::Verify => "bpf_bind_verifier_accept",
        }
    }
}

/// Knobs of one port. On a new one all are turned to 'accept' but [`PortKnob::TcUnbound`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortKnob {
    /// Whether tables may be made on the device through this port.
    Map,
    /// Whether an XDP program may be attached on the device.
    XdpOffload,
    /// Whether an XDP program may be attached in the driver.
    XdpDriver,
    /// Whether a tc program may be attached on the device.
    Tc,
    /// Whether a tc program that wasn't loaded for the device is attached on it too.
    TcUnbound,
}

impl PortKnob {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Map, Self::XdpOffload, Self::XdpDriver, Self::Tc, Self::TcUnbound];

    /// The name of the knob in the debug file system.
    #[must_use]
    pub fn file(self) -> &'static str {
        match self {
            Self::Map => "bpf_map_accept",
            Self::XdpOffload => "bpf_xdpoffload_accept",
            Self::XdpDriver => "bpf_xdpdrv_accept",
            Self::Tc => "bpf_tc_accept",
            Self::TcUnbound => "bpf_tc_non_bound_accept",
        }
    }
}
