//! Everything else than programs on the card.

use super::names::named;

named! {
    /// XDP on the host, and who says that the link has it.
    XdpFeature {
        /// a program in the stack, before everything else there
        Generic = "generic",
        /// a program in the driver
        Native = "native",
        /// packets in more than one buffer
        MultiBuffer = "multi-buffer",
        /// XDP_REDIRECT from here
        Redirect = "redirect",
        /// XDP_REDIRECT to here
        RedirectTarget = "redirect-target",
        /// XDP_REDIRECT to here of packets in more than one buffer
        RedirectTargetMultiBuffer = "redirect-target-multi-buffer",
        /// AF_XDP without a copy
        ZeroCopy = "zero-copy",
        /// a program in the card
        Hardware = "hardware",
    }
}

named! {
    /// Traffic control on the card.
    TcFeature {
        /// the switch hw-tc-offload is there
        HwTcOffload = "hw-tc-offload",
        /// cls_bpf with skip_sw
        ClsBpfSkipSw = "cls-bpf.skip-sw",
        /// flower with skip_sw
        FlowerSkipSw = "flower.skip-sw",
        /// matchall with skip_sw
        MatchallSkipSw = "matchall.skip-sw",
    }
}

named! {
    /// Fields that a flower rule may match.
    FlowerMatch {
        /// EtherType
        EtherType = "ether-type",
        /// destination MAC
        DestinationMac = "destination-mac",
        /// source MAC
        SourceMac = "source-mac",
        /// VLAN id
        VlanId = "vlan-id",
        /// protocol above IP
        IpProtocol = "ip-protocol",
        /// IPv4 source address and mask
        SourceIpv4 = "source-ipv4",
        /// IPv4 destination address and mask
        DestinationIpv4 = "destination-ipv4",
        /// IPv6 source address and mask
        SourceIpv6 = "source-ipv6",
        /// IPv6 destination address and mask
        DestinationIpv6 = "destination-ipv6",
        /// TCP or UDP source port
        SourcePort = "source-port",
        /// TCP or UDP destination port
        DestinationPort = "destination-port",
        /// a range of destination ports
        DestinationPortRange = "destination-port-range",
        /// TCP flags
        TcpFlags = "tcp-flags",
        /// type of service and time to live
        IpTosTtl = "ip-tos-ttl",
        /// fragments
        Fragment = "fragment",
        /// id of the tunnel that the packet came in
        TunnelKey = "tunnel-key",
        /// state of a tracked connection
        ConntrackState = "conntrack-state",
    }
}

named! {
    /// What a flower rule may do.
    FlowerAction {
        /// drop
        Drop = "drop",
        /// let pass
        Pass = "pass",
        /// trap to the host
        Trap = "trap",
        /// send out of another link
        Redirect = "redirect",
        /// send a copy out of another link
        Mirror = "mirror",
        /// change addresses, ports or other fields
        Pedit = "pedit",
        /// compute a checksum anew
        Checksum = "checksum",
        /// push or pop a VLAN tag
        Vlan = "vlan",
        /// limit the rate
        Police = "police",
        /// track the connection
        Conntrack = "conntrack",
        /// track the connection and translate addresses
        ConntrackNat = "conntrack-nat",
        /// put a tunnel around or take it off
        Tunnel = "tunnel",
        /// go to another chain
        Goto = "goto",
        /// hand a sample to the host
        Sample = "sample",
    }
}

named! {
    /// Encryption, checksums, segmentation, distribution to queues.
    LinkFeature {
        /// IPsec: the card encrypts, the host does the rest
        IpsecCrypto = "ipsec.crypto",
        /// IPsec: the card does it all
        IpsecPacket = "ipsec.packet",
        /// MACsec in the card
        Macsec = "macsec",
        /// TLS records are encrypted by the card
        TlsTransmit = "tls.transmit",
        /// TLS records are decrypted by the card
        TlsReceive = "tls.receive",
        /// packets are spread over the queues by a hash
        ReceiveHash = "receive.hash",
        /// the table and key of that hash can be set
        ReceiveHashTable = "receive.hash-table",
        /// flows can be steered to queues
        ReceiveNtuple = "receive.ntuple",
        /// checksums of received packets are checked
        ReceiveChecksum = "receive.checksum",
        /// received segments are joined by the card
        ReceiveJoin = "receive.join",
        /// a VLAN tag is taken off received packets
        ReceiveVlan = "receive.vlan",
        /// checksums are filled in
        TransmitChecksum = "transmit.checksum",
        /// TCP over IPv4 is cut into segments
        TransmitSegmentationTcp4 = "transmit.segmentation-tcp4",
        /// TCP over IPv6 is cut into segments
        TransmitSegmentationTcp6 = "transmit.segmentation-tcp6",
        /// UDP is cut into datagrams
        TransmitSegmentationUdp = "transmit.segmentation-udp",
        /// what is in a UDP tunnel is cut into segments
        TransmitSegmentationTunnel = "transmit.segmentation-tunnel",
        /// a VLAN tag is put on
        TransmitVlan = "transmit.vlan",
    }
}

named! {
    /// What may occupy a link, and keep others out.
    Occupant {
        /// an XDP program in generic mode
        XdpGeneric = "xdp-generic",
        /// an XDP program in the driver
        XdpNative = "xdp-native",
        /// an XDP program in the card
        XdpHardware = "xdp-hardware",
        /// a cls_bpf program in the card
        TcClsBpf = "tc-cls-bpf",
        /// flower rules in the card
        TcFlower = "tc-flower",
        /// IPsec encryption in the card
        IpsecCrypto = "ipsec-crypto",
        /// the whole of IPsec in the card
        IpsecPacket = "ipsec-packet",
        /// joined segments in the card
        ReceiveJoin = "receive-join",
    }
}

impl Occupant {
    /// Each pair once, the lesser first.
    pub fn pairs() -> Vec<(Self, Self)> {
        let all = Self::ALL.iter().copied();
        all.flat_map(|one| Self::ALL.iter().copied().map(move |other| (one, other)))
            .filter(|(one, other)| one < other)
            .collect()
    }
}
