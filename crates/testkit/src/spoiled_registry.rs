//! A registry whose answers are spoiled on demand: a proxy with TLS before a real one.
//!
//! Everything that no fault is about is passed on as it is, both ways. It speaks HTTP/1.1 only, and keeps each body in memory.

use std::borrow::Cow;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response, StatusCode, header};
use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use camino::Utf8PathBuf;
use futures::stream::{self, Stream, StreamExt};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::layout::{self, LayoutError};
use crate::pki::{PemPair, Pki, PkiError, Validity};
use crate::registry::files;

pub use axum::http::Method;

/// What goes wrong with a request.
#[derive(Debug, Clone)]
pub enum Wrong {
    /// It is answered with this status and these headers, without asking the registry.
    Status(u16, &'static [(&'static str, &'static str)]),
    /// The connection ends in the middle of the answer's body.
    Truncated,
    /// The connection ends in the middle of the request's body, or before the answer if it has none.
    Dropped,
    /// The answer's body begins and never goes on; an answer without a body never comes.
    Stalled,
    /// Both bodies come in pieces of so many bytes, with a pause before each.
    Slow {
        /// Bytes of a piece.
        piece: usize,
        /// The pause.
        pause: Duration,
    },
    /// The answer's body has another last byte.
    Changed,
    /// The answer names another digest than the registry's.
    OtherDigest,
}

/// A fault: the first requests that it is about are spoiled.
#[derive(Debug, Clone)]
pub struct Fault {
    /// The method of the requests.
    pub method: Method,
    /// A part of their path.
    pub path: Cow<'static, str>,
    /// How many of them.
    pub times: usize,
    /// What goes wrong.
    pub wrong: Wrong,
}

/// Why there is no proxy.
#[derive(Debug, thiserror::Error)]
pub enum SpoiledRegistryError {
    /// The certificate could not be made.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// The credentials could not be written.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A port, client or thread could not be had.
    #[error("failed to {what}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

/// The proxy; it ends with this. The registry behind it is another's.
#[derive(Debug)]
pub struct SpoiledRegistry {
    address: String,
    auth_file: Utf8PathBuf,
    docker_config: String,
    ip: Ipv4Addr,
    tls: RustlsConfig,
    fault: Arc<Mutex<Option<Fault>>>,
    handle: Handle<SocketAddr>,
}

/// What a proxy stands before, and where its clients find it.
pub(crate) struct Front<'a> {
    /// The authority of the proxy's certificate, and of the registry's.
    pub(crate) pki: &'a Pki,
    /// When the proxy's certificate is valid, if not always.
    pub(crate) validity: Option<Validity>,
    /// Where the proxy listens, on a free port.
    pub(crate) ip: Ipv4Addr,
    /// Where the registry listens, `IP:PORT`.
    pub(crate) behind: &'a str,
    /// A user of the registry.
    pub(crate) user: &'a str,
    /// The user's password.
    pub(crate) password: &'a str,
    /// Where the user's credentials for the proxy are written.
    pub(crate) auth_file: Utf8PathBuf,
}

#[derive(Debug, Clone)]
struct Shared {
    behind: String,
    client: reqwest::Client,
    fault: Arc<Mutex<Option<Fault>>>,
}

impl SpoiledRegistry {
    /// Starts a proxy; nothing is spoiled yet.
    pub(crate) fn before(front: Front<'_>) -> Result<Self, SpoiledRegistryError> {
        let Front { pki, validity, ip, behind, user, password, auth_file } = front;
        let io = |what| move |source| SpoiledRegistryError::Io { what, source };
        let own = certificate(pki, ip, validity)?;
        let listen = "listen before a registry";
        let listener = TcpListener::bind((ip, 0)).map_err(io(listen))?;
        listener.set_nonblocking(true).map_err(io(listen))?;
        let address = listener.local_addr().map_err(io(listen))?.to_string();
        let docker_config = files::docker_config(&address, user, password);
        layout::write_whole(&auth_file, &docker_config, 0o600)?;
        let fault = Arc::new(Mutex::new(None));
        let shared = Shared {
            behind: behind.to_owned(),
            client: client(pki.ca_pem()).map_err(io("make a client of the registry"))?,
            fault: Arc::clone(&fault),
        };
        let (handle, tls) = (Handle::new(), RustlsConfig::from_config(server(&own).map_err(io(PRESENT))?));
        let serving = serve(listener, tls.clone(), handle.clone(), shared);
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(io("make a runtime"))?;
        thread::Builder::new()
            .name("spoiled-registry".to_owned())
            .spawn(move || runtime.block_on(serving))
            .map_err(io("start a thread"))?;
        Ok(Self { address, auth_file, docker_config, ip, tls, fault, handle })
    }

