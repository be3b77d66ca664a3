//! From the bytes of a request to a batch, with a bound on what decompression may yield.

use std::fmt;
use std::io::Read as _;

use bytes::{Buf as _, Bytes};
use candour_wire::Code;
use candour_wire::api::BatchRequest;
use candour_wire::limits::{BATCH_MAX_BYTES, BATCH_MAX_RECORDS};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::problem::{Failure, Outcome};

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Identity,
    Zstd,
}

impl Encoding {
    pub(super) fn of(headers: &HeaderMap) -> Outcome<Self> {
        let mut values = headers.get_all(CONTENT_ENCODING).iter();
        let encoding = match values.next().map(|value| value.as_bytes()) {
            None | Some(b"identity") => Some(Self::Identity),
            Some(b"zstd") => Some(Self::Zstd),
            Some(_) => None,
        };
        encoding.filter(|_| values.next().is_none()).ok_or_else(|| {
            Failure::new(Code::UnsupportedMediaType).with_detail("send it plain or with zstd")
        })
    }
}

/// Whether it is known beforehand that a body has at most so many bytes of JSON. A frame of zstd
/// says how long its content is, and yields no more than it says (RFC 8878, section 3.1.1.1.4).
pub(super) fn is_at_most(encoding: Encoding, body: &[u8], most: usize) -> bool {
    let bytes = match encoding {
        Encoding::Identity => Some(body.len() as u64),
        Encoding::Zstd => only_frame_bytes(body),
    };
    body.len() <= most && bytes.is_some_and(|bytes| bytes <= most as u64)
}

/// The length that a body's only frame says its content has.
fn only_frame_bytes(body: &[u8]) -> Option<u64> {
    use zstd::zstd_safe::{find_frame_compressed_size, get_frame_content_size};
    let is_only = find_frame_compressed_size(body) == Ok(body.len());
    let bytes = get_frame_content_size(body).ok().flatten();
    bytes.filter(|_| is_only)
}

/// Reads a batch.
pub(super) fn batch(encoding: Encoding, body: Bytes) -> Outcome<BatchRequest> {
    let json = match encoding {
        Encoding::Identity => body,
        Encoding::Zstd => decompress(body)?.into(),
    };
    let Capped { records, log_size } = serde_json::from_slice(&json).map_err(|error| {
        // The message may repeat what was sent, so only the place is told.
        let place = format!(
            "the JSON is wrong at line {}, column {}",
            error.line(),
            error.column()
        );
        Failure::new(Code::BadRequest).with_detail(place)
    })?;
    match records.len() {
        0 => Err(Failure::new(Code::BadRequest).with_detail("a batch has at least one record")),
        1..=BATCH_MAX_RECORDS => Ok(BatchRequest { records, log_size }),
        _ => Err(Failure::new(Code::BodyTooLarge)
            .with_detail(format!("at most {BATCH_MAX_RECORDS} records"))),
    }
}

/// A batch as it is read: of its records only as many are held as it takes to see that there are
/// too many. Four MiB of empty texts would otherwise take ten times that in memory.
#[derive(Deserialize)]
struct Capped {
    #[serde(deserialize_with = "few_records")]
    records: Vec<String>,
    #[serde(default)]
    log_size: u64,
}

fn few_records<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct Few;

    impl<'de> Visitor<'de> for Few {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of records")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Vec<String>, A::Error> {
            let mut records = Vec::new();
            while records.len() <= BATCH_MAX_RECORDS
                && let Some(record) = sequence.next_element()?
            {
                records.push(record);
            }
            while sequence.next_element::<IgnoredAny>()?.is_some() {}
            Ok(records)
        }
    }

    deserializer.deserialize_seq(Few)
}

fn decompress(body: Bytes) -> Outcome<Vec<u8>> {
    let broken =
        |_| Failure::new(Code::BadRequest).with_detail("the zstd stream is damaged or cut off");
    let mut decoder = zstd::stream::read::Decoder::with_buffer(body.reader()).map_err(broken)?;
    decoder.window_log_max(WINDOW_LOG_MAX).map_err(broken)?;
    let mut json = Vec::new();
    decoder
        .take(BATCH_MAX_BYTES as u64 + 1)
        .read_to_end(&mut json)
        .map_err(broken)?;
    if json.len() > BATCH_MAX_BYTES {
        let detail = format!("at most {BATCH_MAX_BYTES} bytes once decompressed");
        return Err(Failure::new(Code::BodyTooLarge).with_detail(detail));
    }
    Ok(json)
}

