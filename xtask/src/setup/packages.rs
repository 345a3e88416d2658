//! Packages of the system.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::system::{Family, System};
use super::tools::{self, linker_is_there};
use super::{Need, State, Toolchain};
use crate::run;

/// A thing from the system's packages: how to see that it is there, and the package for each family.
struct Package {
    /// What one looks for, and the name in the table: a program, or a header of the C compiler's.
    program: &'static str,
    purpose: &'static str,
    debian: &'static [&'static str],
    fedora: &'static str,
    arch: &'static str,
}

const PROGRAMS: [Package; 7] = [
    Package {
        program: "cc",
        purpose: "links Rust programs, compiles the C parts of the cryptography library",
        debian: &["gcc", "libc6-dev"],
        fedora: "gcc",
        arch: "gcc",
    },
    Package {
        program: "ip",
        purpose: "builds the laboratory's network namespaces",
        debian: &["iproute2"],
        fedora: "iproute",
        arch: "iproute2",
    },
    Package {
        program: "ethtool",
        purpose: "sets the offloads of the laboratory's links",
        debian: &["ethtool"],
        fedora: "ethtool",
        arch: "ethtool",
    },
    Package {
        program: "make",
        purpose: "compiles libbpf, which loads programs for cards",
        debian: &["make"],
        fedora: "make",
        arch: "make",
    },
    Package {
        program: "pkg-config",
        purpose: "finds the libraries that libbpf needs",
        debian: &["pkg-config"],
        fedora: "pkgconf-pkg-config",
        arch: "pkgconf",
    },
    Package {
        program: "libelf.h",
        purpose: "libbpf reads ELF files with it",
        debian: &["libelf-dev"],
        fedora: "elfutils-libelf-devel",
        arch: "libelf",
    },
    Package {
        program: "zlib.h",
        purpose: "libbpf reads the kernel's configuration with it",
        debian: &["zlib1g-dev"],
        fedora: "zlib-ng-compat-devel",
        arch: "zlib",
    },
];

/// Where headers are.
const HEADERS: &str = "/usr/include";

/// What starts the virtual machine. Everything in it, its compiler too, is unpacked below `.cache`.
const VM_PROGRAMS: [Package; 1] = [Package {
    program: "qemu-system-x86_64",
    purpose: "starts the virtual machine of the tests",
    debian: &["qemu-system-x86"],
    fedora: "qemu-system-x86-core",
    arch: "qemu-system-x86",
}];

/// What builds the web console and looks at it. Debian's nodejs may be too old, see `node`.
const CONSOLE_PROGRAMS: [Package; 3] = [
    Package {
        program: "node",
        purpose: "builds the web console",
        debian: &["nodejs"],
        fedora: "nodejs",
        arch: "nodejs",
    },
    Package {
        program: "npm",
        purpose: "installs what the web console is built with",
        debian: &["npm"],
        fedora: "nodejs-npm",
        arch: "npm",
    },
    Package {
        program: "chromium",
        purpose: "looks at the web console in tests",
        debian: &["chromium"],
        fedora: "chromium",
        arch: "chromium",
    },
];

/// To compile bpf-linker: LLVM's headers and library, a C++ compiler for their glue.
const LINKER_BUILD: &str = "LLVM for bpf-linker";

/// What makes roots of Debian, for the test of the package and for the image.
const ROOT_PROGRAMS: [Package; 1] = [Package {
    program: "mmdebstrap",
    purpose: "makes the roots that the Debian package is tested in",
    debian: &["mmdebstrap"],
    fedora: "mmdebstrap",
    arch: "mmdebstrap",
}];

pub(crate) fn needs(system: &System, toolchain: &Toolchain) -> Vec<Need> {
    let mut needs: Vec<Need> = PROGRAMS.iter().map(need).collect();
    if !linker_is_there() {
        needs.push(Need {
            name: LINKER_BUILD.to_owned(),
            purpose: "bpf-linker is compiled with it",
            state: llvm_state(system, toolchain),
        });
    }
    needs
}

/// What the virtual machine needs besides.
pub(crate) fn for_vm() -> Vec<Need> {
    VM_PROGRAMS.iter().map(need).collect()
}

