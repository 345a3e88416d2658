//! What an eBPF object must be and must not contain, so that kernels load it and packets pass it fast.

use std::collections::BTreeSet;
use std::fmt;

use anyhow::{Context, Result, bail};
use object::read::elf::{ElfFile64, ElfSection64};
use object::{
    Endianness, Object, ObjectSection, ObjectSymbol, RelocationTarget, SectionIndex, SectionKind,
    SymbolKind,
};
use rustc_demangle::demangle;

use super::calls::{self, INSTRUCTION_BYTES};

type Elf<'data> = ElfFile64<'data, Endianness>;

/// Where an object is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Host,
    /// A network card: its maps have no flags, so there is none for constants and global variables.
    Card,
}

/// What is in a good object.
#[derive(Debug)]
pub(crate) struct Report {
    programs: Vec<String>,
    instructions: usize,
    license: String,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} instructions in {} ({})",
            self.instructions,
            self.programs.join(", "),
            self.license
        )
    }
}

/// Reads the object and lists everything that is wrong with it in one error.
pub(crate) fn check(bytes: &[u8], place: Place) -> Result<Report> {
    let elf = Elf::parse(bytes).context("not a 64-bit ELF file")?;
    let license = license(&elf)?;
    if elf.section_by_name(".BTF").is_none() {
        bail!("no section .BTF: the linker needs --btf and rustc -Cdebuginfo=2");
    }
    let mut report = Report { programs: Vec::new(), instructions: 0, license };
    let mut complaints = BTreeSet::new();
    for section in elf.sections().filter(|section| section.kind() == SectionKind::Text) {
        report.instructions += usize::try_from(section.size())? / INSTRUCTION_BYTES;
        if section.name()? != ".text" {
            report.programs.extend(functions(&elf, section.index()).map(|(_, _, name)| name));
        }
        complain(&elf, &section, &mut complaints)?;
    }
    if place == Place::Card {
        complaints.extend(global_data(&elf)?);
    }
    if report.programs.is_empty() {
        bail!("no program: no section with code but .text");
    }
    if !complaints.is_empty() {
        bail!("{}", complaints.into_iter().collect::<Vec<_>>().join("; "));
    }
    Ok(report)
}

fn license(elf: &Elf<'_>) -> Result<String> {
    let section =
        elf.section_by_name("license").context("no section `license`: helpers would be refused")?;
    let text = String::from_utf8_lossy(section.data()?).trim_end_matches('\0').to_owned();
    if text != "Dual MIT/GPL" {
        bail!("licence is {text:?}, not \"Dual MIT/GPL\"");
    }
    Ok(text)
}

/// A line for every section that loaders make a map of.
fn global_data(elf: &Elf<'_>) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for section in elf.sections().filter(|section| section.size() > 0) {
        let name = section.name()?;
        let is_data = [".rodata", ".data", ".bss"].iter().any(|kind| {
            name == *kind || name.strip_prefix(kind).is_some_and(|rest| rest.starts_with('.'))
        });
        if is_data {
            found.push(format!(
                "{} bytes in {name}: a card takes no constants or global variables; compute instead of looking up \
                 in a table, and read options from a map",
                section.size()
            ));
        }
    }
    Ok(found)
}

/// Adds a line for every call in the section that should not be there.
fn complain(
    elf: &Elf<'_>,
    section: &ElfSection64<'_, '_, Endianness>,
    found: &mut BTreeSet<String>,
) -> Result<()> {
    for call in calls::calls(section.data()?) {
        let relocation = section.relocations().find(|(offset, _)| *offset == call.offset);
        let callee = match relocation.map(|(_, relocation)| relocation.target()) {
            Some(RelocationTarget::Symbol(index)) => {
                let symbol = elf.symbol_by_index(index)?;
                if symbol.kind() == SymbolKind::Section {
                    let section =
                        symbol.section_index().context("a section symbol of no section")?;
                    call.target_in_section().and_then(|offset| function_at(elf, section, offset))
                } else {
                    Some(symbol.name()?.to_owned())
                }
            }
            Some(_) => None,
            None => call.target().and_then(|offset| function_at(elf, section.index(), offset)),
        };
        let Some(callee) = callee else { continue };
        if let Some(why) = unwanted(&callee) {
            let caller = function_at(elf, section.index(), call.offset).unwrap_or_default();
            found.insert(format!("{:#} calls {:#}: {why}", demangle(&caller), demangle(&callee)));
        }
    }
    Ok(())
}

