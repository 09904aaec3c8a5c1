# waits: java
# package: openjdk-17-jdk-headless
# status: 6
java=$(ls /usr/lib/jvm/java-17-openjdk-*/bin/java)
$java -version 2>&1 | head -n 1
exec $java -XX:TieredStopAtLevel=1 "$JOBS/Waiting.java"
