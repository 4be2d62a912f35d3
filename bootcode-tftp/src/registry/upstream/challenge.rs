//! What a registry asks for before it gives (RFC 9110, 11.6.1; the distribution project's token authentication).

use super::error::UpstreamError;

/// Where an anonymous token is had, and for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Challenge {
    pub(super) realm: String,
    pub(super) service: Option<String>,
    pub(super) scope: Option<String>,
}

impl Challenge {
    /// Reads `WWW-Authenticate: Bearer realm="..",service="..",scope=".."`; `None` where it is another scheme.
    pub(super) fn parse(header: &str) -> Option<Self> {
        let (scheme, mut rest) = header.trim().split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let (mut realm, mut service, mut scope) = (None, None, None);
        while let Some((key, after)) = rest.split_once('=') {
            let (value, after) = match after.strip_prefix('"') {
                // Commas may stand inside of quotes, as in scope="repository:a:pull,push".
                Some(quoted) => quoted.split_once('"')?,
                None => after.split_once(',').map_or((after, ""), |(value, rest)| (value.trim(), rest)),
            };
            match key.trim_matches([' ', ',']).to_ascii_lowercase().as_str() {
                "realm" => realm = Some(value.to_owned()),
                "service" => service = Some(value.to_owned()),
                "scope" => scope = Some(value.to_owned()),
                _ => {}
            }
            rest = after;
        }
        Some(Self { realm: realm?, service, scope })
    }

    /// The token's URL. A registry by https may not send us for it over plain HTTP.
    pub(super) fn url(&self, base: &reqwest::Url, repository: &str) -> Result<reqwest::Url, UpstreamError> {
        let wrong = |why: String| UpstreamError::Wrong { what: "its challenge".to_owned(), why };
        let mut url: reqwest::Url =
            self.realm.parse().map_err(|error| wrong(format!("the realm cannot be read: {error}")))?;
        if url.scheme() != "https" && url.scheme() != base.scheme() {
            return Err(wrong(format!("the realm is of {}://", url.scheme())));
        }
        let pull = format!("repository:{repository}:pull");
        {
            let mut query = url.query_pairs_mut();
            if let Some(service) = &self.service {
                query.append_pair("service", service);
            }
            query.append_pair("scope", self.scope.as_deref().unwrap_or(&pull));
        }
        Ok(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_of_registries_are_read_and_others_are_not() {
        let text = "Bearer realm=\"https://auth.example/token\",service=\"r.example\",scope=\"repository:a/b:pull,push\"";
        let challenge = Challenge::parse(text).unwrap();
        let url = challenge.url(&"https://r.example".parse().unwrap(), "a/b").unwrap();
        assert_eq!(
            url.as_str(),
            "https://auth.example/token?service=r.example&scope=repository%3Aa%2Fb%3Apull%2Cpush"
        );
        let bare = Challenge::parse("bearer realm=http://r.example/t, error=\"x\"").unwrap();
        let url = bare.url(&"http://r.example".parse().unwrap(), "a").unwrap();
        assert_eq!(url.as_str(), "http://r.example/t?scope=repository%3Aa%3Apull");
        assert!(bare.url(&"https://r.example".parse().unwrap(), "a").is_err(), "no token in plain");
        for wrong in ["", "Bearer", "Basic realm=\"x\"", "Bearer service=\"x\"", "Bearer realm=\"x"] {
            assert_eq!(Challenge::parse(wrong), None, "{wrong}");
        }
    }
}