/// Why a function has no place in a packet's way.
fn unwanted(name: &str) -> Option<&'static str> {
    if matches!(name, "memcpy" | "memmove" | "memset" | "memcmp" | "bcmp") {
        return Some(
            "byte by byte it costs as much as a map lookup; write words, or use ptr::copy_nonoverlapping \
             with a constant length",
        );
    }
    // Legacy and v0 mangling both keep the name readable.
    if name.contains("panic") || name.contains("unwrap_failed") || name.contains("expect_failed") {
        return Some("loaders refuse an object that can panic; use get() instead of an index");
    }
    None
}

/// The functions of a section: start, size, name.
fn functions<'a>(
    elf: &'a Elf<'_>,
    section: SectionIndex,
) -> impl Iterator<Item = (u64, u64, String)> + 'a {
    elf.symbols()
        .filter(move |symbol| {
            symbol.kind() == SymbolKind::Text && symbol.section_index() == Some(section)
        })
        .filter_map(|symbol| {
            Some((symbol.address(), symbol.size(), symbol.name().ok()?.to_owned()))
        })
}

/// The function that contains an offset of a section.
fn function_at(elf: &Elf<'_>, section: SectionIndex, offset: u64) -> Option<String> {
    functions(elf, section)
        .find(|(start, size, _)| (*start..start.saturating_add((*size).max(1))).contains(&offset))
        .map(|(_, _, name)| name)
}

#[cfg(test)]
mod tests {
    use object::write::{Object as NewObject, Relocation, StandardSection, Symbol, SymbolSection};
    use object::{Architecture, BinaryFormat, RelocationFlags, SymbolFlags, SymbolScope, elf};

    use super::*;

    const CALL: [u8; 8] = [0x85, 0x10, 0, 0, 0xff, 0xff, 0xff, 0xff];
    const EXIT: [u8; 8] = [0x95, 0, 0, 0, 0, 0, 0, 0];

    fn function(name: &str, section: SymbolSection, value: u64, size: u64) -> Symbol {
        Symbol {
            name: name.as_bytes().to_vec(),
            value,
            size,
            kind: SymbolKind::Text,
            scope: SymbolScope::Linkage,
            weak: false,
            section,
            flags: SymbolFlags::None,
        }
    }

    /// An object whose program `gateway` calls `callee`, which is in .text; by its name or by the section's.
    fn object_calling(callee: &str, by_section: bool, license: &[u8]) -> Vec<u8> {
        let mut object =
            NewObject::new(BinaryFormat::Elf, Architecture::Bpf, object::Endianness::Little);
        for (name, data) in [("license", license), (".BTF", &[0_u8; 4])] {
            let section =
                object.add_section(Vec::new(), name.as_bytes().to_vec(), SectionKind::Data);
            object.append_section_data(section, data, 8);
        }
        let text = object.section_id(StandardSection::Text);
        object.append_section_data(text, &[EXIT, EXIT].concat(), 8);
        let named = object.add_symbol(function(callee, SymbolSection::Section(text), 8, 8));
        let program = object.add_section(Vec::new(), b"xdp".to_vec(), SectionKind::Text);
        let mut code = [CALL, EXIT].concat();
        if by_section {
            code[4..8].copy_from_slice(&0_i32.to_le_bytes());
        }
        object.append_section_data(program, &code, 8);
        object.add_symbol(function("gateway", SymbolSection::Section(program), 0, 16));
        let symbol = if by_section { object.section_symbol(text) } else { named };
        let flags = RelocationFlags::Elf { r_type: elf::R_BPF_64_32 };
        object.add_relocation(program, Relocation { offset: 0, symbol, addend: 0, flags }).unwrap();
        object.write().unwrap()
    }

    #[test]
    fn a_plain_program_is_fit() {
        let report =
            check(&object_calling("next_hop", false, b"Dual MIT/GPL\0"), Place::Host).unwrap();
        assert_eq!(report.to_string(), "4 instructions in gateway (Dual MIT/GPL)");
    }

    #[test]
    fn memory_functions_fail_the_build_by_name_and_by_section() {
        for by_section in [false, true] {
            let error =
                check(&object_calling("memmove", by_section, b"Dual MIT/GPL\0"), Place::Host)
                    .unwrap_err();
            assert!(
                error.to_string().starts_with("gateway calls memmove: byte by byte"),
                "{error}"
            );
        }
    }

    #[test]
    fn panics_fail_the_build() {
        let name = "_ZN4core9panicking18panic_bounds_check17h0E";
        let error =
            check(&object_calling(name, false, b"Dual MIT/GPL\0"), Place::Host).unwrap_err();
        assert!(error.to_string().contains("loaders refuse an object that can panic"), "{error}");
    }

    #[test]
    fn the_licence_lets_helpers_be_called() {
        let error =
            check(&object_calling("next_hop", false, b"Proprietary\0"), Place::Host).unwrap_err();
        assert!(error.to_string().contains("not \"Dual MIT/GPL\""), "{error}");
    }
}
