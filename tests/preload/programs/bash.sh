# waits: bash
# status: 6
# hide: line [0-9]+: +[0-9]+
# Coprocesses, process substitution, `wait -n`, reads with a time limit, job control without a terminal.
exec bash "$JOBS/bash.bash"
