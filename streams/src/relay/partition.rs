//! The partition of a topic that a stream is in.

use uuid::Uuid;

/// The partition of a stream in a topic with the given number of partitions: Kafka's default choice, by the Murmur2 hash
/// of the key, which is the stream's id as text. The relay's client computes it itself; this is for code that must know
/// it without a message.
#[must_use]
pub fn partition_of(stream_id: Uuid, partitions: i32) -> i32 {
    let hash = murmur2(stream_id.to_string().as_bytes()) & 0x7fff_ffff;
    let partitions = u32::try_from(partitions).unwrap_or(1).max(1);
    i32::try_from(hash % partitions).unwrap_or(0)
}

/// The hash function of `org.apache.kafka.common.utils.Utils`.
fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
    let mut hash = 0x9747_b28c ^ length;
    let (blocks, rest) = data.as_chunks::<4>();
    for block in blocks {
        let mut k = u32::from_le_bytes(*block).wrapping_mul(M);
        k = (k ^ (k >> 24)).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ k;
    }
    if !rest.is_empty() {
        for (index, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * index);
        }
        hash = hash.wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_the_positive_hash_of_the_id_modulo_the_count() {
        let id = Uuid::from_u128(1);
        let hash = murmur2(b"00000000-0000-0000-0000-000000000001") & 0x7fff_ffff;
        assert_eq!(partition_of(id, 6).cast_unsigned(), hash % 6);
        assert_eq!(partition_of(id, 1), 0);
        assert_eq!(partition_of(id, 0), 0, "a topic without partitions does not panic");
    }

    #[test]
    fn streams_spread_over_all_partitions() {
        let partitions: std::collections::BTreeSet<_> =
            (0..100).map(|id| partition_of(Uuid::from_u128(id), 6)).collect();
        assert_eq!(partitions, (0..6).collect());
    }

    /// The values of Kafka's own test, `UtilsTest.testMurmur2`.
    #[test]
    fn murmur2_is_kafkas_hash() {
        for (text, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(text.as_bytes()).cast_signed(), hash, "{text}");
        }
    }
}
