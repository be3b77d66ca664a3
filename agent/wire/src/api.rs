//! The bodies of `/v1` requests and replies.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::code::Refusal;
use crate::digest::Digest;
use crate::id::RecordId;
use crate::log::{HashPath, LeafSalt};

/// `POST /v1/posture` and `POST /v1/records`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BatchRequest {
    /// Records of one stream in the order of their sequence numbers, each a JWS in compact form;
    /// at most [`crate::limits::BATCH_MAX_RECORDS`].
    pub records: Vec<String>,
    /// Size of the log at the last checkpoint that the handset verified; 0 before the first. The
    /// reply proves that the log has only grown since.
    #[serde(default)]
    pub log_size: u64,
}

/// The reply to a batch: one result for each record, in the order of the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BatchReply {
    /// One for each record of the request.
    pub results: Vec<RecordResult>,
    /// The signed checkpoint that the receipts' paths lead to (C2SP tlog-checkpoint).
    pub checkpoint: String,
    /// Proof that the log at `log_size` is a prefix of the checkpoint's (RFC 9162,
    /// section 2.1.4); empty where `log_size` was 0 or is the checkpoint's.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub consistency: HashPath,
    /// Digest of the department's signed policy, which is also its entity tag: a handset that
    /// holds this one need not ask for the policy. Absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub policy: Option<Digest>,
}

/// What became of one record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum RecordResult {
    /// It is kept, and here is the proof.
    Receipt(Receipt),
    /// It was not taken.
    Refusal(Refusal),
}

/// Proof that a record is in the department's log.
///
/// The leaf is a salted hash of the record, so that the public log says nothing about short
/// messages, and a record can be erased by forgetting it and its salt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Receipt {
    /// Which record.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = "uuid"))]
    pub id: RecordId,
    /// When the department took it.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = "date-time"))]
    pub received: Timestamp,
    /// The leaf's place in the log, from 0.
    pub index: u64,
    /// The leaf's salt.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub salt: LeafSalt,
    /// Inclusion path from the leaf to the checkpoint's root (RFC 9162, section 2.1.3).
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub path: HashPath,
    /// The record had been taken before; this is its first receipt's place.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub duplicate: bool,
}

/// Where an upload stands: the reply to `PUT` and the headers of `HEAD /v1/attachments/{sha256}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UploadStatus {
    /// Bytes that are safely kept: where the next piece starts.
    pub offset: u64,
    /// The whole file has arrived and its digest is right.
    pub complete: bool,
}
