//! Signing, and where each chain stands.

use candour_wire::chain::Head;
use candour_wire::jws::{self, SignError, VerifyingKey};
use candour_wire::record::{Record, Stream, TYP};
use candour_wire::{HandsetId, limits};

use super::format::{self, WaitingRow};
use super::index::WaitingKey;
use super::{ChainState, Outbox, OutboxError};
use crate::ports::{Change, KeyError, Table};

/// How much longer a record may get when it is signed anew: a sequence number grows from one
/// digit to sixteen, in base64. Kept free below the wire's limit.
pub(super) const SLACK_BYTES: usize = 32;

impl Outbox {
    /// Where the server's chain of this stream stands, as far as this handset knows.
    ///
    /// # Errors
    ///
    /// When there is no key, or the store cannot be read.
    pub fn chain_state(&mut self, stream: Stream) -> Result<ChainState, OutboxError> {
        let handset = self.handset()?;
        let genesis = Head::genesis(&handset, stream);
        Ok(match self.read(Table::Meta, &state_key(stream))? {
            None => ChainState {
                acknowledged: genesis,
                anchored: true,
            },
            // EXPOSE: the row is parsed.
            Some(row) => row
                .and_then(|plain| format::from_bytes(plain.expose()))
                // Damaged: the server will say where it is.
                .unwrap_or(ChainState {
                    acknowledged: genesis,
                    anchored: false,
                }),
        })
    }

    pub(super) fn put_chain_state(
        &mut self,
        stream: Stream,
        state: &ChainState,
    ) -> Result<Change, OutboxError> {
        self.put(Table::Meta, state_key(stream), &format::to_bytes(state))
    }

    /// The record that the next one of the stream follows: the last one that waits, even where
    /// that one is to be signed anew itself; else what the server has.
    pub(super) fn tip(&mut self, stream: Stream) -> Result<Head, OutboxError> {
        if let Some(tip) = self.tips.get(&stream) {
            return Ok(*tip);
        }
        let last = loop {
            let Some(key) = self.index.stream(stream).next_back().map(|(key, _)| *key) else {
                break None;
            };
            match self.waiting_row(&key)? {
                Ok(row) => break Some(row.head()),
                Err(value) => self.set_damaged_aside(stream, &[(key, value)])?,
            }
        };
        let tip = match last {
            Some(last) => last,
            None => self.chain_state(stream)?.acknowledged,
        };
        self.tips.insert(stream, tip);
        Ok(tip)
    }

    /// A row of the outbox; its value as it stands where it does not open.
    pub(super) fn waiting_row(
        &mut self,
        key: &WaitingKey,
    ) -> Result<Result<WaitingRow, Vec<u8>>, OutboxError> {
        self.read_indexed(Table::Outbox, &key.encode())
    }

    /// Signs a record. Blocks on the key store.
    ///
    /// The first signature is checked: that the key store signs with another key than the enrolled
    /// one shows there, and does not begin while the outbox is open. One that is spoilt later is
    /// refused by the server and set aside, from where it can be signed again.
    pub(super) fn sign(&mut self, record: &Record) -> Result<String, OutboxError> {
        let key = self.verifying_key()?;
        let payload = serde_json::to_vec(record).expect("records have only text keys");
        let sign_der = |message: &[u8]| self.keys.sign(message);
        let signed = if self.seen_to_sign {
            jws::sign_unchecked(TYP, &payload, &key, sign_der)
        } else {
            jws::sign(TYP, &payload, &key, sign_der)
        };
        let jws = signed.map_err(|error| match error {
            SignError::KeyStore(error) => OutboxError::Key(error),
            SignError::TooLong => OutboxError::TooLarge,
            SignError::NotDer | SignError::OtherKey => OutboxError::Signature(Box::new(error)),
        })?;
        self.seen_to_sign = true;
        if jws.len() + SLACK_BYTES > limits::RECORD_MAX_BYTES {
            Err(OutboxError::TooLarge)
        } else {
            Ok(jws)
        }
    }

    /// The record in a JWS of this handset; `None` where it is not one.
    pub(super) fn unsigned(&mut self, jws: &str) -> Result<Option<Record>, OutboxError> {
        let key = self.verifying_key()?;
        let payload = jws::verify(TYP, jws, &key).ok();
        Ok(payload.and_then(|payload| format::from_bytes(&payload)))
    }

    pub(super) fn handset(&mut self) -> Result<HandsetId, OutboxError> {
        Ok(HandsetId::derive(self.verifying_key()?.spki_der()))
    }

    fn verifying_key(&mut self) -> Result<VerifyingKey, OutboxError> {
        if let Some(key) = &self.verifying {
            return Ok(key.clone());
        }
        let spki = self.keys.public_key()?.ok_or(KeyError::Missing)?;
        let key = VerifyingKey::from_spki_der(&spki)
            .map_err(|error| OutboxError::Signature(Box::new(error)))?;
        self.verifying = Some(key.clone());
        Ok(key)
    }
}

impl WaitingRow {
    /// The chain's head once this is its last record.
    pub(super) fn head(&self) -> Head {
        Head {
            seq: self.seq,
            digest: candour_wire::chain::link(&self.jws),
        }
    }

    /// Whether this is the record after `head`.
    pub(super) fn follows(&self, head: &Head) -> bool {
        head.check_next(self.seq, &self.prev).is_ok()
    }
}

fn state_key(stream: Stream) -> Vec<u8> {
    format!("chain/{}", stream.as_str()).into_bytes()
}
