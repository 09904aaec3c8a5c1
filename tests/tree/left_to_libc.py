"""Why the shim leaves a function of glibc's alone that may make a system call that waits: patterns of names, and the reason
for the table in docs/monkey.md. The first pattern that fits a name counts. LONG: what can wait for another process, a server
or many blocks of a disk; `coir run --check` names those. The others wait for a file of this machine, if for anything.
"""
LONG = object()

LEFT = [
    ('`FILE`s from inside: called by stdio, whose functions are taken over, and by C++ runtimes of the 1990s',
     '_IO_*'),
    ('Makes text, and reads a message catalog, a character set, a locale or the time zone the first time',
     '''*sprintf *snprintf *swprintf __*printf_chk obstack_*printf *strerror* strsignal *asctime* *ctime* *gmtime*
        *localtime* strptime* getdate* *ecvt* *fcvt* *gcvt* ether_ntoa* inet_ntoa inet_ntop *getopt* argp_* fnmatch
        *backtrace_symbols dlerror addmntent put*ent catopen'''),
    ('Prints an error, from inside libc: waits where nobody reads stderr',
     'err errx verr verrx warn warnx vwarn vwarnx error error_at_line perror psignal psiginfo herror fmtmsg *backtrace_symbols_fd', LONG),
    ('Asks or sets what the kernel has in memory: a terminal\'s settings, an open file\'s inode, a name of a network device',
     '''tcget* tcset* tcflow tcflush isatty *ptsname* grantpt unlockpt login_tty sockatmark if_* getifaddrs futimens futimes isfdtype
        fdopen fdopendir fpathconf *ttyname* aio_cancel* aio_fsync*'''),
    ('Opens a device or a name in a file system that lies in memory (/dev, /dev/shm, /proc)',
     '''getpt posix_openpt openpty forkpty shm_* sem_* pthread_get*_np pthread_setname_np'''),
    ('Walks directories, and calls the program meanwhile or keeps its place in libc: a worker thread would call it on the wrong thread',
     '*scandir* ftw* nftw* *fts* *glob* wordexp getdirentries*', LONG),
    ('Finds out the working directory: by the kernel\'s own call, unless its name is longer than a page',
     '*getcwd* *getwd* get_current_dir_name'),
    ('Records of logins: a lock on a file, held for moments, and given up after ten seconds',
     '*utent *utent_r *utid *utid_r *utline *utline_r *utxent *utxid *utxline updwtmp* login logout logwtmp lckpwdf', LONG),
    ('One database after another from its beginning to its end, the place in it being libc\'s own: files, in nearly every nsswitch.conf',
     '*getpwent* *getgrent* *getspent* *getsgent* get*ent get*ent_r set*ent end*ent getusershell setusershell getttynam __setmntent', LONG),
    ('Looks up what is in a file of this machine (/etc/services, /etc/protocols, …), or is told by nscd on it',
     '''getserv* getproto* getrpc* getalias* getsgnam* ether_* getpw cuserid getfs* ruserpass gethostid sethostid
        *getlogin* ttyslot'''),
    ('Reads resolv.conf, and asks nobody',
     '__res_init __res_ninit __res_nclose res_mkquery __nss_*'),
    ('Sizes of the machine, asked once or seldom: how many processors, how much memory',
     '*sysconf *confstr* ulimit get_nprocs* qsort* posix_spawn_file_actions_* *valloc *mallinfo* *mallopt malloc_* sprofil'),
    ('Randomness, which only waits while the machine starts',
     'getrandom arc4random* mktemp tempnam tmpnam*'),
    ('Replaces or ends the program, or is called at its end',
     'fexecve fcloseall __libc_freeres'),
    ('Connects to the system log, whose socket is there or is not: a datagram socket does not wait to be connected',
     'openlog'),
    ('Remote shells of old', 'rcmd* rexec* *ruserok* __ivaliduser', LONG),
    ('Profilers', '__fentry__ *mcount *monstartup _mcleanup'),
    ('Only looks at a path for a number that it makes of it', 'ftok'),
    ('For the administrator and the debugger', 'pivot_root ptrace quotactl'),
]