    /// Has another certificate from now on, by the authority of the one before: it is valid then, if that is told, and at no
    /// other time. Connections that are open stay.
    pub fn renew(&self, pki: &Pki, validity: Option<Validity>) -> Result<(), SpoiledRegistryError> {
        let own = certificate(pki, self.ip, validity)?;
        let config = server(&own).map_err(|source| SpoiledRegistryError::Io { what: PRESENT, source })?;
        self.tls.reload_from_config(config);
        Ok(())
    }

    /// `IP:PORT`, the first part of the names of its images.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// A file with the user's credentials.
    pub fn auth_file(&self) -> Utf8PathBuf {
        self.auth_file.clone()
    }

    /// The user's credentials, as auth files and secrets hold them.
    pub fn docker_config(&self) -> String {
        self.docker_config.clone()
    }

    /// Spoils answers from now on; none heals.
    pub fn spoil(&self, fault: Option<Fault>) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    /// How many answers the fault has yet to spoil.
    pub fn left(&self) -> usize {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map_or(0, |fault| fault.times)
    }
}

impl Drop for SpoiledRegistry {
    fn drop(&mut self) {
        self.handle.shutdown();
    }
}

fn client(authority: &str) -> io::Result<reqwest::Client> {
    // A process has one provider; whoever came first has chosen the same.
    let _already_chosen = rustls::crypto::ring::default_provider().install_default();
    let authority = reqwest::Certificate::from_pem(authority.as_bytes()).map_err(io::Error::other)?;
    reqwest::Client::builder().no_proxy().tls_certs_only([authority]).build().map_err(io::Error::other)
}

const PRESENT: &str = "present a certificate";

fn certificate(pki: &Pki, ip: Ipv4Addr, validity: Option<Validity>) -> Result<PemPair, PkiError> {
    pki.issue_server_valid("spoiled", &[], &[ip.into()], validity)
}

fn server(own: &PemPair) -> io::Result<Arc<ServerConfig>> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(own.certificate.as_bytes()).collect();
    let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).map_err(io::Error::other)?;
    let builder = ServerConfig::builder().with_no_client_auth();
    builder.with_single_cert(chain.map_err(io::Error::other)?, key).map(Arc::new).map_err(io::Error::other)
}

async fn serve(listener: TcpListener, tls: RustlsConfig, handle: Handle<SocketAddr>, shared: Shared) -> io::Result<()> {
    let router = Router::new().fallback(answer).with_state(shared);
    axum_server::from_tcp_rustls(listener, tls)?.handle(handle).serve(router.into_make_service()).await
}

impl Shared {
    /// What shall go wrong with this request, if anything.
    fn wrong(&self, method: &Method, path: &str) -> Option<Wrong> {
        let mut fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        let fault = fault.as_mut().filter(|fault| fault.times > 0)?;
        if fault.method != *method || !path.contains(&*fault.path) {
            return None;
        }
        fault.times -= 1;
        Some(fault.wrong.clone())
    }