/// A window of 8 MiB, which RFC 8878, section 3.1.1.1.2, asks decoders to support; a frame that
/// wants more memory is refused before it gets it.
const WINDOW_LOG_MAX: u32 = 23;

#[cfg(test)]
mod tests {
    use super::*;

    fn code(encoding: Encoding, body: impl Into<Bytes>) -> Code {
        batch(encoding, body.into()).unwrap_err().code()
    }

    fn compress(bytes: &[u8]) -> Vec<u8> {
        zstd::bulk::compress(bytes, 3).unwrap()
    }

    #[test]
    fn a_batch_is_read_plain_and_compressed() {
        let json = br#"{"records":["a.b.c"],"log_size":7,"later":true}"#;
        let plain = batch(Encoding::Identity, Bytes::from_static(json)).unwrap();
        let compressed = batch(Encoding::Zstd, compress(json).into()).unwrap();
        assert_eq!(plain, compressed);
        assert_eq!((plain.records.len(), plain.log_size), (1, 7));
    }

    #[test]
    fn what_swells_beyond_the_limit_is_refused_without_holding_it() {
        let bomb = compress(&vec![b' '; 200 << 20]);
        assert!(bomb.len() < 64 << 10, "{}", bomb.len());
        assert_eq!(code(Encoding::Zstd, bomb), Code::BodyTooLarge);
    }

    #[test]
    fn damaged_bodies_and_wrong_numbers_of_records_are_refused() {
        let good = compress(br#"{"records":["a"]}"#);
        assert_eq!(
            code(Encoding::Zstd, good[..good.len() - 3].to_vec()),
            Code::BadRequest
        );
        assert_eq!(code(Encoding::Zstd, "{}"), Code::BadRequest);
        assert_eq!(
            code(Encoding::Identity, "{\"records\":[1]}"),
            Code::BadRequest
        );
        assert_eq!(
            code(Encoding::Identity, "{\"records\":[]}"),
            Code::BadRequest
        );
        let json = serde_json::json!({ "records": vec![""; 1 << 20] }).to_string();
        let held: Capped = serde_json::from_str(&json).unwrap();
        assert_eq!(
            held.records.len(),
            65,
            "no more than show that it is too many"
        );
        let many = serde_json::to_vec(&serde_json::json!({ "records": vec!["a"; 65] })).unwrap();
        assert_eq!(code(Encoding::Identity, many), Code::BodyTooLarge);
    }

    #[test]
    fn what_a_frame_says_of_its_length_is_believed_no_further_than_it_holds() {
        let is_small = |body: &[u8]| is_at_most(Encoding::Zstd, body, 1 << 10);
        assert!(is_small(&compress(b"{}")));
        assert!(!is_small(&compress(&[b' '; 1025])));
        assert!(!is_small(b"no frame"));
        let two = [compress(b"{}"), compress(&[b' '; 4096])].concat();
        assert!(!is_small(&two));
        let mut unsaid = zstd::stream::Encoder::new(Vec::new(), 3).unwrap();
        std::io::Write::write_all(&mut unsaid, b"{}").unwrap();
        assert!(!is_small(&unsaid.finish().unwrap()));
        // The length stands in the byte after magic number and descriptor.
        let mut lies = compress(&[b' '; 200]);
        let said = lies.iter().position(|byte| *byte == 200).unwrap();
        lies[said] = 2;
        assert!(is_small(&lies));
        assert_eq!(code(Encoding::Zstd, lies), Code::BadRequest);
        assert!(is_at_most(Encoding::Identity, b"{}", 2));
        assert!(!is_at_most(Encoding::Identity, b"{} ", 2));
    }

    #[test]
    fn other_encodings_are_refused() {
        let of = |values: &[&'static str]| {
            let values = values
                .iter()
                .map(|value| (CONTENT_ENCODING, http::HeaderValue::from_static(value)));
            let mut headers = HeaderMap::new();
            values.for_each(|(name, value)| {
                headers.append(name, value);
            });
            Encoding::of(&headers).map_err(|failure| failure.code())
        };
        assert_eq!(of(&[]), Ok(Encoding::Identity));
        assert_eq!(of(&["zstd"]), Ok(Encoding::Zstd));
        assert_eq!(of(&["gzip"]), Err(Code::UnsupportedMediaType));
        assert_eq!(of(&["zstd", "zstd"]), Err(Code::UnsupportedMediaType));
    }
}
