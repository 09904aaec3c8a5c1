# waits: vim.basic
# package: vim
cat >script.vim <<'END'
set nocompatible nomore shell=/bin/sh
call setline(1, ['c', 'a', 'b'])
%!sleep 0.03; sort
call append('$', systemlist('sleep 0.02; echo from system; echo second'))
call append('$', 'status ' . v:shell_error . ' ' . system('cat; exit 3', "input\n") . v:shell_error)
read !sleep 0.02; echo read
let g:said = []
func! Said(channel, line)
    call add(g:said, a:line)
endfunc
let job = job_start(['sh', '-c', 'while read x; do sleep 0.01; echo "job got $x"; done; exit 4'], {'out_cb': 'Said'})
call ch_sendraw(job, "one\ntwo\n")
call ch_close_in(job)
while job_status(job) ==# 'run' || len(g:said) < 2
    sleep 10m
endwhile
call append('$', g:said + ['job ended with ' . job_info(job).exitval])
let g:fired = 0
call timer_start(20, {-> execute('let g:fired += 1')}, {'repeat': 3})
while g:fired < 3
    sleep 5m
endwhile
call append('$', 'timers ' . g:fired)
w! out
cquit 6
END
vim -N -u NONE -i NONE -n -es -S script.vim </dev/null || echo "status $?"
cat out
(sleep 0.03; printf '1i\nex\n.\nw! ex.out\nq!\n') | vim -u NONE -i NONE -n -e -s ; cat ex.out
