// Go's side: goroutines on one processor (GOMAXPROCS=1). The works and their numbers stand in peer.h.
package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// CPU time of the process in ns.
func processCPU() float64 {
	const clockProcessCPU = 2
	var now syscall.Timespec
	syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clockProcessCPU, uintptr(unsafe.Pointer(&now)), 0)
	return float64(now.Nano())
}

func cpuOfEach(count int, work func()) float64 {
	start := processCPU()
	work()
	return (processCPU() - start) / float64(count)
}

//go:noinline
func below(depth int, leaf func()) {
	if depth == 0 {
		leaf()
	} else {
		below(depth-1, leaf)
	}
}

func yield(of []int) float64 {
	count, turns, depth := of[0], of[1], of[2]
	stop := false
	turn := func() { below(depth, runtime.Gosched) }
	var all sync.WaitGroup
	for i := 1; i < count; i++ {
		all.Add(1)
		go func() {
			for !stop {
				turn()
			}
			all.Done()
		}()
	}
	turn()
	turn()
	each := cpuOfEach(count*turns, func() {
		for i := 0; i < turns; i++ {
			turn()
		}
	})
	stop = true
	all.Wait()
	return each
}

func spawn(of []int) float64 {
	return cpuOfEach(of[0], func() {
		for i := 0; i < of[0]; i++ {
			var one sync.WaitGroup
			one.Add(1)
			go one.Done()
			one.Wait()
		}
	})
}

func spawnAll(of []int) float64 {
	return cpuOfEach(of[0], func() {
		var all sync.WaitGroup
		all.Add(of[0])
		for i := 0; i < of[0]; i++ {
			go all.Done()
		}
		all.Wait()
	})
}

func channel(of []int) float64 {
	there, back := make(chan int), make(chan int)
	go func() {
		for item := range there {
			back <- item
		}
	}()
	defer close(there)
	return cpuOfEach(of[0], func() {
		for i := 0; i < of[0]; i++ {
			there <- i
			<-back
		}
	})
}

func mutex(of []int) float64 {
	var one sync.Mutex
	var both sync.WaitGroup
	both.Add(2)
	body := func() {
		for i := 0; i < of[0]/2; i++ {
			one.Lock()
			runtime.Gosched()
			one.Unlock()
		}
		both.Done()
	}
	return cpuOfEach(of[0], func() {
		go body()
		go body()
		both.Wait()
	})
}

func sleep(of []int) float64 {
	var all sync.WaitGroup
	all.Add(of[0])
	now := time.Now()
	return 1e-6 * cpuOfEach(1, func() {
		for i := 0; i < of[0]; i++ {
			after := time.Duration(100000+uint64(i)*2654435761%1000000) * time.Microsecond
			go func() {
				time.Sleep(after - time.Since(now))
				all.Done()
			}()
		}
		all.Wait()
	})
}

// Resident bytes of the process, and of its page tables.
func memoryNow() float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		panic(err)
	}
	bytes := 0.0
	for _, line := range strings.Split(string(status), "\n") {
		var kilobytes int
		if n, _ := fmt.Sscanf(line, "VmRSS: %d", &kilobytes); n == 1 {
			bytes += float64(kilobytes) * 1024
		} else if n, _ := fmt.Sscanf(line, "VmPTE: %d", &kilobytes); n == 1 {
			bytes += float64(kilobytes) * 1024
		}
	}
	return bytes
}

func memory(of []int) float64 {
	open := make(chan struct{})
	before := memoryNow()
	for i := 0; i < of[0]; i++ {
		go func() { <-open }()
	}
	runtime.Gosched()
	each := (memoryNow() - before) / float64(of[0])
	close(open)
	return each
}

func main() {
	runtime.GOMAXPROCS(1)
	works := map[string]func([]int) float64{
		"yield": yield, "spawn": spawn, "spawn_all": spawnAll, "channel": channel, "mutex": mutex, "sleep": sleep,
		"memory": memory,
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		words := strings.Fields(lines.Text())
		var of []int
		for _, word := range words[1:] {
			var number int
			fmt.Sscan(word, &number)
			of = append(of, number)
		}
		work, known := works[words[0]]
		if !known {
			fmt.Fprintln(os.Stderr, "no such work:", lines.Text())
			os.Exit(2)
		}
		fmt.Println(work(of))
	}
}
