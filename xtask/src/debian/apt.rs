//! An apt of our own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{paths, run};

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// An apt whose sources, lists and state are below `.cache`, so that the machine's own configuration stays as it is.
/// To it nothing is installed: whatever a package depends on is downloaded too.
pub(crate) struct PrivateApt {
    folder: PathBuf,
}

impl PrivateApt {
    /// In the folder `.cache/apt/NAME`, with the current lists of the suites. Where several have a package, the last of
    /// them is preferred.
    ///
    /// # Errors
    /// When the mirror has no such suite, or cannot be reached.
    pub(crate) fn create(name: &str, mirror: &str, suites: &[&str]) -> Result<Self> {
        let folder = paths::cache().join("apt").join(name);
        fs::create_dir_all(folder.join("lists/partial"))?;
        fs::create_dir_all(folder.join("archives/partial"))?;
        let sources: String = suites
            .iter()
            .map(|suite| format!("deb [signed-by={KEYRING}] {mirror} {suite} main\n"))
            .collect();
        fs::write(folder.join("sources.list"), sources)?;
        fs::write(folder.join("status"), "")?;
        if let Some(preferred) = suites.last() {
            let configuration = format!("APT::Default-Release \"{preferred}\";\n");
            fs::write(folder.join("apt.conf"), configuration)?;
        }
        let apt = PrivateApt { folder };
        run::output(apt.command("apt-get").arg("update"))?;
        Ok(apt)
    }

    /// What `apt-cache madison` says about a package: nothing when there is none.
    pub(crate) fn madison(&self, package: &str) -> Result<String> {
        run::output(self.command("apt-cache").args(["madison", package]))
    }

    /// The names of all packages that begin so.
    pub(crate) fn names(&self, beginning: &str) -> Result<Vec<String>> {
        let names = run::output(self.command("apt-cache").args(["pkgnames", beginning]))?;
        Ok(names.lines().map(str::to_owned).collect())
    }

    /// Downloads one package, `NAME=VERSION`, without what it depends on.
    pub(crate) fn download(&self, package: &str) -> Result<PathBuf> {
        remove_packages(&self.folder)?;
        run::output(self.command("apt-get").arg("download").arg(package))?;
        let mut files = packages_in(&self.folder)?;
        match (files.pop(), files.len()) {
            (Some(file), 0) => Ok(file),
            (_, others) => bail!("apt downloaded {others} files besides {package}"),
        }
    }

    /// Downloads packages and all that they depend on.
    pub(crate) fn download_with_dependencies(&self, packages: &[String]) -> Result<Vec<PathBuf>> {
        let archives = self.folder.join("archives");
        remove_packages(&archives)?;
        let mut command = self.command("apt-get");
        command.args(["install", "--download-only", "--yes", "--no-install-recommends"]);
        run::output(command.args(packages))?;
        packages_in(&archives)
    }

    /// Removes what was downloaded.
    pub(crate) fn forget_downloads(&self) -> Result<()> {
        remove_packages(&self.folder)?;
        remove_packages(&self.folder.join("archives"))
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let option =
            |name: &str, file: &str| format!("{name}={}", self.folder.join(file).display());
        let options = [
            option("Dir::State::Lists", "lists"),
            option("Dir::State::status", "status"),
            option("Dir::Cache", "."),
            option("Dir::Cache::archives", "archives"),
            option("Dir::Etc::sourcelist", "sources.list"),
            "Dir::Etc::sourceparts=/dev/null".to_owned(),
            // A pin of the machine's is about the machine's suites.
            "Dir::Etc::preferences=/dev/null".to_owned(),
            "Dir::Etc::preferencesparts=/dev/null".to_owned(),
            // The unprivileged user of apt's downloads cannot write below the repository.
            "APT::Sandbox::User=root".to_owned(),
            // Nothing of the machine's is touched, so nothing of the machine's needs a lock.
            "Debug::NoLocking=1".to_owned(),
        ];
        for option in options {
            command.arg("-o").arg(option);
        }
        command.arg("-c").arg(self.folder.join("apt.conf"));
        command.current_dir(&self.folder);
        command
    }
}

fn packages_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?
    {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            found.push(path);
        }
    }
    Ok(found)
}

/// What an interrupted download left would be unpacked with the next one.
fn remove_packages(folder: &Path) -> Result<()> {
    for file in packages_in(folder)? {
        fs::remove_file(file)?;
    }
    Ok(())
}