/// What the web console needs besides.
pub(crate) fn for_console() -> Vec<Need> {
    CONSOLE_PROGRAMS.iter().map(need).collect()
}

/// What roots of Debian are made with.
pub(crate) fn for_roots() -> Vec<Need> {
    ROOT_PROGRAMS.iter().map(need).collect()
}

fn need(package: &Package) -> Need {
    let found = if package.program.ends_with(".h") {
        Some(Path::new(HEADERS).join(package.program)).filter(|file| file.exists())
    } else {
        run::find_program(package.program)
    };
    Need {
        name: package.program.to_owned(),
        purpose: package.purpose,
        state: match found {
            Some(file) => State::Present(file.display().to_string()),
            None => State::Package,
        },
    }
}

fn llvm_state(system: &System, toolchain: &Toolchain) -> State {
    let major = tools::linker_llvm(toolchain.llvm_major);
    let prefix = tools::llvm_prefix(major);
    let found = match system.family() {
        Family::Debian => Path::new(&prefix).join("lib/libLLVM.so").exists(),
        _ => run::output(Command::new("llvm-config").arg("--version"))
            .is_ok_and(|version| version.starts_with(&format!("{major}."))),
    };
    let compiler = run::find_program("c++").is_some();
    if found && compiler { State::Present(format!("LLVM {major}")) } else { State::Package }
}

/// The names of the packages for everything that is missing.
pub(crate) fn missing(system: &System, toolchain: &Toolchain, needs: &[Need]) -> Vec<String> {
    let lacks = |name: &str| {
        needs.iter().any(|need| need.name == name && matches!(need.state, State::Package))
    };
    let mut names = Vec::new();
    let all = PROGRAMS.iter().chain(&VM_PROGRAMS).chain(&CONSOLE_PROGRAMS).chain(&ROOT_PROGRAMS);
    for package in all.filter(|package| lacks(package.program)) {
        match system.family() {
            Family::Debian => names.extend(package.debian.iter().map(|name| (*name).to_owned())),
            Family::Fedora => names.push(package.fedora.to_owned()),
            Family::Arch => names.push(package.arch.to_owned()),
            Family::Other => names.push(package.program.to_owned()),
        }
    }
    if lacks(LINKER_BUILD) {
        let major = tools::linker_llvm(toolchain.llvm_major);
        names.extend(match system.family() {
            Family::Debian => vec!["g++".to_owned(), format!("llvm-{major}-dev")],
            Family::Fedora => vec!["gcc-c++".to_owned(), "llvm-devel".to_owned()],
            Family::Arch => vec!["gcc".to_owned(), "llvm".to_owned()],
            Family::Other => vec!["c++".to_owned(), format!("LLVM {major} with its headers")],
        });
    }
    names
}

/// Installs with apt, as root.
pub(crate) fn install(packages: &[String]) -> Result<()> {
    let apt = || {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").args(["-q", "-o", "Dpkg::Use-Pty=0"]);
        command
    };
    run::run(apt().arg("update"))?;
    run::run(apt().args(["install", "--yes", "--no-install-recommends"]).args(packages)).context(
        "apt could not install the packages: are the release's main and security suites in its sources?",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_names_fit_the_compiler() {
        let needs = [
            Need { name: "cc".to_owned(), purpose: "", state: State::Package },
            Need { name: "ip".to_owned(), purpose: "", state: State::Present(String::new()) },
            Need { name: "libelf.h".to_owned(), purpose: "", state: State::Package },
            Need { name: "qemu-system-x86_64".to_owned(), purpose: "", state: State::Package },
            Need { name: LINKER_BUILD.to_owned(), purpose: "", state: State::Package },
        ];
        let names = missing(&System::read_as("debian"), &Toolchain::of_tests("1.95.0", 22), &needs);
        let expected = ["gcc", "libc6-dev", "libelf-dev", "qemu-system-x86", "g++", "llvm-22-dev"];
        assert_eq!(names, expected);
        let names = missing(&System::read_as("fedora"), &Toolchain::of_tests("1.95.0", 22), &needs);
        let expected =
            ["gcc", "elfutils-libelf-devel", "qemu-system-x86-core", "gcc-c++", "llvm-devel"];
        assert_eq!(names, expected);
    }
}
