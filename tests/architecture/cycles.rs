//! Files of one crate do not use each other in a circle, so that each can be read after those it uses.

use crate::sources::{Source, crate_folders, identifiers_only, sources};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

/// Circles that are accepted, each with the beginnings of its files' paths, and the reason.
const ACCEPTED: &[(&[&str], &str)] = &[(
    &["api/src/graphql/agent", "api/src/graphql/task", "api/src/graphql/call"],
    "the types of GraphQL are a graph: an agent has tasks and calls, and these have an agent",
)];

/// A path of names, such as `crate::relay::fence` without `crate`.
type Names = Vec<String>;

/// A file of a crate as a module.
struct Module {
    file: String,
    names: Names,
    imports: Vec<Import>,
    /// Paths in the code itself.
    paths: Vec<Names>,
    /// All names in the code, except for imports.
    words: BTreeSet<String>,
}

/// One name that a `use` brings into a module.
struct Import {
    /// The name in the module; `*` for all names.
    name: String,
    path: Names,
    is_public: bool,
}

fn words(code: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = code;
    while let Some(first) = rest.chars().next() {
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        let end = if is_name(first) {
            rest.find(|c| !is_name(c)).unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        if !first.is_whitespace() {
            words.push(rest[..end].to_owned());
        }
        rest = &rest[end..];
    }
    words
}

/// The imports of a `use` tree. Returns the number of words that it takes.
fn tree(words: &[String], prefix: &[String], is_public: bool, found: &mut Vec<Import>) -> usize {
    let mut path = prefix.to_vec();
    let mut at = 0;
    while let Some(word) = words.get(at) {
        match word.as_str() {
            "::" => {}
            "{" => {
                at += 1;
                while words.get(at).is_some_and(|word| word != "}") {
                    at += tree(&words[at..], &path, is_public, found);
                    at += usize::from(words.get(at).is_some_and(|word| word == ","));
                }
                return at + 1;
            }
            "as" => {
                let name = words[at + 1].clone();
                found.push(Import { name, path, is_public });
                return at + 2;
            }
            "," | "}" | ";" => break,
            name => path.push(name.to_owned()),
        }
        at += 1;
    }
    if path.last().is_some_and(|name| name == "self") {
        path.pop();
    }
    found.push(Import { name: path.last().cloned().unwrap_or_default(), path, is_public });
    at
}

impl Module {
    fn new(source: &Source, folder: &Path) -> Self {
        let inside = source.path.strip_prefix(folder).unwrap().with_extension("");
        let mut names: Names = inside.iter().map(|name| name.to_string_lossy().into_owned()).collect();
        if names.last().is_some_and(|name| name == "mod") || names == ["lib"] {
            names.pop();
        }
        let words = words(&identifiers_only(&source.code));
        let mut module = Self {
            file: source.path.display().to_string(),
            names,
            imports: Vec::new(),
            paths: Vec::new(),
            words: BTreeSet::new(),
        };
        let mut at = 0;
        while let Some(word) = words.get(at) {
            // Not the `use<'a>` of a type.
            if word == "use" && words.get(at + 1).is_some_and(|next| next != "<") {
                let is_public = at > 0 && (words[at - 1] == "pub" || words[at - 1] == ")");
                at += 1;
                at += tree(&words[at..], &[], is_public, &mut module.imports);
            } else {
                let mut end = at + 1;
                while words.get(end).is_some_and(|word| word == "::") {
                    end += 2;
                }
                let path: Names = words[at..end.min(words.len())].iter().step_by(2).cloned().collect();
                module.words.extend(path.iter().cloned());
                module.paths.push(path);
                at = end;
            }
        }
        module
    }
}

/// The modules of one crate.
struct Crate(BTreeMap<Names, Module>);

impl Crate {
    /// The path from the root of the crate, if a path in a module begins in this crate.
    fn absolute(&self, module: &Module, path: &[String]) -> Option<Names> {
        let (first, rest) = path.split_first()?;
        let mut names = match first.as_str() {
            "crate" => Names::new(),
            "self" => module.names.clone(),
            "super" => module.names.split_last()?.1.to_vec(),
            _ => {
                let child = [module.names.as_slice(), std::slice::from_ref(first)].concat();
                self.0.contains_key(&child).then_some(child)?
            }
        };
        for name in rest {
            if name == "super" {
                names.pop();
            } else {
                names.push(name.clone());
            }
        }
        Some(names)
    }

    /// The module that defines what an absolute path names, through re-exports.
    fn definition(&self, path: &[String], depth: usize) -> Option<&Module> {
        let length = (0..=path.len()).rev().find(|length| self.0.contains_key(&path[..*length]))?;
        let (module, rest) = (&self.0[&path[..length]], &path[length..]);
        let Some((name, rest)) = rest.split_first().filter(|_| depth < 8) else { return Some(module) };
        let Some(import) = module.imports.iter().find(|import| import.name == *name) else { return Some(module) };
        match self.absolute(module, &import.path) {
            Some(target) => self.definition(&[target.as_slice(), rest].concat(), depth + 1),
            // An item of another crate.
            None => None,
        }
    }

    /// The files that the code of a module uses, except for those of the modules around it, which it extends. A re-export
    /// that its own code does not use is no use either.
    fn uses(&self, module: &Module) -> BTreeSet<&str> {
        let imports = module.imports.iter().filter(|import| !import.is_public || module.words.contains(&import.name));
        let paths = imports.map(|import| &import.path).chain(module.paths.iter().filter(|path| path.len() > 1));
        let absolute = paths.filter_map(|path| self.absolute(module, path));
        let used = absolute.filter_map(|path| self.definition(&path, 0));
        used.filter(|used| !module.names.starts_with(&used.names)).map(|used| used.file.as_str()).collect()
    }

    /// Groups of files that use each other in a circle.
    fn circles(&self) -> Vec<BTreeSet<&str>> {
        let uses = self.0.values().map(|module| (module.file.as_str(), self.uses(module))).collect();
        let reachable: BTreeMap<_, _> =
            self.0.values().map(|module| (module.file.as_str(), reach(&module.file, &uses))).collect();
        let circle = |file: &&str| -> BTreeSet<_> {
            let back = reachable[file].iter().copied().filter(|other| reachable[other].contains(file));
            back.collect()
        };
        let circles: BTreeSet<_> = reachable.keys().map(circle).filter(|circle| !circle.is_empty()).collect();
        circles.into_iter().collect()
    }
}

/// The files that a file uses, directly or through others.
fn reach<'a>(file: &str, uses: &HashMap<&str, BTreeSet<&'a str>>) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut next: Vec<_> = uses[file].iter().copied().collect();
    while let Some(file) = next.pop() {
        if found.insert(file) {
            next.extend(&uses[file]);
        }
    }
    found
}

