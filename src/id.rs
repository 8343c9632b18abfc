//! Ids of deliveries.

use uuid::Uuid;

use crate::time::Timestamp;

/// The part of the ids of an execution's calls that is the execution's own: 20 bits that grow from
/// one execution to the next, and 30 random ones.
#[must_use]
pub const fn id_seed(serial: u64, random: u64) -> u64 {
    ((serial & 0xf_ffff) << 30) | (random & 0x3fff_ffff)
}

/// The id of a call: a `UUIDv7` (RFC 9562) made of the call's time, its execution's seed and its
/// place, so that nothing is kept or drawn per call. Ids of one execution sort in call order, those
/// of one millisecond in the order of their executions (method 1 of section 6.2). Places beyond 24
/// bits only keep ids different.
#[must_use]
pub fn delivery_id(recorded_at: Timestamp, index: u32, seed: u64) -> Uuid {
    let index = u64::from(index);
    let high = (recorded_at.as_millis() << 16) | 0x7000 | ((seed >> 38) & 0xfff);
    let random = (seed ^ (index >> 24)) & 0x3fff_ffff;
    let low = (0b10 << 62) | (((seed >> 30) & 0xff) << 54) | ((index & 0xff_ffff) << 30) | random;
    Uuid::from_u64_pair(high, low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_version_7_unique_and_in_call_order() {
        let at = Timestamp::from_millis(1_700_000_000_000);
        let ids: Vec<_> = (0..10_000).map(|index| delivery_id(at, index, 42)).collect();
        assert!(ids.iter().all(|id| id.get_version_num() == 7));
        assert!(ids.is_sorted());
        let later = delivery_id(Timestamp::from_millis(1_700_000_000_001), 0, 42);
        assert!(later > ids[9_999]);
        assert_ne!(delivery_id(at, 0, 42), delivery_id(at, 1 << 24, 42));
        assert_ne!(delivery_id(at, 0, 42), delivery_id(at, 0, 43));
        for serial in [0, 1, 255, 256, 0xf_fffe] {
            let last = delivery_id(at, 9_999, id_seed(serial, u64::MAX));
            assert!(delivery_id(at, 0, id_seed(serial + 1, 0)) > last, "{serial}");
        }
    }
}
