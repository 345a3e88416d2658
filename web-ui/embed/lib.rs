//! The web console as files in the binary: what `cargo xtask build-console` made, or a page that says how to make it.

include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// A file of the console.
#[derive(Clone, Copy, Debug)]
pub struct Asset {
    /// Its path in the address, from `/`.
    pub path: &'static str,
    /// Its content.
    pub bytes: &'static [u8],
    /// The same, compressed with gzip, where that is shorter.
    pub gzip: Option<&'static [u8]>,
    /// Its media type.
    pub content_type: &'static str,
    /// Its entity tag (RFC 9110, section 8.8.3), quotes included.
    pub etag: &'static str,
    /// Whether its name changes with its content, so that it may be kept for ever.
    pub immutable: bool,
}

/// The first parts of the addresses of pages. The program in the page tells them apart; all of them are one file.
pub const PAGES: [&str; 15] = [
    "",
    "placement",
    "services",
    "prefilters",
    "links",
    "events",
    "trace",
    "changes",
    "account",
    "users",
    "audit",
    "system",
    "sign-in",
    "setup",
    "tunnels",
];

const NOT_BUILT: Asset = Asset {
    path: "/index.html",
    bytes: include_bytes!("not-built.html"),
    gzip: None,
    content_type: "text/html; charset=utf-8",
    etag: "\"not-built\"",
    immutable: false,
};

/// The file for a path: a page, or what a page needs. `None` for everything else.
#[must_use]
pub fn asset(path: &str) -> Option<Asset> {
    let first = path.strip_prefix('/')?.split('/').next()?;
    if PAGES.contains(&first) {
        return Some(file("/index.html").unwrap_or(NOT_BUILT));
    }
    file(path)
}

/// Whether there is a console in this binary.
#[must_use]
pub const fn is_built() -> bool {
    !FILES.is_empty()
}

fn file(path: &str) -> Option<Asset> {
    FILES.iter().find(|asset| asset.path == path).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_is_one_file_and_nothing_else_is_found() {
        for path in ["/", "/services", "/services/web", "/changes/12"] {
            let page = asset(path).unwrap_or(NOT_BUILT);
            assert_eq!(page.path, "/index.html", "{path}");
            assert!(page.content_type.starts_with("text/html") && !page.immutable);
        }
        for path in ["", "services", "/v1/services", "/openapi.json", "/metrics", "/../Cargo.toml"]
        {
            assert!(asset(path).is_none(), "{path}");
        }
    }

    #[test]
    fn the_pages_are_those_of_the_program_in_the_page() {
        let routes = include_str!("../src/pages.json");
        for page in PAGES.iter().filter(|page| !page.is_empty()) {
            assert!(routes.contains(&format!("\"{page}\"")), "{page} is not in src/pages.json");
        }
        assert_eq!(routes.matches('"').count() / 2, PAGES.len());
    }

    #[test]
    fn what_may_be_kept_for_ever_is_named_after_its_content() {
        for asset in FILES {
            assert_eq!(asset.immutable, asset.path.starts_with("/assets/"), "{}", asset.path);
            assert!(asset.gzip.is_none_or(|packed| packed.len() < asset.bytes.len()));
        }
        assert_eq!(is_built(), file("/index.html").is_some());
    }
}
