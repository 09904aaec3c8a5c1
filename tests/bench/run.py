#!/usr/bin/python3
"""Runs the benchmarks of a build, and keeps their figures: scripts/bench.

usage: run.py BUILD INTO [--list] [NAME…]

Each is a program that prints its rows, and appends them as lines of JSON to the file that COIR_BENCH_JSON names (sides.h).
Here they become INTO/NAME.json and a chart, INTO/NAME.svg.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import matplotlib

matplotlib.use('svg')
matplotlib.rcParams.update({'svg.hashsalt': 'coir',  # the same figures give the same file
                            'svg.fonttype': 'none'})
import matplotlib.pyplot as plot


def benchmarks(build):
    told = subprocess.run(['meson', 'introspect', '--benchmarks', build], check=True, stdout=subprocess.PIPE).stdout
    return {each['name']: each for each in json.loads(told)}


def build_what_they_need(build, chosen):
    told = subprocess.run(['meson', 'introspect', '--targets', build], check=True, stdout=subprocess.PIPE).stdout
    files = {each['id']: each['filename'] for each in json.loads(told)}
    needed = sorted({os.path.relpath(file, build) for each in chosen for target in each['depends'] for file in files[target]})
    subprocess.run(['ninja', '-C', build, *needed], check=True, stdout=subprocess.DEVNULL)


def rows_of(build, bench):
    with tempfile.NamedTemporaryFile(mode='r', suffix='.json') as rows:
        done = subprocess.run(bench['cmd'], cwd=build, env={**os.environ, **bench['env'], 'COIR_BENCH_JSON': rows.name})
        if done.returncode:
            raise SystemExit(f'bench: {bench["name"]} could not measure: status {done.returncode}')
        return [json.loads(line) for line in rows]


def chart(rows, file):
    """A row of the table is a panel: its sides' medians, on a logarithmic axis, with the targets as lines."""
    heights = [len(row['sides']) + 1.5 for row in rows]
    figure, panels = plot.subplots(len(rows), 1, figsize=(8, sum(heights) * 0.3), squeeze=False,
                                   gridspec_kw={'height_ratios': heights})
    for row, panel in zip(rows, panels[:, 0]):
        names = [side['name'] for side in row['sides']]
        values = [side['median'] for side in row['sides']]
        colours = ['#999999' if i == 0 else '#0b7285' if name.startswith(('coir', 'plain')) else '#ced4da'
                   for i, name in enumerate(names)]
        bars = panel.barh(names, values, color=colours)
        panel.bar_label(bars, [f' {value:.4g} {row["unit"]}' for value in values], fontsize=8)
        for target in row['targets']:
            panel.axvline(target['most'], color='#2b8a3e' if target['met'] else '#c92a2a', linewidth=1, linestyle='--')
        panel.set_xscale('log')
        panel.set_xlim(min([*values, *(target['most'] for target in row['targets'])]) / 2, max(values) * 4)
        panel.invert_yaxis()
        panel.set_title(row['work'], fontsize=9, loc='left')
        panel.tick_params(labelsize=8)
        panel.spines[['top', 'right']].set_visible(False)
    figure.tight_layout()
    figure.savefig(file, metadata={'Date': None})
    plot.close(figure)


def main():
    parser = argparse.ArgumentParser(prog='scripts/bench')
    parser.add_argument('build')
    parser.add_argument('into', type=pathlib.Path)
    parser.add_argument('--list', action='store_true')
    parser.add_argument('names', nargs='*', metavar='NAME')
    options = parser.parse_args()
    known = benchmarks(options.build)
    if options.list:
        return print(*sorted(known), sep='\n')
    unknown = [name for name in options.names if name not in known]
    if unknown:
        parser.error(f'there is no benchmark {", ".join(unknown)}; there are {", ".join(sorted(known))}')
    chosen = [known[name] for name in options.names or sorted(known)]
    build_what_they_need(options.build, chosen)
    options.into.mkdir(parents=True, exist_ok=True)
    met = missed = 0
    for bench in chosen:
        print(f'== {bench["name"]}', flush=True)
        rows = rows_of(options.build, bench)
        if not rows:
            continue
        (options.into / f'{bench["name"]}.json').write_text(json.dumps(rows, indent=1, ensure_ascii=False) + '\n')
        chart(rows, options.into / f'{bench["name"]}.svg')
        targets = [target['met'] for row in rows for target in row['targets']]
        met += sum(targets)
        missed += len(targets) - sum(targets)
    print(f'{met} targets met, {missed} missed')


sys.exit(main())
