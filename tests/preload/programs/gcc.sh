# waits: x86_64-linux-gnu-gcc-12 cc1 x86_64-linux-gnu-as
# The driver waits for its children, the compiler and with -pipe the assembler for their input.
slowly() { while IFS= read -r line; do sleep 0.01; printf '%s\n' "$line"; done; }
cat >square.c <<'END'
int square(int x) { return x * x; }
END
slowly <<'END' | gcc -pipe -O2 -Wall -x c -c - -o main.o
#include <stdio.h>
int square(int);
int main(int argc, char** argv) { int unused; printf("%d\n", square(12)); return square(argc) + 10; }
END
gcc -O1 -g -c square.c -o square.o
gcc main.o square.o -o square
./square || echo "status $?"
ar rcs libsquare.a square.o
gcc -flto -O2 square.c main.o -L. -lsquare -o again
./again || echo "status $?"
gcc -E -P square.c | sha256sum
echo 'int main(void) { return 1 +; }' | gcc -pipe -x c - || echo "status $?"
objdump -d square.o | grep -c imul
