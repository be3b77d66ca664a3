//! A department's authority and EST server for tests, made at run time.

use std::sync::Mutex;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use candour_wire::{DepartmentId, Digest, HandsetId};
use cms::cert::x509::Certificate as X509;
use cms::content_info::ContentInfo;
use der::{Decode as _, Encode as _};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType,
    date_time_ymd,
};

use super::handset_uri;
use crate::ports::{Method, Request, Response, Transport, TransportError};

/// A certificate authority.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) der: Vec<u8>,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        (params.not_before, params.not_after) =
            (date_time_ymd(2000, 1, 1), date_time_ymd(2100, 1, 1));
        let der = params.self_signed(&key).unwrap().der().to_vec();
        Self {
            issuer: Issuer::new(params, key),
            der,
        }
    }

    pub(crate) fn pin(&self) -> Digest {
        Digest::of(&super::trust::spki(&self.der.as_slice().into()).unwrap())
    }

    /// Issues a certificate for TLS servers, valid from 2026-11-01 to 2027-01-30, with changes.
    pub(crate) fn server(
        &self,
        host: &str,
        key: &impl PublicKeyData,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Vec<u8> {
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        (params.not_before, params.not_after) =
            (date_time_ymd(2026, 11, 1), date_time_ymd(2027, 1, 30));
        change(&mut params);
        params.signed_by(key, &self.issuer).unwrap().der().to_vec()
    }

    /// Issues a handset's certificate, valid from 2026-11-20 to 2026-12-22, with changes.
    pub(crate) fn handset(
        &self,
        department: &DepartmentId,
        key: &impl PublicKeyData,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Vec<u8> {
        let uri = handset_uri(
            department,
            &HandsetId::derive(&key.subject_public_key_info()),
        );
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        (params.not_before, params.not_after) =
            (date_time_ymd(2026, 11, 20), date_time_ymd(2026, 12, 22));
        change(&mut params);
        params.signed_by(key, &self.issuer).unwrap().der().to_vec()
    }
}

/// A certs-only PKCS#7 message, as EST sends it.
pub(crate) fn certs_only(certificates: &[Vec<u8>]) -> Response {
    let path: Vec<X509> = certificates
        .iter()
        .map(|der| X509::from_der(der).unwrap())
        .collect();
    let message = ContentInfo::try_from(path).unwrap().to_der().unwrap();
    let mut body = STANDARD.encode(message).into_bytes();
    // RFC 2045 breaks lines.
    body.insert(10, b'\n');
    let headers = vec![(
        "content-type".to_owned(),
        "application/pkcs7-mime; smime-type=certs-only".to_owned(),
    )];
    Response {
        status: 200,
        headers,
        body,
    }
}

/// Changes a handset's certificate before it is signed.
pub(crate) type Change = Box<dyn Fn(&mut CertificateParams) + Send + Sync>;

/// An EST server that does as it is told.
pub(crate) struct EstServer {
    pub(crate) authority: Authority,
    pub(crate) department: DepartmentId,
    pub(crate) change: Change,
    /// Sent in place of the next reply to a request for a certificate.
    pub(crate) instead: Mutex<Option<Result<Response, TransportError>>>,
    pub(crate) requests: Mutex<Vec<Request>>,
}

impl EstServer {
    pub(crate) fn new() -> Self {
        Self {
            authority: Authority::new("HM Treasury Candour CA"),
            department: "hm-treasury".parse().unwrap(),
            change: Box::new(|_| {}),
            instead: Mutex::new(None),
            requests: Mutex::new(Vec::new()),
        }
    }
}

#[async_trait]
impl Transport for EstServer {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        self.requests.lock().unwrap().push(request.clone());
        match (request.method, request.path.as_str()) {
            (Method::Get, "/.well-known/est/cacerts") => {
                Ok(certs_only(std::slice::from_ref(&self.authority.der)))
            }
            (Method::Post, "/.well-known/est/simpleenroll" | "/.well-known/est/simplereenroll") => {
                if let Some(instead) = self.instead.lock().unwrap().take() {
                    return instead;
                }
                let csr = STANDARD.decode(&request.body).unwrap();
                // Reading checks the request's own signature.
                let csr = CertificateSigningRequestParams::from_der(&csr.into()).unwrap();
                let leaf = self
                    .authority
                    .handset(&self.department, &csr.public_key, &*self.change);
                Ok(certs_only(&[leaf]))
            }
            other => panic!("{other:?}"),
        }
    }
}
