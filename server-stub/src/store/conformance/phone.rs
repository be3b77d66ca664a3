//! A handset as the store sees it: a key, two chains and records whose signature somebody has
//! checked.

use std::sync::{Arc, LazyLock};

use candour_wire::api::{BatchReply, Receipt, RecordResult};
use candour_wire::chain::Head;
use candour_wire::code::Refusal;
use candour_wire::log::{Checkpoint, ReceiptProof, verify_receipt};
use candour_wire::posture::{AppPresence, HandsetFacts, Heartbeat, Inventory, Presence};
use candour_wire::record::{AttachmentRef, Body, Declaration, Kind, Record, Stream, VERSION};
use candour_wire::seal::{RecordsPrivateKey, SealContext, Sealed, Suite, seal};
use candour_wire::{Digest, HandsetId, RecordId};

use super::{DEPARTMENT, at, verifier};
use crate::store::{AppendError, Batch, EnrolRequest, NewToken, Store, Verified};

/// Sealing is slow without optimisation and the store never looks inside, so once is enough.
static SEALED: LazyLock<Sealed> = LazyLock::new(|| {
    let key = RecordsPrivateKey::generate();
    let handset = HandsetId::derive(b"any");
    let context = SealContext {
        id: RecordId::make(at(0)),
        handset: &handset,
        kind: Kind::Declaration,
    };
    seal(&key.public_key(Suite::XWingAes256Gcm), &context, b"content").unwrap()
});

pub(in crate::store) struct Phone {
    pub(in crate::store) spki: Vec<u8>,
    pub(in crate::store) id: HandsetId,
    pub(in crate::store) posture: Head,
    pub(in crate::store) records: Head,
}

impl Phone {
    /// A handset that is not enrolled.
    pub(in crate::store) fn new(name: &str) -> Self {
        let spki = format!("key of {name}").into_bytes();
        let id = HandsetId::derive(&spki);
        let [posture, records] = Stream::ALL.map(|stream| Head::genesis(&id, stream));
        Self {
            spki,
            id,
            posture,
            records,
        }
    }

    /// Enrols with a fresh token of [`DEPARTMENT`].
    pub(in crate::store) async fn enrolled(store: &dyn Store, name: &str) -> Self {
        Self::enrolled_in(store, name, DEPARTMENT).await
    }

    pub(in crate::store) async fn enrolled_in(
        store: &dyn Store,
        name: &str,
        department: &str,
    ) -> Self {
        let phone = Self::new(name);
        let token = Digest::of(format!("token of {name}").as_bytes());
        store.put_token(new_token(token, department)).await.unwrap();
        let handset = store.enrol(phone.asks(token)).await.unwrap();
        assert_eq!(handset.id, phone.id);
        phone
    }

    pub(in crate::store) fn asks(&self, token: Digest) -> EnrolRequest {
        EnrolRequest {
            token,
            spki: self.spki.clone(),
            now: at(0),
        }
    }

    /// A record at any place of a chain.
    pub(in crate::store) fn record(&self, seq: u64, prev: Digest, body: Body) -> Verified {
        let created = at(0);
        let id = RecordId::make(created);
        let handset = self.id.clone();
        verified(Record {
            v: VERSION,
            id,
            handset,
            seq,
            prev,
            created,
            policy: 1,
            body,
        })
    }

    /// The next record of its chain.
    pub(in crate::store) fn next(&mut self, body: Body) -> Verified {
        let head = match body.kind().stream() {
            Stream::Posture => self.posture,
            Stream::Records => self.records,
        };
        let record = self.record(head.seq + 1, head.digest, body);
        *self.head_mut(record.record.body.kind().stream()) = head.extended(&record.jws);
        record
    }

    /// Puts a record after the head that the server named, with its id unchanged.
    pub(in crate::store) fn rechained(&mut self, record: &Verified, head: Head) -> Verified {
        let record = Record {
            seq: head.seq + 1,
            prev: head.digest,
            ..record.record.clone()
        };
        let stream = record.body.kind().stream();
        let record = verified(record);
        *self.head_mut(stream) = head.extended(&record.jws);
        record
    }