    /// What the registry answers.
    async fn ask(&self, request: Request, wrong: Option<&Wrong>) -> Result<(StatusCode, HeaderMap, Bytes), String> {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let body = match wrong {
            Some(Wrong::Slow { piece, pause }) => read_slowly(body, *piece, *pause).await,
            _ => to_bytes(body, usize::MAX).await,
        };
        let body = body.map_err(|error| error.to_string())?;
        let asked = self.client.request(parts.method, format!("https://{}{path}", self.behind));
        let answer = asked.headers(parts.headers).body(body).send().await.map_err(|error| error.to_string())?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        Ok((status, headers, answer.bytes().await.map_err(|error| error.to_string())?))
    }
}

async fn answer(State(shared): State<Shared>, request: Request) -> Response<Body> {
    let wrong = shared.wrong(request.method(), request.uri().path());
    let mut response = Response::new(Body::empty());
    if let Some(Wrong::Status(status, headers)) = wrong {
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::NOT_IMPLEMENTED);
        for (name, value) in headers {
            response.headers_mut().insert(*name, header::HeaderValue::from_static(value));
        }
        return response;
    }
    if let Some(Wrong::Dropped) = wrong {
        drop(request.into_body().into_data_stream().next().await);
        // The connection ends with the body, which fails before anything is sent.
        *response.body_mut() = Body::from_stream(stream::iter([Err::<Bytes, _>(reset())]));
        return response;
    }
    match shared.ask(request, wrong.as_ref()).await {
        Ok((status, mut headers, bytes)) => {
            headers.remove(header::TRANSFER_ENCODING);
            if matches!(wrong, Some(Wrong::Stalled)) && bytes.is_empty() {
                std::future::pending::<()>().await;
            }
            let body = spoil(wrong, &mut headers, bytes);
            *response.status_mut() = status;
            *response.headers_mut() = headers;
            *response.body_mut() = body;
        }
        Err(error) => {
            *response.status_mut() = StatusCode::BAD_GATEWAY;
            *response.body_mut() = Body::from(error);
        }
    }
    response
}

fn spoil(wrong: Option<Wrong>, headers: &mut HeaderMap, bytes: Bytes) -> Body {
    match wrong {
        Some(Wrong::Truncated) => {
            let half = bytes.slice(..bytes.len() / 2);
            Body::from_stream(stream::iter([Ok(half), Err(reset())]))
        }
        Some(Wrong::Stalled) => {
            let half = bytes.slice(..bytes.len() / 2);
            Body::from_stream(stream::iter([Ok::<_, io::Error>(half)]).chain(stream::pending()))
        }
        Some(Wrong::Slow { piece, pause }) => Body::from_stream(slowly(bytes, piece, pause)),
        Some(Wrong::Changed) => {
            let mut bytes = bytes.to_vec();
            if let Some(last) = bytes.last_mut() {
                *last = !*last;
            }
            Body::from(bytes)
        }
        Some(Wrong::OtherDigest) => {
            let other = format!("sha256:{}", "0".repeat(64));
            if let Ok(other) = other.parse() {
                headers.insert("docker-content-digest", other);
            }
            Body::from(bytes)
        }
        Some(Wrong::Status(..) | Wrong::Dropped) | None => Body::from(bytes),
    }
}

fn reset() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

/// Gives bytes in pieces, with a pause before each.
fn slowly(bytes: Bytes, piece: usize, pause: Duration) -> impl Stream<Item = io::Result<Bytes>> {
    stream::unfold(bytes, move |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        tokio::time::sleep(pause).await;
        let next = rest.split_to(piece.min(rest.len()));
        Some((Ok(next), rest))
    })
}

/// Takes a body, and pauses whenever another piece of it is there: whoever sends it has to wait.
async fn read_slowly(body: Body, piece: usize, pause: Duration) -> Result<Bytes, axum::Error> {
    let mut frames = body.into_data_stream();
    let (mut bytes, mut pauses) = (Vec::new(), 0);
    while let Some(frame) = frames.next().await {
        bytes.extend_from_slice(&frame?);
        while bytes.len() / piece > pauses {
            pauses += 1;
            tokio::time::sleep(pause).await;
        }
    }
    Ok(bytes.into())
}
