//! The values of a tenant that no answer to another tenant may have.

use std::collections::{BTreeSet, HashMap};

/// Values of one tenant, each with the forms in which it may be written.
#[derive(Debug, Clone, Default)]
pub(super) struct Canaries {
    known: Vec<Canary>,
}

#[derive(Debug, Clone)]
struct Canary {
    what: String,
    forms: Vec<String>,
    /// Not even its own tenant is shown it.
    is_secret: bool,
}

impl Canaries {
    /// Adds a value. One of few characters would be found by chance.
    pub(super) fn add(&mut self, what: &str, forms: &[&str]) {
        assert!(forms.iter().all(|form| form.len() >= 9), "{what}: {forms:?} may be found by chance");
        self.known.push(Canary {
            what: what.to_owned(),
            forms: forms.iter().map(|form| (*form).to_owned()).collect(),
            is_secret: false,
        });
    }

    /// Adds a value that is shown once, when it is made.
    pub(super) fn add_secret(&mut self, secret: &str) {
        self.add("secret", &[secret]);
        if let Some(last) = self.known.last_mut() {
            last.is_secret = true;
        }
    }

    /// The values in an answer, but those that the request has: what a client says, it may be told.
    pub(super) fn found_in(&self, answer: &str, request: &str) -> BTreeSet<&str> {
        let said = |canary: &&Canary| canary.forms.iter().any(|form| request.contains(form.as_str()));
        let found = self.search(answer).into_iter().map(|number| &self.known[number]);
        found.filter(|canary| !said(canary)).map(|canary| canary.what.as_str()).collect()
    }

    /// The values in a text, all searched for in one pass: a pass for each takes most of the time of a test without
    /// optimization.
    fn search(&self, text: &str) -> BTreeSet<usize> {
        let mut by_beginning: HashMap<&[u8], Vec<(usize, &[u8])>> = HashMap::new();
        let mut is_beginning = vec![false; 1 << 16];
        let place = |pair: &[u8]| usize::from(pair[0]) << 8 | usize::from(pair[1]);
        for (number, canary) in self.known.iter().enumerate() {
            for form in canary.forms.iter().map(String::as_bytes) {
                is_beginning[place(form)] = true;
                by_beginning.entry(&form[..2]).or_default().push((number, form));
            }
        }
        let (text, mut found) = (text.as_bytes(), BTreeSet::new());
        for (at, pair) in text.windows(2).enumerate() {
            if is_beginning[place(pair)] {
                let here = by_beginning[pair].iter().filter(|(_, form)| text[at..].starts_with(form));
                found.extend(here.map(|(number, _)| *number));
            }
        }
        found
    }

    /// The values that their own tenant is shown.
    pub(super) fn shown(&self) -> BTreeSet<&str> {
        self.known.iter().filter(|canary| !canary.is_secret).map(|canary| canary.what.as_str()).collect()
    }

    /// The same values without those that a client has told the server: it may be shown them from then on.
    pub(super) fn without(&self, told: &str) -> Self {
        let is_told = |canary: &Canary| canary.forms.iter().any(|form| told.contains(form.as_str()));
        Self { known: self.known.iter().filter(|canary| !is_told(canary)).cloned().collect() }
    }
}

#[test]
fn a_value_is_found_in_each_of_its_forms_unless_the_request_has_it() {
    let mut canaries = Canaries::default();
    canaries.add("id", &["0190d5a2-7c3e", "QWdlbnQ6MDE5"]);
    canaries.add("name", &["the name of it"]);
    assert_eq!(canaries.found_in("{\"id\":\"QWdlbnQ6MDE5\"} the name of it", ""), ["id", "name"].into());
    assert_eq!(canaries.found_in("QWdlbnQ6MDE5, the name of it", "id=0190d5a2-7c3e"), ["name"].into());
    assert!(canaries.without("0190d5a2-7c3e").found_in("0190d5a2-7c3e", "").is_empty());
}
