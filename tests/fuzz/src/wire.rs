//! What both sides read.

use std::sync::LazyLock;

use candour_wire::api::{BatchReply, BatchRequest, UploadStatus};
use candour_wire::attachment::{self, AttachmentKey};
use candour_wire::chain::Head;
use candour_wire::code::Problem;
use candour_wire::content::{DeclarationContent, WithdrawalContent};
use candour_wire::jws::VerifyingKey;
use candour_wire::log::merkle::{verify_consistency, verify_inclusion};
use candour_wire::log::note::NoteVerifier;
use candour_wire::log::tile::{TilePath, decode_entries, encode_entries};
use candour_wire::log::{Checkpoint, HashPath, leaf_hash};
use candour_wire::policy::{self, Policy};
use candour_wire::record::{self, Kind, Record};
use candour_wire::seal::{
    self, OpenError, RecordsPrivateKey, RecordsPublicKey, SealContext, Sealed, Suite,
};
use candour_wire::{Digest, RecordId, jws as wire_jws};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::keys;

/// Signatures: compact JWS, the DER that key stores give, and public keys.
pub fn jws(bytes: &[u8]) {
    if let Ok(key) = VerifyingKey::from_spki_der(bytes) {
        assert_eq!(key.spki_der(), bytes, "a key has one encoding");
    }
    let signed = wire_jws::sign(record::TYP, b"{}", keys::public(), |_| {
        Ok::<_, ()>(bytes.to_vec())
    });
    assert!(signed.is_err(), "nobody can sign without the key");
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    for typ in [record::TYP, policy::TYP] {
        if let Ok(payload) = wire_jws::verify(typ, text, keys::public()) {
            let parts: Vec<&str> = text.split('.').collect();
            let again = keys::jws(typ, &payload).unwrap();
            let same: Vec<&str> = again.split('.').collect();
            assert_eq!(parts.len(), 3);
            assert_eq!(parts[1], same[1], "a payload has one encoding");
        }
    }
    let _ = text.parse::<Digest>();
    let _ = text.parse::<RecordId>();
}

/// Whether what is read as `T` is written and read again as the same.
fn round_trip<T: Serialize + DeserializeOwned + PartialEq>(bytes: &[u8]) {
    if let Ok(value) = serde_json::from_slice::<T>(bytes) {
        let written = serde_json::to_vec(&value).unwrap();
        let again: T = serde_json::from_slice(&written).unwrap();
        assert!(again == value, "it reads back as something else");
    }
}

/// Every body that crosses the wire or lies inside a seal.
pub fn json(bytes: &[u8]) {
    round_trip::<Record>(bytes);
    round_trip::<DeclarationContent>(bytes);
    round_trip::<WithdrawalContent>(bytes);
    round_trip::<BatchRequest>(bytes);
    round_trip::<BatchReply>(bytes);
    round_trip::<UploadStatus>(bytes);
    round_trip::<Head>(bytes);
    round_trip::<Sealed>(bytes);
    round_trip::<RecordsPublicKey>(bytes);
    round_trip::<Policy>(bytes);
    let _ = serde_json::from_slice::<Problem>(bytes);
    if let Some(bundle) = keys::jws(policy::TYP, bytes)
        && let Ok(policy) = Policy::open(&bundle, keys::public())
    {
        policy.check().unwrap();
    }
}

static RECORDS_KEY: LazyLock<RecordsPrivateKey> = LazyLock::new(RecordsPrivateKey::generate);

/// Sealed boxes: altered ones, ones that somebody else made, and the text of a records key.
///
/// The first byte says where to alter a box that holds the rest.
pub fn sealed(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = RecordsPrivateKey::from_text(text);
    }
    let key = &*RECORDS_KEY;
    let handset = keys::handset();
    let context = SealContext {
        id: "01999999-9999-7999-8999-999999999999".parse().unwrap(),
        handset: &handset,
        kind: Kind::Declaration,
    };
    let own = key.id().to_string();
    let replaced = String::from_utf8_lossy(bytes).replace("@key", &own);
    if let Ok(foreign) = serde_json::from_str::<Sealed>(&replaced) {
        let opened = seal::open(key, &context, &foreign);
        assert!(
            matches!(opened, Err(OpenError::Altered | OpenError::OtherKey)),
            "nobody sealed this to the key"
        );
    }
    let Some((&[suite, high, low], content)) = bytes.split_first_chunk() else {
        return;
    };
    // Post-quantum key encapsulation takes its time.
    if content.len() > 4096 {
        return;
    }
    let suite = if suite & 1 == 0 {
        Suite::XWingAes256Gcm
    } else {
        Suite::XWingChaCha20Poly1305
    };
    let whole = seal::seal(&key.public_key(suite), &context, content).unwrap();
    let opened = seal::open(key, &context, &whole).unwrap();
    assert_eq!(opened.expose(), content);
    let text = serde_json::to_string(&whole).unwrap();
    let mut altered = text.clone().into_bytes();
    let at = usize::from(u16::from_be_bytes([high, low])) % altered.len();
    altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
    if let Ok(altered) = serde_json::from_slice::<Sealed>(&altered)
        && altered != whole
    {
        assert!(seal::open(key, &context, &altered).is_err());
    }
}

