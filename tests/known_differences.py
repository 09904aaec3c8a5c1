"""Lists of what ends otherwise with the shim all the same: a line each, `what — reason`. Empty lines, and those that
begin with #, are none."""


def known_differences(path):
    """{what: reason}"""
    known = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.startswith('#'):
            continue
        what, dash, reason = line.partition(' — ')
        if not dash or not reason.strip():
            raise SystemExit(f'{path.name}:{number}: no reason')
        known[what] = reason
    return known
