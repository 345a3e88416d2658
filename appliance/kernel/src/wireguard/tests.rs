use super::*;
use crate::xfrm::Reader;
use proptest::{collection::vec, option::of, prelude::*};

fn endpoint() -> impl Strategy<Value = SocketAddr> {
    (any::<IpAddr>(), any::<u16>()).prop_map(SocketAddr::from)
}

fn network() -> impl Strategy<Value = AllowedNetwork> {
    (any::<IpAddr>(), any::<u8>()).prop_map(|(address, bits)| AllowedNetwork { address, bits })
}

prop_compose! {
    fn setting(number: u8)(
        preshared in of(1u8..), endpoint in of(endpoint()), keepalive in of(any::<u16>()),
        allowed in vec(network(), 0..2500),
    ) -> PeerSetting {
        PeerSetting {
            preshared_key: preshared.and_then(|byte| SecretKey::new(&[byte; 32])),
            endpoint,
            keepalive_seconds: keepalive,
            ..PeerSetting::new(PublicKey([number; 32]), allowed)
        }
    }
}

/// What is asked for, as the kernel would tell it if it took every request: the attributes are the same.
fn as_told(change: &Change) -> Vec<Peer> {
    let set = change.peers.iter().filter_map(|peer| match peer {
        PeerChange::Set(setting) => Some(setting),
        PeerChange::Remove(_) => None,
    });
    set.map(|setting| Peer {
        public_key: setting.public_key,
        has_preshared_key: setting.preshared_key.is_some(),
        endpoint: setting.endpoint,
        keepalive_seconds: setting.keepalive_seconds.unwrap_or(0),
        last_handshake: None,
        received_bytes: 0,
        sent_bytes: 0,
        allowed: setting.allowed.clone(),
    })
    .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_asked_for_stands_in_the_requests(
        one in setting(1), two in setting(2), port in of(any::<u16>()), mark in of(any::<u32>()),
    ) {
        let change = Change {
            private_key: SecretKey::new(&[9; 32]),
            listen_port: port,
            mark,
            peers: vec![PeerChange::Set(one), PeerChange::Set(two)],
        };
        let requests = requests("wg0", &change);
        prop_assert!(requests.iter().all(|request| request.len() < 65_536));
        let device = read(requests.iter().map(|request| request.as_slice())).unwrap();
        prop_assert_eq!(device.peers, as_told(&change));
        prop_assert_eq!(device.listen_port, port.unwrap_or(0));
        prop_assert_eq!(device.mark, mark.unwrap_or(0));
    }

    #[test]
    fn an_answer_that_lies_is_never_a_panic(
        one in setting(1), at: prop::sample::Index, changed in vec(any::<u8>(), 1..9), cut: prop::sample::Index,
    ) {
        let change = Change { peers: vec![PeerChange::Set(one)], ..Change::default() };
        for request in requests("wg0", &change) {
            let mut bytes = request.to_vec();
            let start = at.index(bytes.len());
            for (to, from) in bytes.iter_mut().skip(start).zip(&changed) {
                *to ^= *from;
            }
            let _ = read([bytes.as_slice()].into_iter());
            let _ = read([&bytes[..cut.index(bytes.len())]].into_iter());
        }
    }
}

#[test]
fn a_peer_that_goes_names_nothing_but_itself() {
    let change =
        Change { peers: vec![PeerChange::Remove(PublicKey([7; 32]))], ..Change::default() };
    let requests = requests("wg0", &change);
    let [request] = requests.as_slice() else { panic!("{} requests", requests.len()) };
    let mut expected = vec![1, 1, 0, 0];
    expected.extend([8, 0, 2, 0]);
    expected.extend(b"wg0\0");
    // The list of peers, the peer, its key, its flags.
    expected.extend([52, 0, 8, 0x80, 48, 0, 0, 0x80, 36, 0, 1, 0]);
    expected.extend([7; 32]);
    expected.extend([8, 0, 3, 0, 1 | 4, 0, 0, 0]);
    if cfg!(target_endian = "little") {
        assert_eq!(request.as_slice(), expected);
    }
}

#[test]
fn networks_that_do_not_fit_follow_in_further_requests() {
    let network = |number: u32| AllowedNetwork { address: IpAddr::V4(number.into()), bits: 32 };
    let setting = PeerSetting::new(PublicKey([1; 32]), (0..5000).map(network).collect());
    let change = Change { peers: vec![PeerChange::Set(setting)], ..Change::default() };
    let requests = requests("wg0", &change);
    assert!(requests.len() > 1);
    let flags = |request: &[u8]| {
        let mut reader = Reader::new(request, "test");
        reader.skip(4).unwrap();
        let (_, peers) = *reader.attributes().unwrap().last().unwrap();
        let peers = peers.attributes().unwrap();
        let flags = peers.iter().map(|(_, peer)| {
            let list = peer.attributes().unwrap();
            let (_, flags) = list.iter().find(|(kind, _)| *kind == peer::FLAGS).unwrap();
            { *flags }.u32().unwrap()
        });
        flags.collect::<Vec<_>>()
    };
    let all: Vec<u32> = requests.iter().flat_map(|request| flags(request)).collect();
    assert_eq!(all[0], peer::F_REPLACE_ALLOWED, "the first clears what was there");
    assert!(all[1..].iter().all(|flags| *flags == peer::F_UPDATE_ONLY), "the others add: {all:?}");
}

#[test]
fn keys_are_32_bytes_and_not_printed() {
    assert_eq!(SecretKey::new(&[1; 31]), None);
    let change = Change { private_key: SecretKey::new(&[0xfe; 32]), ..Change::default() };
    let printed = format!("{change:?}");
    assert!(!printed.contains("254") && !printed.contains("fefe"), "{printed}");
}
