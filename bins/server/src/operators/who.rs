//! Who asks: the bearer of a token. Each request shows it; there are no sessions to steal.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bootcode_api::routes::Problem;
use zeroize::Zeroizing;

use super::tokens::Tokens;

/// What registry clients speak to; they know Basic only (RFC 7617).
const REGISTRY: &str = "/v2/";
/// What load balancers ask without a token: it says only that the server is up.
const OPEN: [&str; 2] = ["/healthz", "/readyz"];

/// Lets the bearers of tokens through, and whoever asks whether the server is up.
pub(super) async fn of_operators(State(tokens): State<Tokens>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if OPEN.contains(&path) {
        return next.run(request).await;
    }
    let Some(token) = shown(request.headers()) else {
        return refused(path, "show an operator's token: `bootcode --token-file FILE`");
    };
    // A file of some lines, read in no more time than a store's look-up takes.
    let name = match tokens.holder(&token) {
        Ok(Some(name)) => name,
        Ok(None) => {
            return refused(path, "this token is nobody's: `bootcode-server token add NAME` makes one");
        }
        Err(error) => {
            tracing::error!(%error, "operators' tokens cannot be read");
            let message = "the server cannot read its operators' tokens; its log says why".to_owned();
            return Problem::Unavailable { message }.into_response();
        }
    };
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        tracing::info!(operator = name, method = %request.method(), path, "asked by TCP");
    }
    next.run(request).await
}

/// The token that a request shows: as a bearer's (RFC 6750 2.1), or as anybody's password.
fn shown(headers: &HeaderMap) -> Option<Zeroizing<String>> {
    let (scheme, shown) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(Zeroizing::new(shown.trim().to_owned()));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = Zeroizing::new(String::from_utf8(STANDARD.decode(shown.trim()).ok()?).ok()?);
    pair.split_once(':').map(|(_, password)| Zeroizing::new(password.to_owned()))
}

fn refused(path: &str, message: &str) -> Response {
    let scheme = if path.starts_with(REGISTRY) { "Basic realm=\"bootcode\"" } else { "Bearer" };
    let mut response = Problem::Unauthorized { message: message.to_owned() }.into_response();
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(scheme));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_a_bearers_or_a_password() {
        let of = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
            shown(&headers).map(|token| token.to_string())
        };
        assert_eq!(of("Bearer bco_x").as_deref(), Some("bco_x"));
        assert_eq!(of("bearer  bco_x ").as_deref(), Some("bco_x"));
        assert_eq!(of(&format!("Basic {}", STANDARD.encode("ada:bco_x"))).as_deref(), Some("bco_x"));
        for none in ["", "bco_x", "Digest x", "Basic !", &format!("Basic {}", STANDARD.encode("ada"))] {
            assert_eq!(of(none), None, "{none}");
        }
        assert_eq!(shown(&HeaderMap::new()), None);
    }
}