/// Encrypted files: foreign ones, and own ones that were altered or cut. The first three bytes
/// say how.
pub fn attachment(bytes: &[u8]) {
    let key = format!("{}A", "B".repeat(42));
    let key: AttachmentKey = serde_json::from_value(key.into()).unwrap();
    let mut sink = Vec::new();
    assert!(
        attachment::decrypt(&key, bytes, &mut sink).is_err(),
        "nobody encrypted this with the key"
    );
    let Some((&[how, high, low], plaintext)) = bytes.split_first_chunk() else {
        return;
    };
    // Some inputs fill several chunks.
    let plaintext = if how & 0x80 == 0 {
        plaintext.to_vec()
    } else {
        plaintext.repeat(1 + (200 << 10) / plaintext.len().max(1))
    };
    let mut file = Vec::new();
    let summary = attachment::encrypt(plaintext.as_slice(), &mut file).unwrap();
    assert_eq!(
        file.len() as u64,
        attachment::ciphertext_len(plaintext.len() as u64)
    );
    let mut again = Vec::new();
    let decrypted = attachment::decrypt(&summary.key, file.as_slice(), &mut again).unwrap();
    assert_eq!(again, plaintext);
    assert_eq!(decrypted.plaintext, summary.plaintext);
    let place = usize::from(u16::from_be_bytes([high, low]));
    let at = place.saturating_mul(7) % file.len();
    match how % 4 {
        0 => file[at] ^= 1 << (how % 8),
        1 => file.truncate(at),
        2 => file.push(how),
        _ => {
            // Two chunks change places.
            let chunk = (64 << 10) + 16;
            if file.len() < 8 + 2 * chunk {
                return;
            }
            let (first, second) = file[8..8 + 2 * chunk].split_at_mut(chunk);
            first.swap_with_slice(second);
            if first == second {
                return;
            }
        }
    }
    let damaged = attachment::decrypt(&summary.key, file.as_slice(), &mut Vec::new());
    assert!(damaged.is_err(), "a file that was altered is refused");
}

/// The log: notes, checkpoints, keys, paths, bundles and proofs.
pub fn log(bytes: &[u8]) {
    let signer = keys::log();
    let verifier = signer.verifier();
    if let Some(entries) = decode_entries(bytes) {
        assert_eq!(encode_entries(&entries), bytes, "a bundle has one encoding");
    }
    proofs(bytes);
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(path) = text.parse::<TilePath>() {
        assert_eq!(path.to_string(), text, "a tile has one path");
    }
    if let Ok(key) = text.trim().parse::<NoteVerifier>() {
        assert_eq!(key.to_string().parse(), Ok(key));
    }
    if let Ok(opened) = verifier.open(text) {
        // Ed25519 signatures of a text are one, so signing it again must give a note that opens.
        let again = signer.sign(opened).unwrap();
        assert_eq!(verifier.open(&again), Ok(opened));
    }
    if let Ok(note) = signer.sign(text) {
        assert_eq!(verifier.open(&note), Ok(text));
        if let Ok(checkpoint) = Checkpoint::open(&note, verifier) {
            let again = checkpoint.sign(&signer).unwrap();
            assert_eq!(Checkpoint::open(&again, verifier), Ok(checkpoint));
        }
    }
}

/// Proofs of any length and any sizes: no panic, and none that proves what cannot be.
fn proofs(bytes: &[u8]) {
    let Some((head, rest)) = bytes.split_first_chunk::<16>() else {
        return;
    };
    let (first, second) = head.split_at(8);
    let number = |half: &[u8]| u64::from_be_bytes(half.try_into().unwrap());
    let (first, second) = (number(first), number(second));
    let (hashes, _) = rest.as_chunks::<32>();
    let hashes: Vec<Digest> = hashes.iter().map(|hash| Digest(*hash)).collect();
    let Ok(path) = HashPath::try_from(hashes) else {
        return;
    };
    let (one, other) = (leaf_hash(&Digest::of(b"1")), leaf_hash(&Digest::of(b"2")));
    let included = verify_inclusion(&one, first, second, &path, &other);
    assert!(included.is_err(), "this root has no such leaf");
    let consistent = verify_consistency(first, &one, second, &other, &path);
    assert!(
        consistent.is_err() || first == 0,
        "these roots have nothing in common"
    );
}
