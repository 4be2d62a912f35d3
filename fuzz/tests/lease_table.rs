//! Operation sequences on leases, drawn anew each time: what no corpus has.

use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_address_is_promised_twice_whatever_happens(steps in proptest::collection::vec(any::<u8>(), 0..600)) {
        bootcode_fuzz::lease_table(&steps);
    }

    /// Mostly what machines do, so that the pool fills and leases end.
    #[test]
    fn no_address_is_promised_twice_in_a_busy_pool(
        steps in proptest::collection::vec((prop_oneof![6 => Just(0u8), 6 => Just(5), 3 => Just(6), 2 => Just(9), 1 => 0u8..16], 0u8..10, any::<u8>()), 0..250)
    ) {
        let bytes: Vec<u8> = steps.iter().flat_map(|(op, who, which)| [op | who << 4, *which]).collect();
        bootcode_fuzz::lease_table(&bytes);
    }
}
