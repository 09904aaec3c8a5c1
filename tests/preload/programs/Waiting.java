import java.io.*;
import java.net.*;
import java.nio.*;
import java.nio.channels.*;
import java.nio.file.*;
import java.util.*;
import java.util.concurrent.*;
import java.util.stream.*;

public class Waiting {
    public static void main(String[] arguments) throws Exception {
        InetAddress address = InetAddress.getByName(System.getenv("ADDRESS"));

        BlockingQueue<Integer> queue = new ArrayBlockingQueue<>(1);
        Thread producer = new Thread(() -> { try { for (int n = 0; n < 5; ++n) { Thread.sleep(5); queue.put(n); } } catch (InterruptedException e) { } });
        producer.start();
        for (int n = 0; n < 5; ++n) System.out.print(queue.take() + " ");
        producer.join();
        ExecutorService pool = Executors.newFixedThreadPool(4);
        System.out.println(pool.invokeAll(IntStream.range(0, 8).<Callable<Integer>>mapToObj(n -> () -> { Thread.sleep(10); return n * n; }).toList())
            .stream().map(f -> { try { return f.get(); } catch (Exception e) { return -1; } }).toList());

        ServerSocket server = new ServerSocket(0, 10, address);
        Future<?> serving = pool.submit(() -> {
            for (int n = 0; n < 3; ++n)
                try (Socket s = server.accept(); var in = new BufferedReader(new InputStreamReader(s.getInputStream())); var out = new PrintStream(s.getOutputStream())) {
                    for (String line; (line = in.readLine()) != null;) { Thread.sleep(10); out.println(line.toUpperCase()); }
                }
            return null;
        });
        for (int n = 0; n < 3; ++n)
            try (Socket s = new Socket(address, server.getLocalPort())) {
                s.getOutputStream().write(("hello " + n + "\nagain\n").getBytes());
                s.shutdownOutput();
                System.out.println(new String(s.getInputStream().readAllBytes()).replace("\n", "|"));
            }
        serving.get();
        server.setSoTimeout(30);
        try { server.accept(); } catch (SocketTimeoutException e) { System.out.println(e.getMessage()); }
        try { new Socket(address, 1); } catch (ConnectException e) { System.out.println(e.getMessage()); }

        Selector selector = Selector.open();
        Pipe pipe = Pipe.open();
        pipe.source().configureBlocking(false);
        pipe.source().register(selector, SelectionKey.OP_READ);
        System.out.println("selected " + selector.select(20));
        pool.submit(() -> { Thread.sleep(20); return pipe.sink().write(ByteBuffer.wrap("x".getBytes())); });
        System.out.println("selected " + selector.select(5000));

        Process process = new ProcessBuilder("sh", "-c", "while read x; do sleep 0.01; echo got $x; done; echo err >&2; exit 3").start();
        process.getOutputStream().write("one\ntwo\n".getBytes());
        process.getOutputStream().close();
        System.out.print(new String(process.getInputStream().readAllBytes()) + new String(process.getErrorStream().readAllBytes()));
        System.out.println(process.waitFor());
        Process sleeper = new ProcessBuilder("sleep", "5").start();
        System.out.println(sleeper.waitFor(30, TimeUnit.MILLISECONDS));
        sleeper.destroy();
        System.out.println(sleeper.onExit().get().exitValue());

        Path file = Path.of("file");
        Files.write(file, "some text\n".getBytes());
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE, StandardOpenOption.READ); FileLock lock = channel.lock()) {
            channel.force(true);
            System.out.println(lock.isValid() + " " + Files.readString(file).trim());
        }
        Object monitor = new Object();
        synchronized (monitor) { monitor.wait(20); }
        Thread sleeping = new Thread(() -> { try { Thread.sleep(5000); } catch (InterruptedException e) { System.out.println("interrupted"); } });
        sleeping.start();
        sleeping.interrupt();
        sleeping.join();
        for (int n = 0; n < 20; ++n) { byte[][] garbage = new byte[100][]; for (int i = 0; i < 100; ++i) garbage[i] = new byte[10000]; }
        System.gc();
        try { Object[] none = null; System.out.println(none.length); } catch (NullPointerException e) { System.out.println("null"); }
        pool.shutdown();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> System.out.println("hook")));
        System.err.println("to stderr");
        System.exit(6);
    }
}
