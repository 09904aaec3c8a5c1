# waits: tmux
# package: tmux
t="tmux -S $HOME/socket -f /dev/null"
trap '$t kill-server 2>/dev/null || true' EXIT
$t new-session -d -s work -x 40 -y 8 "PS1='$ ' sh"
$t send-keys -t work 'stty -echo; PS1=; clear; sleep 0.05; echo typed; tmux -S $HOME/socket wait-for -S typed' Enter
$t wait-for typed; $t capture-pane -p -t work | grep typed
$t set-option -g remain-on-exit on
$t new-window -t work:5 'sleep 0.05; echo window; exit 3'
# Not pane_dead_status, nor the line that the pane says it in: tmux 3.3 misses that at times.
until $t list-panes -s -t work -F '#{window_index} #{pane_dead}' | grep '^5 1'; do sleep 0.01; done
$t capture-pane -p -S - -t work:5 | grep window
(sleep 0.03; echo pasted) | $t load-buffer -; $t show-buffer; $t list-sessions -F '#{session_name} #{session_windows}'
$t run-shell 'sleep 0.05; echo from the server; exit 4' || echo "status $?"
$t if-shell 'sleep 0.02; false' 'display-message -p yes' 'display-message -p no'
$t pipe-pane -t work:0 'cat >piped'; $t send-keys -t work:0 'echo into the pipe; tmux -S $HOME/socket wait-for -S piped' Enter; $t wait-for piped
until grep -qs into piped; do sleep 0.01; done
# The server goes after its last session, and answers, of none, until then.
$t kill-session -t work; while $t list-sessions; do sleep 0.01; done 2>/dev/null; echo none
