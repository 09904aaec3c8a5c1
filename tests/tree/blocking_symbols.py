"""Which functions that glibc exports may make a system call that waits, found in its machine code: those from which such a
call can be reached over direct calls and jumps. Calls through pointers are not seen: those of stdio's streams to read and
write, which stdio's own rows in the table are about, and those to the modules of the name service, of character sets and
of the dynamic linker. For x86-64.
"""
import bisect
import collections
import re
import subprocess

# What waits: for another process, a device, a disk, or the clock. Locks of libc's own (futex) are held for moments.
WAITING = set('''
    read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 poll ppoll select pselect6 epoll_wait epoll_pwait
    epoll_pwait2 connect accept accept4 recvfrom recvmsg recvmmsg sendto sendmsg sendmmsg sendfile splice tee vmsplice
    copy_file_range nanosleep clock_nanosleep pause rt_sigsuspend rt_sigtimedwait wait4 waitid semop semtimedop msgsnd msgrcv
    mq_timedsend mq_timedreceive flock fcntl fsync fdatasync open openat openat2 creat stat lstat newfstatat statx access
    faccessat faccessat2 readlink readlinkat chdir statfs getxattr lgetxattr listxattr llistxattr setxattr lsetxattr removexattr
    lremovexattr mkdir mkdirat rmdir unlink unlinkat rename renameat renameat2 link linkat symlink symlinkat mknod mknodat
    truncate ftruncate fallocate chmod fchmodat chown lchown fchownat utime utimes utimensat futimesat sync syncfs
    sync_file_range msync getdents64 getdents readahead futex_waitv vfork io_getevents mount umount2 swapon swapoff getrandom
    chroot pivot_root open_by_handle_at name_to_handle_at ioctl sched_yield ptrace quotactl'''.split())

# Where the search stops: what ends the process, memory (which asks get_nprocs once), and what is read once and kept: message
# catalogs, locales, character sets and time zones, by the functions that these call directly.
STOPS = set('''abort __assert_fail __assert __assert_perror_fail __stack_chk_fail __fortify_fail __chk_fail malloc free calloc realloc
    memalign posix_memalign aligned_alloc fork'''.split())
STOPS_BEHIND = set('dcgettext iconv_open setlocale newlocale tzset'.split())


def output(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def numbers():
    header = output('cc', '-E', '-dM', '-include', 'sys/syscall.h', '-x', 'c', '/dev/null')
    return {int(number): name for name, number in re.findall(r'#define __NR_(\w+) (\d+)', header)}


def find(library):
    """{symbol: the waiting system calls that can be reached from it}, of the symbols that can still be linked with."""
    ranges = sorted((int(begin, 16), int(end, 16)) for begin, end in
                    re.findall(r'FDE .*pc=(\w+)\.\.(\w+)', output('readelf', '-wN', '--debug-dump=frames', library)))
    starts = [begin for begin, _ in ranges]

    def function_at(address):
        i = bisect.bisect_right(starts, address) - 1
        return starts[i] if i >= 0 and address < ranges[i][1] else None

    symbols = collections.defaultdict(set)
    for line in output('readelf', '-W', '--dyn-syms', library).splitlines():
        fields = line.split()
        if len(fields) >= 8 and fields[3] in ('FUNC', 'IFUNC') and fields[6] != 'UND':
            symbols[function_at(int(fields[1], 16))].add(fields[7])

    name_of = numbers()
    calls, makes = collections.defaultdict(set), collections.defaultdict(set)
    here, number = None, None  # the function, and what the register for a system call's number holds
    for line in output('objdump', '-d', '--no-show-raw-insn', library).splitlines():
        match = re.match(r'\s+([0-9a-f]+):\t(\S+)\s*(.*)', line)
        if not match:
            continue
        function, (operation, arguments) = function_at(int(match[1], 16)), match.groups()[1:]
        if function != here:
            here, number = function, None
        if operation.startswith('mov') and (constant := re.match(r'\$0x([0-9a-f]+),%[er]ax', arguments)):
            number = int(constant[1], 16)
        elif operation == 'xor' and arguments == '%eax,%eax':
            number = 0
        elif operation == 'syscall' and number is not None:
            makes[here].add(name_of.get(number))
        elif operation.startswith(('call', 'j', 'bnd')):
            if target := re.match(r'(?:jmp |call )?\s*([0-9a-f]+)\b', arguments):
                to = function_at(int(target[1], 16))
                if to not in (None, here):
                    calls[here].add(to)
            if operation.startswith('call'):
                number = None

    stops = set()
    for address, names in symbols.items():
        plain = {name.split('@')[0] for name in names}
        if plain & STOPS:
            stops.add(address)
        if plain & STOPS_BEHIND:
            stops |= calls[address]

    def reached_from(function):
        seen, to_do, found = {function}, [function], set()
        while to_do:
            at = to_do.pop()
            found |= makes[at] & WAITING
            new = calls[at] - seen - stops
            seen |= new
            to_do += new
        return found

    return {name.split('@')[0]: found for function, names in symbols.items() if function not in stops
            for found in [reached_from(function)] if found
            for name in names if '@@' in name and 'PRIVATE' not in name}
