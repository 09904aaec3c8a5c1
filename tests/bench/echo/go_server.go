// Go's side of echo.cpp: a goroutine per connection, on one processor (GOMAXPROCS=1).
package main

import (
	"fmt"
	"net"
	"runtime"
)

const room = 1024 // of a connection's buffer

func echo(peer net.Conn) {
	defer peer.Close()
	buffer := make([]byte, room)
	for {
		n, err := peer.Read(buffer)
		if err != nil {
			return
		}
		if _, err := peer.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func main() {
	runtime.GOMAXPROCS(1)
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	for {
		peer, err := listener.Accept()
		if err != nil {
			panic(err)
		}
		go echo(peer)
	}
}
