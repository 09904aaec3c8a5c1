"""The rows of monkey/hooks.def, which says at its beginning what kinds there are."""
import itertools
import re

HEADING = r'// (?P<about>[^:\n]+): (?P<file>.+\.(?:cpp|h).*)'
FAMILY = r'FAMILY\((?P<family>\w+)\)'
# The kinds that begin with a convention, and those that begin with the type of the result.
ROW = (r'(?:(?:HOOK|ALIAS|INNER|TRACK|TRACK_INNER|ALWAYS|ALWAYS_INNER|VARIADIC|VARIADIC_INNER)\(\w+,\s*[^,]+'
       r'|(?:WORK|PATH|PATH_INNER|GONE|MADE|MOVED|ASSEMBLY)\([^,]+),\s*(?P<symbol>\w+)\s*[,)]')


def rows(root):
    """[((what the section is about, its file), its family, the symbol)]"""
    found, heading, family = [], None, None
    for each in re.finditer(f'^(?:{HEADING}$|{FAMILY}$|{ROW})', (root / 'monkey/hooks.def').read_text(), re.M):
        heading = (each['about'], each['file']) if each['about'] else heading
        family = each['family'] or family
        if each['symbol']:
            found.append((heading, family, each['symbol']))
    return found


def sections(root):
    """[(what the section is about, its file, its family, its symbols)]"""
    return [(*heading, family, [row[2] for row in group])
            for (heading, family), group in itertools.groupby(rows(root), key=lambda row: row[:2])]