fn crates(sources: &[Source]) -> Vec<Crate> {
    let of_crate = |name: &str| {
        let folder = Path::new(name).join("src");
        let modules = sources.iter().filter(|source| source.path.starts_with(&folder));
        let modules = modules.filter(|source| source.path.extension().is_some_and(|ending| ending == "rs"));
        let modules = modules.map(|source| Module::new(source, &folder));
        Crate(modules.map(|module| (module.names.clone(), module)).collect())
    };
    crate_folders().map(of_crate).collect()
}

/// Whether a circle is the accepted one with these beginnings of paths.
fn is_accepted(circle: &BTreeSet<&str>, beginnings: &[&str]) -> bool {
    circle.iter().all(|file| beginnings.iter().any(|beginning| file.starts_with(beginning)))
}

#[test]
fn files_of_a_crate_do_not_use_each_other_in_a_circle() {
    let crates = crates(&sources());
    for circle in crates.iter().flat_map(Crate::circles) {
        let is_accepted = ACCEPTED.iter().any(|(beginnings, _)| is_accepted(&circle, beginnings));
        assert!(is_accepted, "these files use each other in a circle: {circle:#?}");
    }
}

#[test]
fn accepted_circles_exist() {
    let crates = crates(&sources());
    let circles: Vec<_> = crates.iter().flat_map(Crate::circles).collect();
    for (beginnings, reason) in ACCEPTED {
        let exists = circles.iter().any(|circle| is_accepted(circle, beginnings));
        assert!(exists, "{beginnings:?} are no circle any more: remove it from ACCEPTED ({reason})");
    }
}

/// The control: circles are found through imports, paths and re-exports, and only there.
#[test]
fn planted_circles_are_detected() {
    let circles = |files: &[(&str, &str)]| -> Vec<String> {
        let source = |(path, code): &(&str, &str)| Source { path: path.into(), lines: 1, code: (*code).to_owned() };
        let sources: Vec<_> = files.iter().map(source).collect();
        let crates = crates(&sources);
        let circles = crates.iter().flat_map(Crate::circles);
        circles.map(|circle| circle.into_iter().collect::<Vec<_>>().join(" ")).collect()
    };
    let lib = ("api/src/lib.rs", "mod a; mod b; pub use a::A; pub use b::{B, C as D};");
    let a = ("api/src/a.rs", "use crate::b::{self, B}; fn f() {}");
    let both = ["api/src/a.rs api/src/b.rs"];
    assert!(circles(&[lib, a, ("api/src/b.rs", "struct B; // use crate::a;")]).is_empty());
    assert_eq!(circles(&[lib, a, ("api/src/b.rs", "use super::a::A;")]), both);
    assert_eq!(circles(&[lib, a, ("api/src/b.rs", "fn g() { crate::a::f() }")]), both);
    assert_eq!(circles(&[lib, a, ("api/src/b.rs", "use crate::A;")]), both, "through a re-export");
    assert!(circles(&[lib, a, ("api/src/b.rs", "use streams::A; fn a() { \"crate::a\" }")]).is_empty());
    let in_folder = [("api/src/a/mod.rs", "mod c; pub use c::C; struct E(C);"), ("api/src/a/c.rs", "use super::E;")];
    assert!(circles(&in_folder).is_empty(), "a file may extend the module around it");
    let uses_own_reexport = ("api/src/a.rs", "pub use crate::b::B; struct E(B);");
    assert_eq!(circles(&[uses_own_reexport, ("api/src/b.rs", "use crate::a::E;")]), both);
    assert!(circles(&[("api/src/a.rs", "pub use crate::b::B;"), ("api/src/b.rs", "use crate::a::E;")]).is_empty());
    assert!(!is_accepted(&BTreeSet::from(["api/src/a.rs", "api/src/b.rs"]), &["api/src/a"]));
}
