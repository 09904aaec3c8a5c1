#!/usr/bin/python3
"""The three ways to use coir build a program that runs: installed with its .pc file, the shim preloaded from where the .pc
file says, and as a meson subproject.

usage: as_dependency.py SOURCE_ROOT BUILD_ROOT CXX...
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

root, build, compiler = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3:]

PROGRAM = """
#include <coir.h>
#include <cstdio>
#include <monkey/monkey.h>
#include <unistd.h>
int main() {
    int order = 0;
    auto slow = coir::spawn([&] { usleep(2000); order = order * 10 + 1; });
    auto quick = coir::spawn([&] { order = order * 10 + 2; });
    coir::joinall({slow, quick});
    std::printf("%d %d\\n", order, coir::monkey::is_patched("usleep"));
}
"""

WITH_TLS = """
#include <coir.h>
#include <cstdio>
#include <net/tls.h>
int main() {
    auto [near, far] = coir::net::unix_stream::pair();
    far.close();
    try {
        coir::net::tls_stream::connect(coir::net::tls_context::client(), std::move(near), "localhost");
    } catch (std::system_error const& error) {
        std::printf("%d\\n", error.code() == std::errc::broken_pipe);
    }
}
"""


def run(*command, **options):
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    if done.returncode:
        sys.exit(f'{" ".join(map(str, command))}: status {done.returncode}\n{done.stdout}')
    return done.stdout


def expect(what, got, wanted):
    if got != wanted:
        sys.exit(f'{what}: printed {got!r}, not {wanted!r}')


with tempfile.TemporaryDirectory() as place:
    place = pathlib.Path(place)
    source, program = place / 'program.cpp', place / 'program'
    source.write_text(PROGRAM)
    (place / 'with_tls.cpp').write_text(WITH_TLS)

    prefix = place / 'usr'
    run('meson', 'install', '-C', build, '--no-rebuild', '--destdir', prefix)
    config = next(prefix.rglob('coir.pc'))
    found = dict(os.environ, PKG_CONFIG_PATH=str(config.parent), PKG_CONFIG_SYSROOT_DIR=str(prefix))
    flags = run('pkg-config', '--cflags', '--libs', 'coir', env=found).split()
    run(*compiler, '-std=c++20', source, '-o', program, *flags)
    libraries = config.parent.parent
    run_environment = dict(os.environ, LD_LIBRARY_PATH=str(libraries))
    expect('installed', run(program, env=run_environment), '12 0\n')
    tls = (config.parent / 'coir-tls.pc').exists()
    if tls:
        flags = run('pkg-config', '--cflags', '--libs', 'coir-tls', env=found).split()
        run(*compiler, '-std=c++20', place / 'with_tls.cpp', '-o', program, *flags)
        expect('installed, TLS', run(program, env=run_environment), '1\n')
        run(*compiler, '-std=c++20', source, '-o', program, *flags)
    shim = run('pkg-config', '--variable=shim', 'coir', env=found).strip()
    if not shim.startswith(str(prefix)):  # older pkg-config leaves the root out of variables
        shim = str(prefix) + shim
    expect('installed, preloaded', run(program, env=dict(run_environment, LD_PRELOAD=shim)), '21 1\n')

    project = place / 'project'
    (project / 'subprojects').mkdir(parents=True)
    shutil.copytree(root, project / 'subprojects' / 'coir', ignore=shutil.ignore_patterns('build*', '.git'))
    shutil.copy(source, project)
    shutil.copy(place / 'with_tls.cpp', project)
    (project / 'meson.build').write_text("""project('user', 'cpp', default_options: 'cpp_std=c++20')
executable('plain', 'program.cpp', dependencies: dependency('coir', fallback: 'coir'))
executable('patched', 'program.cpp', dependencies: dependency('coir-monkey', fallback: 'coir'))
""" + ("executable('with_tls', 'with_tls.cpp', dependencies: dependency('coir-tls', fallback: 'coir'))" if tls else ""))
    run('meson', 'setup', project / 'build', project, env=dict(os.environ, CXX=' '.join(compiler)))
    run('ninja', '-C', project / 'build')
    expect('subproject', run(project / 'build' / 'plain'), '12 0\n')
    expect('subproject, shim linked', run(project / 'build' / 'patched'), '21 1\n')
    if tls:
        expect('subproject, TLS', run(project / 'build' / 'with_tls'), '1\n')
