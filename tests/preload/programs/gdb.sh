# waits: gdb
# package: gdb
# hide: (process|LWP) [0-9]+
# hide: 0x[0-9a-f]+
# hide: Target Id +Frame
# A program that it runs, stops, changes, lets fork and lets crash.
cat >program.c <<'END'
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
volatile int counter;
int twice(int n) { counter += n; return 2 * n; }
void* work(void* p) { usleep(20000); return p; }
int main(void) {
    for (int i = 0; i < 3; ++i) printf("%d\n", twice(i));
    fflush(stdout);
    pthread_t t;
    pthread_create(&t, NULL, work, NULL);
    pthread_join(t, NULL);
    pid_t child = fork();
    if (child == 0) { usleep(20000); _exit(3); }
    int status;
    waitpid(child, &status, 0);
    printf("child %d\n", WEXITSTATUS(status));
    fflush(stdout);
    raise(SIGUSR1);
    return counter;
}
END
gcc -g -O0 program.c -o program
cat >commands <<'END'
set confirm off
set print thread-events off
set debuginfod enabled off
set startup-with-shell off
handle SIGUSR1 nostop print nopass
break twice if n == 1
run
backtrace
finish
watch counter
continue
delete
python import time; time.sleep(0.05); print(gdb.parse_and_eval('counter') + 40)
shell sleep 0.02; echo shell
call twice(20)
break usleep
continue
info threads
delete
continue
END
gdb -nx -q --batch -x commands ./program 2>&1 | grep -v '^warning\|^Download\|Thread 0x\|usleep\|^[0-9]*	'
echo 'int main(void) { *(volatile int*)0 = 1; }' | gcc -g -x c - -o crash
gdb -nx -q --batch -ex run -ex 'print $_siginfo.si_signo' ./crash 2>&1 | grep -v '^warning\|^Using\|^\[Thread'
sleep 60 & gdb -nx -q --batch -p $! -ex 'info inferiors' -ex detach 2>/dev/null | grep -c process; kill $!; wait $! 2>/dev/null || echo "ended by $?"
