#!/usr/bin/python3
"""Every public function has a doc comment, doxygen renders them without a warning, and they tell on which thread each may
be called: in its own comment, in that of the function that it is "the same" as, or in that of its class, of a base of it
or of the class that it is nested in.

usage: reference.py SOURCE_ROOT
"""
import pathlib
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as xml

root = pathlib.Path(sys.argv[1])
with tempfile.TemporaryDirectory() as output:
    settings = (root / "docs/Doxyfile").read_text()
    settings += f"\nOUTPUT_DIRECTORY = {output}\nGENERATE_XML = YES\nXML_PROGRAMLISTING = NO\n"
    run = subprocess.run(["doxygen", "-"], input=settings, cwd=root, text=True, capture_output=True)
    pages = len(list(pathlib.Path(output).glob("html/*.html")))
    compounds = [each for path in pathlib.Path(output).glob("xml/*coir*.xml") for each in xml.parse(path).getroot()]
sys.stderr.write(run.stderr)
if run.returncode or run.stderr:
    sys.exit(f"doxygen: status {run.returncode}, {len(run.stderr.splitlines())} lines of warnings")

RULE = re.compile(r"\bthread\b|fiber that (made it|selects)")
AS_BEFORE = re.compile(r"(Parks\W+)?(The same|Another handle)\b")


def comment(of):
    parts = [of.find("briefdescription"), of.find("detaileddescription")]
    return " ".join("".join("".join(each.itertext()) for each in parts if each is not None).split())


classes = {each.findtext("compoundname"): each for each in compounds if each.get("kind") in ("class", "struct")}


def tells(name):
    """Whether a class, or what it is derived from or nested in, has a rule."""
    here = classes.get(re.sub(r"<.*", "", name).strip())
    if here is None:
        return name.startswith("std::")  # an exception
    bases = [base.text if "::" in base.text else "coir::" + base.text for base in here.findall("basecompoundref")]
    return bool(RULE.search(comment(here))) or any(tells(each) for each in [*bases, name.rpartition("::")[0]])


functions = 0
silent = []
for each in [*classes.values(), *(each for each in compounds if each.get("kind") == "namespace")]:
    name = each.findtext("compoundname")
    if each.get("prot") == "private" or tells(name):
        functions += len(each.findall(".//memberdef[@kind='function']"))
        continue
    before = ""
    for function in each.iterfind(".//memberdef[@kind='function']"):
        functions += 1
        said = comment(function)
        before = before + said if AS_BEFORE.match(said) else said
        if function.get("prot") == "public" and not RULE.search(before):
            silent.append(f"{name}::{function.findtext('name')}{function.findtext('argsstring')}")

print(f"{pages} pages, {functions} functions")
if silent or functions < 400:
    sys.exit("no word of the thread on which they may be called:\n" + "\n".join(sorted(silent)))