    fn head_mut(&mut self, stream: Stream) -> &mut Head {
        match stream {
            Stream::Posture => &mut self.posture,
            Stream::Records => &mut self.records,
        }
    }

    pub(in crate::store) fn batch(&self, stream: Stream, records: &[Verified]) -> Batch {
        Batch {
            handset: self.id.clone(),
            stream,
            entries: records.iter().cloned().map(Ok).collect(),
            log_size: 0,
            received: at(1),
        }
    }

    pub(in crate::store) async fn send(
        &self,
        store: &dyn Store,
        stream: Stream,
        records: &[Verified],
    ) -> Result<BatchReply, AppendError> {
        store.append(self.batch(stream, records)).await
    }

    /// Sends one record, which must be taken.
    pub(in crate::store) async fn sent(&mut self, store: &dyn Store, body: Body) -> Verified {
        let record = self.next(body);
        let stream = record.record.body.kind().stream();
        let reply = self
            .send(store, stream, std::slice::from_ref(&record))
            .await
            .unwrap();
        receipts(&reply, std::slice::from_ref(&record));
        record
    }

    /// Sends one record, which must be refused.
    pub(in crate::store) async fn refused(
        &self,
        store: &Arc<dyn Store>,
        record: Verified,
    ) -> Refusal {
        let stream = record.record.body.kind().stream();
        let reply = self.send(&**store, stream, &[record]).await.unwrap();
        let [RecordResult::Refusal(refusal)] = &reply.results[..] else {
            panic!("taken: {reply:?}")
        };
        refusal.clone()
    }
}

pub(in crate::store) fn verified(record: Record) -> Verified {
    let jws = format!("signed.{}", serde_json::to_string(&record).unwrap());
    Verified::new(record, jws)
}

pub(in crate::store) fn new_token(hash: Digest, department: &str) -> NewToken {
    NewToken {
        hash,
        department: department.parse().unwrap(),
        label: Some("asset 17".into()),
        created: at(0),
        expires: at(60),
    }
}

pub(in crate::store) fn declaration() -> Body {
    declaration_with(vec![])
}

pub(in crate::store) fn declaration_with(attachments: Vec<AttachmentRef>) -> Body {
    Body::Declaration(Declaration {
        sealed: sealed(),
        attachments,
    })
}

pub(in crate::store) fn sealed() -> Sealed {
    SEALED.clone()
}

pub(in crate::store) fn list(apps: &[(&str, Presence)]) -> Inventory {
    let app = |(app, state): &(&str, Presence)| AppPresence {
        app: app.parse().unwrap(),
        state: *state,
        evidence: vec![],
    };
    Inventory {
        catalogue: 1,
        handset: HandsetFacts {
            platform: "linux".into(),
            os_version: None,
            model: None,
            agent_version: "0.1.0".into(),
        },
        apps: apps.iter().map(app).collect(),
    }
}

pub(in crate::store) fn heartbeat(list: &Inventory) -> Body {
    Body::Heartbeat(Heartbeat {
        inventory: list.hash(),
    })
}

/// The receipts of a reply, each of which must be there and must verify against the checkpoint.
pub(in crate::store) fn receipts(reply: &BatchReply, records: &[Verified]) -> Vec<Receipt> {
    let checkpoint = Checkpoint::open(&reply.checkpoint, &verifier()).unwrap();
    assert_eq!(reply.results.len(), records.len());
    let each = reply.results.iter().zip(records).map(|(result, record)| {
        let RecordResult::Receipt(receipt) = result else {
            panic!("refused: {result:?}")
        };
        assert_eq!(receipt.id, record.record.id);
        let Receipt {
            index, salt, path, ..
        } = receipt;
        let proof = ReceiptProof {
            index: *index,
            salt: *salt,
            path,
        };
        assert_eq!(verify_receipt(&proof, &record.digest, &checkpoint), Ok(()));
        receipt.clone()
    });
    each.collect()
}
