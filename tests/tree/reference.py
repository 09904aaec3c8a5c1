#!/usr/bin/python3
"""Every public function has a doc comment, and doxygen renders them without a warning."""
import pathlib
import subprocess
import sys
import tempfile

root = pathlib.Path(sys.argv[1])
with tempfile.TemporaryDirectory() as output:
    settings = (root / "docs/Doxyfile").read_text() + f"\nOUTPUT_DIRECTORY = {output}\n"
    run = subprocess.run(["doxygen", "-"], input=settings, cwd=root, text=True, capture_output=True)
    pages = len(list(pathlib.Path(output).glob("html/*.html")))
sys.stderr.write(run.stderr)
if run.returncode or run.stderr:
    sys.exit(f"doxygen: status {run.returncode}, {len(run.stderr.splitlines())} lines of warnings")
print(f"{pages} pages")
