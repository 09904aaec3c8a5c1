# waits: zsh
# package: zsh
# status: 4
exec zsh -f "$JOBS/zsh.zsh"
