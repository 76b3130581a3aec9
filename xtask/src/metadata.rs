//! What `cargo metadata` says about the workspace.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::Value;

use crate::cargo::Cargo;
use crate::failure::Failure;

/// The workspace as cargo sees it.
#[derive(Debug)]
pub(crate) struct Metadata(Value);

impl Metadata {
    /// Asks cargo.
    pub(crate) fn read(cargo: &Cargo) -> Result<Self, Failure> {
        Self::parse(&cargo.output("metadata --no-deps --format-version 1")?)
    }

    /// Asks cargo for a package that is not in the workspace.
    pub(crate) fn read_package(cargo: &Cargo, manifest: &str) -> Result<Self, Failure> {
        let line = format!("metadata --no-deps --format-version 1 --manifest-path {manifest}");
        Self::parse(&cargo.output(&line)?)
    }

    fn parse(text: &str) -> Result<Self, Failure> {
        serde_json::from_str(text)
            .map(Self)
            .map_err(|error| Failure::Check(format!("cargo metadata gave something else than JSON: {error}")))
    }

    /// The directory that cargo builds into.
    pub(crate) fn target_directory(&self) -> Result<PathBuf, Failure> {
        let directory = self.0["target_directory"].as_str().map(PathBuf::from);
        directory.ok_or_else(|| Failure::Check("cargo metadata names no target directory".to_owned()))
    }

    /// The names of a package's examples, sorted.
    pub(crate) fn examples(&self, package: &str) -> Result<Vec<String>, Failure> {
        self.targets(package, "example")
    }

    /// The names of a package's programs, sorted.
    pub(crate) fn binaries(&self, package: &str) -> Result<Vec<String>, Failure> {
        self.targets(package, "bin")
    }

    /// The names of a package's features without `default`, sorted.
    pub(crate) fn features(&self, package: &str) -> Result<Vec<String>, Failure> {
        let features = self.package(package)?["features"].as_object();
        let names = features.into_iter().flat_map(|features| features.keys());
        let mut names: Vec<_> = names.filter(|name| *name != "default").cloned().collect();
        names.sort();
        Ok(names)
    }

    /// The features of a package that switch `other` on, by themselves or through others, `other` included.
    pub(crate) fn features_with(&self, package: &str, other: &str) -> Result<BTreeSet<String>, Failure> {
        let features = self.package(package)?["features"].as_object().cloned().unwrap_or_default();
        let mut with = BTreeSet::from([other.to_owned()]);
        // Each round finds what switches on something found before.
        while let Some((found, _)) = features.iter().find(|(name, needs)| {
            let mut needs = needs.as_array().map_or(&[][..], Vec::as_slice).iter();
            !with.contains(*name) && needs.any(|need| need.as_str().is_some_and(|need| with.contains(need)))
        }) {
            with.insert(found.clone());
        }
        Ok(with)
    }

    fn targets(&self, package: &str, kind: &str) -> Result<Vec<String>, Failure> {
        let targets = self.package(package)?["targets"].as_array().map_or(&[][..], Vec::as_slice);
        let wanted = targets.iter().filter(|target| target["kind"][0] == kind);
        let mut names: Vec<_> =
            wanted.filter_map(|target| target["name"].as_str().map(str::to_owned)).collect();
        names.sort();
        Ok(names)
    }

    fn package(&self, name: &str) -> Result<&Value, Failure> {
        let packages = self.0["packages"].as_array().map_or(&[][..], Vec::as_slice);
        packages
            .iter()
            .find(|package| package["name"] == name)
            .ok_or_else(|| Failure::Check(format!("the workspace has no package {name}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"packages":[
        {"name":"other","features":{},"targets":[{"kind":["example"],"name":"foreign"}]},
        {"name":"shown","features":{"default":["tcp"],"ws":["tcp"],"tcp":[]},"targets":[
            {"kind":["lib"],"name":"shown"},
            {"kind":["bin"],"crate_types":["bin"],"name":"program"},
            {"kind":["example"],"crate_types":["bin"],"name":"second"},
            {"kind":["example"],"crate_types":["bin"],"name":"first"}]}]}"#;

    #[test]
    fn examples_and_programs_are_those_of_the_package() {
        let metadata = Metadata::parse(TEXT).unwrap();
        assert_eq!(metadata.binaries("shown").unwrap(), ["program"]);
        assert!(metadata.binaries("other").unwrap().is_empty());
        assert_eq!(metadata.examples("shown").unwrap(), ["first", "second"]);
    }

    #[test]
    fn features_leave_out_the_default_set() {
        let metadata = Metadata::parse(TEXT).unwrap();
        assert_eq!(metadata.features("shown").unwrap(), ["tcp", "ws"]);
        assert!(metadata.features("other").unwrap().is_empty());
    }

    #[test]
    fn a_feature_is_switched_on_through_others() {
        let metadata = Metadata::parse(TEXT).unwrap();
        let with = |other| metadata.features_with("shown", other).unwrap().into_iter().collect::<Vec<_>>();
        assert_eq!(with("tcp"), ["default", "tcp", "ws"]);
        assert_eq!(with("ws"), ["ws"]);
    }

    #[test]
    fn an_unknown_package_is_an_error_and_not_an_empty_list() {
        let failure = Metadata::parse(TEXT).unwrap().examples("shwon").unwrap_err();
        assert_eq!(failure.to_string(), "the workspace has no package shwon");
    }
}
