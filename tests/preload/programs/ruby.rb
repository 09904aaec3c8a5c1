require 'socket'
require 'timeout'
require 'open3'
require 'pty'

queue = Thread::SizedQueue.new(1)
producer = Thread.new { 5.times { |n| sleep 0.005; queue << n }; queue.close }
got = []
while (n = queue.pop) do got << n end
p got, producer.join.status

server = TCPServer.new(ENV['ADDRESS'], 0)
serving = Thread.new { 3.times.map { c = server.accept; Thread.new { c.each_line { |l| sleep 0.01; c.puts l.upcase }; c.close } }.each(&:join) }
answers = 3.times.map { |n| Thread.new { s = TCPSocket.new(ENV['ADDRESS'], server.addr[1]); s.puts "hello #{n}", 'again'; s.close_write; s.read } }
p answers.map(&:value)
serving.join
a, b = UNIXSocket.pair
p IO.select([a], nil, nil, 0.02), (a.read_nonblock(1) rescue $!.class)
Thread.new { sleep 0.02; b.write 'x' }
p IO.select([a], nil, nil, 5)&.first == [a], a.readpartial(5)
p (Timeout.timeout(0.03) { a.read(1) } rescue $!.class)

r, w = IO.pipe
pid = fork { r.close; 3.times { |n| sleep 0.01; w.puts "child #{n}" }; exit! 5 }
w.close
puts r.read
p Process.wait2(pid)[1].exitstatus
puts `sleep 0.02; echo backticks; exit 3`, $?.exitstatus
p system('sleep 0.02; kill -TERM $$'), $?.termsig
p Open3.capture3('cat; echo err >&2; exit 4', stdin_data: 'input').then { |o, e, s| [o, e, s.exitstatus] }
IO.popen(['sh', '-c', 'sleep 0.02; sort'], 'r+') { |io| io.puts 3, 1, 2; io.close_write; puts io.read }
PTY.spawn('stty -echo; echo ready; read x; sleep 0.02; echo "typed $x"') do |out, input, child|
  out.gets
  input.puts 'word'
  puts out.gets.chomp
  Process.wait child
end
trapped = false
trap('USR1') { trapped = true }
Thread.new { sleep 0.03; Process.kill('USR1', $$) }
sleep 0.01 until trapped
puts 'trapped'
File.open('lock', 'w') do |held|
  held.flock(File::LOCK_EX)
  pid = fork { held.close; File.open('lock') { |f| f.flock(File::LOCK_EX); exit! 2 } }
  sleep 0.03
end
p Process.wait2(pid)[1].exitstatus
mutex, condition, ready = Mutex.new, ConditionVariable.new, false
waiter = Thread.new { mutex.synchronize { condition.wait(mutex, 5) until ready; :woken } }
sleep 0.01
mutex.synchronize { ready = true; condition.signal }
p waiter.value
warn 'to stderr'
exit 6
