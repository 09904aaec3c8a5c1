# waits: make
# package: make
# The jobserver's pipe between make and the makes below it; output of each target held together.
cat >Makefile <<'END'
objects := $(foreach n,1 2 3 4 5 6 7 8,out/$(n))
all: $(objects) sub; @cat $(objects); echo all done
out/%: | out; @sleep 0.0$*; echo "made $*" >$@
out:; mkdir -p $@
sub:; @$(MAKE) --no-print-directory -f sub.mk
answer := $(shell sleep 0.02; echo from the shell)
info:; @echo $(answer); echo $(.SHELLSTATUS)
bad:; @sleep 0.02; exit 3
.PHONY: all sub info bad
END
printf 'x y: a b\n\t@sleep 0.01; echo $@\na b:; @sleep 0.02; echo $@\n.NOTPARALLEL:\n' >sub.mk
make -j4
make info
make -j2 -k bad info 2>&1 | sort || true
make -j3 -Otarget -B out/1 out/2 out/3; touch -d 2000-01-01 out/3; make -q out/3 || echo "old: $?"
printf 'all: a b\na b:\n\t@sleep 0.02; echo $@; sleep 0.01; echo $@\n' | make -j2 -Oline -f - | sort
printf 'include made.mk\nall:; @echo $(word)\nmade.mk:; @sleep 0.02; echo word := remade >$@\n' | make -f -
make bad || echo "status $?"
