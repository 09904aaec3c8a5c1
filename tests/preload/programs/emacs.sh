# waits: emacs-nox
# package: emacs-nox
# status: 7
exec emacs -Q --batch -l "$JOBS/emacs.el"
