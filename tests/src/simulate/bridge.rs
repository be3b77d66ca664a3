//! Requests and replies between the agent's transport port and the gateway's routes, where no
//! socket lies between them.

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use candour_core::ports::{Method, Request, Response};
use http::header::AUTHORIZATION;

/// The agent's request as the gateway's routes take it. `cut` lets so many bytes of the body
/// arrive and then the end of the connection.
pub(crate) fn http_request(request: &Request, cut: Option<usize>) -> http::Request<Body> {
    let method = match request.method {
        Method::Get => http::Method::GET,
        Method::Head => http::Method::HEAD,
        Method::Post => http::Method::POST,
        Method::Put => http::Method::PUT,
    };
    let mut builder = http::Request::builder().method(method).uri(&request.path);
    for (name, value) in &request.headers {
        builder = builder.header(*name, value);
    }
    if let Some((user, password)) = &request.basic {
        // EXPOSE: the token goes to the gateway, as over TLS.
        let basic = STANDARD.encode(format!("{user}:{}", password.expose()));
        builder = builder.header(AUTHORIZATION, format!("Basic {basic}"));
    }
    let body = match cut {
        None => Body::from(request.body.clone()),
        Some(bytes) => {
            let begun = request.body.get(..bytes).unwrap_or(&request.body);
            let begun = Ok(Bytes::copy_from_slice(begun));
            let cut: std::io::Error = std::io::ErrorKind::UnexpectedEof.into();
            Body::from_stream(futures_util::stream::iter([begun, Err(cut)]))
        }
    };
    builder.body(body).expect("the agent's requests are HTTP")
}

/// The gateway's reply as the agent takes it.
pub(crate) fn core_response(head: &http::response::Parts, body: &Bytes) -> Response {
    let headers = head.headers.iter().filter_map(|(name, value)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    });
    Response {
        status: head.status.as_u16(),
        headers: headers.collect(),
        body: body.to_vec(),
    }
}
